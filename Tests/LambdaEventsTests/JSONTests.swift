import LambdaEvents
import Testing

@Suite struct `JSON of an event` {
  private func json(_ text: String) throws(EventError) -> JSON { try JSON(parsing: Array(text.utf8)) }

  @Test func `keeps the text of each value`() throws {
    let text =
      #" {"a" : [1.50, -0, 1e400, 123456789012345678901234567890] , "b":{ "c":"\u00fc\/" },"d":null} "#
    let event = try json(text)
    #expect(event.description == text.dropFirst().dropLast())
    #expect(event["a"]?.elements?.map(\.digits) == ["1.50", "-0", "1e400", "123456789012345678901234567890"])
    #expect(event["a"]?[3]?.integer(as: Int.self) == nil)
    #expect(event["a"]?[0]?.double == 1.5)
    #expect(event["b"]?.description == #"{ "c":"\u00fc\/" }"#)
    #expect(event["b"]?["c"]?.string == "ü/")
    #expect(event["d"]?.isNull == true)
    #expect(event["e"] == nil && event[0] == nil && event["a"]?[4] == nil && event["a"]?[-1] == nil)
    #expect(event.members?.map(\.name) == ["a", "b", "d"])
  }

  @Test func `uses the last of duplicate members and lists all of them`() throws {
    let event = try json(#"{"a":1,"\u0061":2,"a":3,"A":4}"#)
    #expect(event["a"]?.integer(as: Int.self) == 3)
    #expect(event["A"]?.integer(as: Int.self) == 4)
    #expect(event.members?.map { "\($0.name)=\($0.value)" } == ["a=1", "a=2", "a=3", "A=4"])
    #expect(try json(#"{"a":3,"\u0061":2}"#)["a"]?.integer(as: Int.self) == 2)
  }

  @Test(arguments: [
    (#""\ud83d\ude00""#, "😀"), (#""\u0000\b\f\n\r\t\"\\\/""#, "\0\u{8}\u{c}\n\r\t\"\\/"),
    (#""\uFFFF\uD7FF\uE000""#, "\u{FFFF}\u{D7FF}\u{E000}"),
    ("\"e\u{301}\u{2028}\u{FEFF}\"", "e\u{301}\u{2028}\u{FEFF}"),
  ])
  func `decodes odd Unicode`(text: String, decoded: String) throws {
    let string = try json(text)
    #expect(string.string.map { Array($0.utf8) } == Array(decoded.utf8))
    #expect(string.utf8 == Array(decoded.utf8))
  }

  @Test(arguments: [#""\ud800""#, #""\udc00x""#, #""\ud800\n""#, #""\ud800\u0041""#, #""\ud800\ud800""#])
  func `keeps unpaired surrogates, and rejects them only if they are read`(text: String) throws {
    let event = try json(#"{"odd":\#(text),\#(text):1,"fine":"x"}"#)
    #expect(event["odd"]?.string == nil && event["odd"]?.utf8 == nil)
    #expect(event["odd"]?.description == text)
    #expect(event["fine"]?.string == "x")
    let error = #expect(throws: EventError.self) { try event.read("odd", as: String.self) }
    #expect(error?.description == "'odd' has an unpaired surrogate, so it isn't valid Unicode")
  }

  @Test func `compares names byte by byte`() throws {
    let event = try json("{\"e\u{301}\":1,\"\u{e9}\":2}")
    #expect(event["\u{e9}"]?.description == "2")
    #expect(event["e\u{301}"]?.description == "1")
  }

  @Test(arguments: [
    ("", "unexpected end, expected a value at byte 0"), ("{", "expected a member name at byte 1"),
    ("[1,]", "expected a value at byte 3"), ("[1 2]", "expected ',' or ']' at byte 3"),
    (#"{"a" 1}"#, "expected ':' at byte 5"), (#"{"a":1,}"#, "expected a member name at byte 7"),
    (#"{"a":1]"#, "expected ',' or '}' at byte 6"), ("[]]", "unexpected data after the value at byte 2"),
    ("01", "a number must not have leading zeros at byte 2"), ("-", "expected a value at byte 1"),
    ("1.", "expected a digit after the decimal point at byte 2"),
    ("1e+", "expected a digit in the exponent at byte 3"),
    ("tru", "expected a value at byte 0"), ("NaN", "expected a value at byte 0"),
    ("\"\n\"", "a control character in a string must be escaped at byte 1"),
    ("\"a", "unterminated string at byte 0"),
    (#""\x""#, "invalid escape at byte 1"), (#""\u12g4""#, "expected four hexadecimal digits at byte 5"),
    ("\u{FEFF}{}", "expected a value at byte 0"),
  ])
  func `names the place of a syntax error`(text: String, problem: String) {
    let error = #expect(throws: EventError.self) { try json(text) }
    #expect(error?.problem == "isn't JSON: \(problem)")
  }

  @Test func `rejects bytes that aren't UTF-8`() {
    let error = #expect(throws: EventError.self) {
      try JSON(parsing: Array(#"{"a":""#.utf8) + [0xC3, 0x28] + [0x22, 0x7D])
    }
    #expect(error?.problem == "isn't JSON: the text isn't UTF-8 at byte 6")
  }

  @Test func `accepts 512 levels and rejects more, however many there are`() throws {
    func nested(_ depth: Int) -> String {
      String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
    }
    _ = try json(nested(512))
    for depth in [513, 1_000_000] {
      let error = #expect(throws: EventError.self) { try json(nested(depth)) }
      #expect(error?.problem == "isn't JSON: nested more than 512 levels deep at byte 512")
    }
  }

  @Test func `names the path of any value`() throws {
    let event = try json(#"{"a":[0,{"b":[[1],2]},{"c":{"d":3}}],"e":4}"#)
    #expect(event.path == "" && event["e"]?.path == "e")
    #expect(event["a"]?[0]?.path == "a[0]")
    #expect(event["a"]?[1]?["b"]?[0]?[0]?.path == "a[1].b[0][0]")
    #expect(event["a"]?[1]?["b"]?[1]?.path == "a[1].b[1]")
    #expect(event["a"]?[2]?["c"]?["d"]?.path == "a[2].c.d")
    let long = try json("{\"\(String(repeating: "n", count: 5_000))\":{}}")
    #expect(long.members?.first?.value.path == String(repeating: "n", count: 40) + "…")
    let deep = String(repeating: #"{"name":"#, count: 500) + "1" + String(repeating: "}", count: 500)
    var value = try json(deep)
    while let member = value["name"] { value = member }
    #expect(value.path.hasPrefix("name.name.") && value.path.hasSuffix("…") && value.path.count < 420)
  }

  struct Order: JSONReadable {
    let item: String, count: Int, isGift: Bool, weight: Double, note: String?, parts: [Order]

    init(json: JSON) throws(EventError) {
      item = try json.read("item")
      count = try json.read("count")
      isGift = try json.readIfPresent("isGift") ?? false
      weight = try json.readIfPresent("weight") ?? 0
      note = try json.readIfPresent("note")
      parts = try json.readIfPresent("parts") ?? []
    }
  }

  @Test func `is read as a type of the function`() throws {
    let order = try Order(
      json: json(#"{"item":"lamp","count":2,"weight":1.5,"note":null,"parts":[{"item":"bulb","count":1}]}"#))
    #expect(order.item == "lamp" && order.count == 2 && order.weight == 1.5 && order.note == nil)
    #expect(order.parts.map(\.item) == ["bulb"])
  }

  @Test(arguments: [
    ("[]", "it is an array, but must be an object"), ("{}", "'item' is missing, but must be a string"),
    (#"{"item":null}"#, "'item' is null, but must be a string"),
    (
      #"{"item":"x","count":1.5}"#,
      "'count' must be an integer from -9223372036854775808 to 9223372036854775807"
    ),
    (#"{"item":"x","count":"1"}"#, "'count' is a string, but must be an integer"),
    (#"{"item":"x","count":1,"isGift":0}"#, "'isGift' is a number, but must be a boolean"),
    (#"{"item":"x","count":1,"weight":{}}"#, "'weight' is an object, but must be a number"),
    (#"{"item":"x","count":1,"parts":{}}"#, "'parts' is an object, but must be an array"),
    (
      #"{"item":"x","count":1,"parts":[{"item":"x","count":1,"parts":[{"item":"y"}]}]}"#,
      "'parts[0].parts[0].count' is missing, but must be an integer"
    ),
  ])
  func `names the member that has another shape`(text: String, problem: String) {
    let error = #expect(throws: EventError.self) { try Order(json: json(text)) }
    #expect(error?.description == problem)
  }

  @Test func `writes literals`() throws {
    let name = "ü\n"
    let literal: JSONLiteral = [
      "z": nil, "a": [true, -1, 1.5, "x \(name)"], "big": .json(try json("12345678901234567890.50")),
      "nan": .number(.nan),
    ]
    #expect(
      String(decoding: literal.bytes, as: UTF8.self)
        == #"{"z":null,"a":[true,-1,1.5,"x ü\n"],"big":12345678901234567890.50,"nan":null}"#)
  }
}
