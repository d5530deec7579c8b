import AWSClient
import Testing
import WireFormats

@testable import DetectionReport

struct HTMLTests {
  @Test(arguments: [
    ("</script><script>alert(1)</script>", "&lt;/script&gt;&lt;script&gt;alert(1)&lt;/script&gt;"),
    (#"" onload="x" '"#, "&quot; onload=&quot;x&quot; &#39;"), ("&lt;", "&amp;lt;"),
    ("a\u{0}b\u{1B}[31m\u{7F}\n\u{85}", #"a\u{0}b\u{1B}[31m\u{7F}\u{A}\u{85}"#),
    ("\u{202E}evil\u{2066}\u{200F}\u{61C}", #"\u{202E}evil\u{2066}\u{200F}\u{61C}"#),
    (
      "\u{2028}\u{2029}\u{FEFF}\u{200B}\u{E0041}\u{E000}",
      #"\u{2028}\u{2029}\u{FEFF}\u{200B}\u{E0041}\u{E000}"#
    ),
    ("Zoë 水 €", "Zoë 水 €"),
    (String(decoding: [0x61, 0xFF, 0xC3] as [UInt8], as: UTF8.self), "a\u{FFFD}\u{FFFD}"),
  ])
  func `escapes text wherever it is interpolated`(row: (text: String, expected: String)) {
    let html: HTML = "<p title=\"\(row.text)\">\(row.text)</p>"
    #expect(
      String(decoding: html.bytes, as: UTF8.self) == "<p title=\"\(row.expected)\">\(row.expected)</p>")
  }

  @Test func `interpolates markup unchanged`() {
    let inner: HTML = "<b>\("<")</b>"
    let outer: HTML = "<p>\(inner)\(12)</p>"
    #expect(String(decoding: outer.bytes, as: UTF8.self) == "<p><b>&lt;</b>12</p>")
  }

  @Test(arguments: [
    (0, "0"), (12.5, "12.5"), (33.333, "33.33"), (0.05, "0.05"), (-0.5, "-0.5"), (99.999, "100"),
    (.nan, "0"), (.infinity, "0"), (1e300, "1000000"),
  ])
  func `writes coordinates with two decimals at most`(row: (value: Double, expected: String)) {
    #expect(String(decoding: HTML.decimal(row.value).bytes, as: UTF8.self) == row.expected)
  }

  @Test func `the policy allows exactly the style of the page`() throws {
    let bytes = try Digest(of: Stylesheet.html.bytes).bytes
    let digest = base64(bytes.indices.map { bytes[$0] })
    #expect(Stylesheet.digest == digest, "Set Stylesheet.digest to this value.")
  }
}
