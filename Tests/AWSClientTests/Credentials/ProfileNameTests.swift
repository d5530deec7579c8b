import Testing

@testable import AWSClient

/// Returns the value of `key` in the profile `name`; nil if the files don't contain it.
private func value(_ key: String = "k", of name: String, config: String = "", credentials: String = "") throws
  -> String?
{
  try ProfileSet(config: config, credentials: credentials).profiles[name]?[key]
}

struct `A property of a profile` {
  @Test(arguments: [
    ("k=v", "v"), ("k:v", "v"), ("k : v", "v"), ("k: a=b", "a=b"), ("k = a:b", "a:b"), ("K\t=\tv", "v"),
    ("k\u{a0}=\u{a0}v\u{3000}", "v"), ("k\u{1f}=\u{1c}v", "v"), ("k = v\n  # comment\n\t; comment", "v"),
    ("k = v\n\u{a0}w", "v\nw"), ("k = v\n  # comment\n  w", "v\nw"), ("j =\n  # comment\nk = v", "v"),
    ("  # comment\nk = v", "v"), ("k =\u{301}v", "\u{301}v"),
  ])
  func `is parsed like in botocore`(lines: String, expected: String) throws {
    #expect(try value(of: "default", config: "[default]\n\(lines)\n") == expected)
    #expect(try value(of: "default", credentials: "\u{a0}[default]\u{a0}\n\(lines)\n") == expected)
  }

  @Test(arguments: [
    "k v = v", "k\u{200b} = v", "\u{feff}k = v", "\u{212a} = v", "k", "= v", ": v", " k = v", "\u{a0}k = v",
  ])
  func `has a name that every SDK can parse, or is an error that names the line`(line: String) throws {
    for header in ["default", "DEFAULT"] {
      let error = #expect(throws: ProfileError.self) {
        try ProfileSet(config: "[default]\nj = v\n[\(header)]\n\(line)\n", credentials: "")
      }
      #expect(error?.line == 4)
    }
  }

  @Test func `may have any name in a section that isn't a profile`() throws {
    #expect(try value(of: "default", config: "[services x]\na b = c\n[default]\nk = v\n") == "v")
  }

  @Test func `must follow a section`() {
    let error = #expect(throws: ProfileError.self) { try ProfileSet(config: "k = v\n", credentials: "") }
    #expect(error?.reason == "this line must follow a section header such as [default]")
  }
}

struct `The name of a profile` {
  @Test(arguments: [
    ("[default]", "default"), ("[default  ]", "default"), ("[ default\t]", "default"),
    ("  [default]", "default"),
    ("[default] # a ] b", "default"), ("[default];x]", "default"), ("[default] trailing", "default"),
    ("[profile default]", "default"), ("[profile  \"default\"]", "default"),
    ("[profile 'my dev']", "my dev"), ("[profile \"my dev\"]", "my dev"), ("[profile my\\ dev]", "my dev"),
    ("[profile my' 'dev]", "my dev"), ("[profile \"my \\\"dev\\\"\"]", "my \"dev\""),
    ("[profile \"a\\b\"]", "a\\b"), ("[profile 'a\\'b]", "a\\b"),
    ("[profile prod-é]", "prod-é"), ("[profile 開発]", "開発"), ("[profile a#b]", "a#b"),
    ("[profile a;b]", "a;b"),
    ("[default\u{a0}]", "default"), ("[\u{2003}profile x\u{a0}]", "x"), ("\u{a0}[default]\u{a0}", "default"),
    ("[profile a]b]", "a]b"), ("[profile x!]", "x!"), ("[profiles x]", "x"), ("[ profile x ]", "x"),
  ])
  func `in the config file is the one that botocore finds, or would find without the blanks`(
    header: String, name: String
  ) throws {
    #expect(try value(of: name, config: "\(header)\nk = v\n") == "v")
  }

  @Test(arguments: [
    ("[default]", "default"), ("[default  ]", "default"), ("[my dev]", "my dev"), ("[prod-é]", "prod-é"),
    ("['my dev']", "'my dev'"), ("[a] # b", "a"), ("[profile x]", "profile x"), ("[a#b]", "a#b"),
  ])
  func `in the credentials file is the text between the brackets`(header: String, name: String) throws {
    #expect(try value(of: name, credentials: "\(header)\nk = v\n") == "v")
  }

  @Test(arguments: [
    "[Default]", "[x]", "[profile]", "[profile my dev]", "[profile 'default]", "[profile default\\]",
    "[\"profile\" default]",
    "[sso-session default]", "[services default]", "[profile\u{a0}default]",
  ])
  func `is nil if botocore finds none`(header: String) throws {
    #expect(try ProfileSet(config: "\(header)\nk = v\n", credentials: "").profiles.isEmpty)
  }

  @Test(arguments: ["[", "[default", "[]", "[default\n]"])
  func `is required between brackets`(header: String) {
    let error = #expect(throws: ProfileError.self) {
      try ProfileSet(config: "", credentials: "# comment\r\(header)\nk = v\n")
    }
    #expect(error?.file == "the credentials file" && error?.line == 2)
  }

  @Test(arguments: [
    "[default]\nk = v\n[default ]\nk = w\nl = w\n", "[default ]\nk = w\nl = w\n[default]\nk = v\n",
    "[profile default]\nk = v\n[default]\nk = w\nl = w\n",
    "[default]\nk = w\nl = w\n[profile default]\nk = v\n",
    "[ profile default ]\nk = w\nl = w\n[default]\nk = v\n",
    "[profile default ]\nk = v\n[default]\nk = w\nl = w\n",
  ])
  func `counts in its best spelling, whose properties aren't merged with those of others`(config: String)
    throws
  {
    #expect(try ProfileSet(config: config, credentials: "").profiles == ["default": ["k": "v"]])
  }

  @Test(arguments: [
    // The properties in the better spelling, and whether the credentials in the other spelling count.
    ("region = x", true), ("aws_access_key_id = B\naws_secret_access_key = b", false),
    ("login_session = l", false),
    ("sso_session = l", false),
  ])
  func `in a doubtful spelling counts if it has the only credentials`(properties: String, isUsed: Bool) throws
  {
    let better = "[default]\n\(properties)\n"
    let doubtful = "[default ]\naws_access_key_id = A\naws_secret_access_key = a\naws_session_token = t\n"
    let prefixed = ("[profile default]\n\(properties)\n", doubtful.replacing("default ", with: "default"))
    for (config, credentials) in [
      (better + doubtful, ""), (doubtful + better, ""), ("", doubtful + better), (better, doubtful),
      (doubtful, better),
      (prefixed.0 + prefixed.1, ""), (prefixed.1 + prefixed.0, ""),
    ] {
      let profile = try #require(ProfileSet(config: config, credentials: credentials).profiles["default"])
      #expect((profile["aws_session_token"] == "t") == isUsed, "\(config)\n---\n\(credentials)")
    }
  }

  @Test func `in capitals keeps the properties of every section`() throws {
    let text = "[DEFAULT]\nk = inherited\nl = inherited\n[default]\nl = own\n"
    #expect(try value("k", of: "default", config: text) == "inherited")
    #expect(try value("l", of: "default", config: text) == "own")
    #expect(try value("k", of: "default", credentials: text) == "inherited")
  }

  @Test(arguments: ["\n", "\r\n", "\r"])
  func `is on a separate line, with any kind of line end`(end: String) throws {
    let text = ["# comment", "[default]", "k = v", " -continued", "[b]", "k = w"].joined(separator: end)
    #expect(try value(of: "default", credentials: text) == "v\n-continued")
    #expect(try value(of: "b", credentials: text) == "w")
  }
}
