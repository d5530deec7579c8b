import TestSupport
import Testing
import WireFormats

struct `The JSON reader` {
  @Test(arguments: [
    ("null", "null"), (" true ", "true"), ("\t[\n]\r", "[]"), ("{}", "{}"), ("0", "0"), ("-0", "-0"),
    ("-12.50e+3", "-12.50e+3"), (#""""#, #""""#), (#""a\/b""#, #""a/b""#), (#""\u00e9""#, #""é""#),
    (#""\uD83D\uDE00""#, #""😀""#), (#""\b\f\n\r\t\"\\""#, #""\u0008\u000c\n\r\t\"\\""#),
    (#"{"b":[1,{"a":null}],"a":false}"#, #"{"b":[1,{"a":null}],"a":false}"#),
    (
      String(repeating: "[", count: 64) + String(repeating: "]", count: 64),
      String(repeating: "[", count: 64) + String(repeating: "]", count: 64)
    ),
  ])
  func `reads what it then writes`(text: String, compact: String) throws {
    let value = try JSONValue(parsing: Array(text.utf8))
    var document = JSONWriter()
    value.write(to: &document)
    #expect(String(decoding: document.bytes, as: UTF8.self) == compact)
  }

  @Test(arguments: [
    ("", 0), (" ", 1), ("nul", 0), ("01", 1), ("-", 1), ("1.", 2), ("1e", 2), (".5", 0), ("+1", 0),
    ("NaN", 0),
    ("1 2", 2), ("[1,]", 3), ("[1", 2), ("[1 2]", 3), ("{", 1), ("{a:1}", 1), (#"{"a"}"#, 4), (#"{"a":}"#, 5),
    (#"{"a":1,}"#, 7), (#"{"a":1 "b":2}"#, 7), (#""abc"#, 0), ("\"\u{1}\"", 1), (#""\x""#, 1),
    (#""\u12g4""#, 5),
    (#""\uD83D""#, 1), (#""\uDE00""#, 1), (#""\uD83Dx""#, 1), (#""\uD83D\uD83D""#, 1), ("'a'", 0),
    ("\u{FEFF}1", 0),
    (#"{"a":1,"a":2}"#, 7), (String(repeating: "[", count: 70), 65),
  ])
  func `rejects invalid JSON and reports the offset`(text: String, offset: Int) {
    let error = #expect(throws: JSONError.self) { try JSONValue(parsing: Array(text.utf8)) }
    #expect(error?.offset == offset)
  }

  @Test(
    arguments: [[0x22, 0xFF, 0x22], [0x22, 0xC0, 0x80, 0x22], [0x22, 0xED, 0xA0, 0x80, 0x22]] as [[UInt8]])
  func `rejects a string that isn't UTF-8`(bytes: [UInt8]) {
    #expect(throws: JSONError.self) { try JSONValue(parsing: bytes) }
  }

  @Test func `survives every kind of damage`() throws {
    let sound = Array(#"{"a":[1,-2.5e3,true,null],"b":{"c":"\u00e9\uD83D\uDE00é","d":""}}"#.utf8)
    #expect(throws: Never.self) { try JSONValue(parsing: sound) }
    var random = SeededRandom(seed: 1)
    for _ in 0..<20_000 {
      // Whatever the answer is, there is one: nothing traps, and what is accepted can be written and read again.
      guard let value = try? JSONValue(parsing: damaged(sound, using: &random)) else { continue }
      var document = JSONWriter()
      value.write(to: &document)
      #expect(try JSONValue(parsing: document.bytes) == value)
    }
  }

  @Test(arguments: [
    ("1", 1), ("-1", nil), ("1.0", nil), ("255", 255), ("256", nil), ("\"1\"", nil), ("1e2", nil),
  ])
  func `returns integers that fit`(text: String, number: UInt8?) throws {
    #expect(try JSONValue(parsing: Array(text.utf8)).integer(as: UInt8.self) == number)
  }

  @Test func `prints for people with members sorted`() throws {
    let value = try JSONValue(parsing: Array(#"{"b":[1,{}],"a":{"c":[]}}"#.utf8))
    #expect(
      value.prettyPrinted() == """
        {
          "a": {
            "c": []
          },
          "b": [
            1,
            {}
          ]
        }
        """)
  }
}
