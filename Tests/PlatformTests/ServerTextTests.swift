import Platform
import Testing

@Suite struct `Text from a server` {
  private let key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"

  @Test(arguments: [
    ("Forbidden", "Forbidden"),
    ("", ""),
    ("The security token included in the request is invalid", nil),
    (
      "User: arn:aws:sts::123456789012:assumed-role/Pump/i-0abc is not authorized to perform: iot:Publish on resource: "
        + "arn:aws:iot:eu-west-1:123456789012:topic/$aws/things/Pump7/defender/metrics/json", nil
    ),
    ("request 1f2e3d4c-1111-2222-3333-444455556666", nil),
    ("Could not reach abcdef123456-ats.iot.eu-west-1.amazonaws.com:8443", nil),
    ("Signature expired: 20260101T000000Z is now earlier than 20260101T000500Z", nil),
    (
      #"{"AccessKeyId":"AKID","SecretAccessKey":"hunter2","Token":"t"}"#,
      #"{"AccessKeyId":"AKID","SecretAccessKey":"•••","Token":"•••"}"#
    ),
    (#"{"a":"{\"sessionToken\":\"hunter2\"}"}"#, nil),
    ("<SecretAccessKey>hunter2</SecretAccessKey>", "<SecretAccessKey>•••</SecretAccessKey>"),
    ("x-amz-security-token:hunter2\nhost:a", "x-amz-security-token:•••\nhost:a"),
    (
      "https://a/mqtt?X-Amz-Date=1&X-Amz-Signature=hunter2&X-Amz-Security-Token=hunter2",
      "https://a/mqtt?X-Amz-Date=1&X-Amz-Signature=•••&X-Amz-Security-Token=•••"
    ),
    ("Authorization: Bearer hunter2", "Authorization: •••"),
    ("Authorization: Basic  hunter2, x", "Authorization: •••, x"),
    ("authorization:bearer \t hunter2 x", "authorization:••• x"),
    ("Authorization: Bearer", "Authorization: •••"),
    ("Authorization: a Bearer b", "Authorization: ••• Bearer b"),
    ("aws_secret_access_key = hunter2", "aws_secret_access_key = •••"),
    ("password='hunter 2'", "password='•••'"),
    ("token:", nil), ("token=\"", nil), ("token", nil),
  ])
  func `is shown without the values of names that are secret`(text: String, expected: String?) {
    let shown = ServerText().shown(text)
    #expect(!shown.contains("hunter2"))
    if let expected {
      #expect(shown == expected)
    } else if !text.contains("hunter2") {
      #expect(shown == text)
    }
  }

  @Test(arguments: [
    "eyJhbGciOiJSUzI1NiIsImtpZCI6IjEifQ.eyJzdWIiOiJzeXN0ZW0ifQ.c2lnbmF0dXJl",
    "f7699b47c48408b0faae9af004377b1e89f7dc85c5761c99d0e466349ecb8b99",
    "IQoJb3JpZ2luX2VjEHkaCWV1LXdlc3QtMSJHMEUCIQDk/+abc==", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
  ])
  func `is shown without random-looking parts`(text: String) {
    #expect(ServerText().shown("it got \(text) from us") == "it got ••• from us")
  }

  @Test func `is shown without secrets that are known, whole or in parts`() {
    let texts = ServerText(hiding: [key, "hunter2", "short"])
    #expect(texts.shown("a \(key) b") == "a ••• b")
    #expect(texts.shown("a hunter2hunter2 b") == "a ••• b")
    // The server truncated the secret, broke it over lines, or put something before it.
    #expect(texts.shown("a \(key.prefix(15))… b") == "a •••… b")
    #expect(texts.shown("\(key.prefix(20))\n\(key.dropFirst(20))") == "•••\n•••")
    #expect(texts.shown("(\(key))") == "(•••)")
    // A short secret can be part of any word.
    #expect(texts.shown("shortage") == "shortage")
  }

  @Test(arguments: [
    "wJalrXUtnFEMI%2FK7MDENG%2BbPxRfiCYEXAMPLEKEY", "wJalrXUtnFEMI%2fK7MDENG%2bbPxRfiCYEXAMPLEKEY",
    "wJalrXUtnFEMI%252FK7MDENG%252BbPxRfiCYEXAMPLEKEY", "%77JalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKE%59",
    "wJalrXUtnFEMI&#47;K7MDENG&#x2B;bPxRfiCYEXAMPLEKEY", "wJalrXUtnFEMI&sol;K7MDENG&plus;bPxRfiCYEXAMPLEKEY",
    #"wJalrXUtnFEMI\/K7MDENG\u002BbPxRfiCYEXAMPLEKEY"#, #"wJalrXUtnFEMI\\/K7MDENG\\u002bbPxRfiCYEXAMPLEKEY"#,
    "wJalrXUtnFEMI%2526%252347%253BK7MDENG+bPxRfiCYEXAMPLEKEY",
  ])
  func `is shown without secrets that are escaped as in URLs, XML or JSON`(escaped: String) {
    let shown = ServerText(hiding: [key]).shown("a \(escaped) b")
    #expect(shown == "a ••• b")
    // Also part by part, with characters that no other rule would hide.
    let secret = "correct horse & <battery>"
    let texts = ServerText(hiding: [secret])
    for text in [
      "correct%20horse%20%26%20%3Cbattery%3E", "correct horse &amp; &lt;battery&gt;",
      #"correct\u0020horse & \u003cbattery>"#, "correct horse &amp;amp; &amp;lt;battery&amp;gt;",
    ] {
      #expect(texts.shown("a \(text) b") == "a ••• b")
    }
  }

  @Test(arguments: [
    "100%", "%", "%2", "%zz and %2", "&", "&;", "&#;", "&#x;", "&#999;", "&unknown;", "a & b; c", #"\"#,
    #"\u00"#, #"\u2713"#,
    "&#00000000000000043;", "%E2%9C%93",
  ])
  func `is shown unchanged if it holds no secret, whatever its escapes`(text: String) {
    #expect(ServerText(hiding: [key]).shown(text) == text)
  }

  @Test func `is truncated only after secrets are removed`() {
    let texts = ServerText(hiding: [key])
    for padding in 480...510 {
      let text = String(repeating: "x ", count: padding / 2) + key
      let shown = texts.shown(text)
      #expect(!shown.contains("wJalr"))
      #expect(shown.count <= ServerText.limit + 1)
    }
    #expect(texts.shown(String(repeating: "é", count: 501)) == String(repeating: "é", count: 500) + "…")
    #expect(texts.shown(String(repeating: "é", count: 500)) == String(repeating: "é", count: 500))
    #expect(texts.shown(String(repeating: " ", count: 70_000) + key, limit: 70_000).hasSuffix(" …"))
  }

  /// The start of a text, and the filler that is repeated after it.
  private static let fillings: [(start: String, filler: String)] =
    [
      "token", "secret", "SecretAccessKey", "secret_key", "signature", "password", "authorization",
      "credential",
      "private-key",
    ].map { ("\($0): bearer", " ") } + [
      ("token:basic", "\t"), ("token", " "), ("token=", " "), ("token", #"\""#), ("", "token: bearer "),
      ("", "token "), ("", "token=\""), ("", "token"), ("", "wJalrXUtnFE"), ("", "wJalrXUtnFEMI"),
      ("", "Aa0"),
      ("", "Aa0/"), ("", "a=b&"), ("x", "\u{301}"), ("", "%25"), ("", "&amp;"), ("", "&#"), ("", #"\u005c"#),
    ]

  /// With quadratic cost this takes more than ten minutes in a debug build; with linear cost, less than a second.
  @Test(.serialized, .timeLimit(.minutes(5)), arguments: fillings)
  func `of 64 KiB is shown at a linear cost`(start: String, filler: String) {
    let text = start + String(repeating: filler, count: (65_536 - start.utf8.count) / filler.utf8.count)
    #expect(ServerText(hiding: [key, "hunter2"]).shown(text).count <= ServerText.limit + 1)
  }

  @Test func `is shown even if it is damaged`() {
    var generator = SystemRandomNumberGenerator()
    let alphabet = Array(#"token=:"'\ <>{}&•é"# + "\n\u{0}")
    for _ in 0..<2_000 {
      let text = String(
        (0..<Int.random(in: 0...60, using: &generator)).map { _ in alphabet.randomElement() ?? "x" })
      #expect(ServerText(hiding: ["hunter2"]).shown(text).count <= ServerText.limit + 1)
    }
  }
}
