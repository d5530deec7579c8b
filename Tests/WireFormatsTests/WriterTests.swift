import Testing
import WireFormats

/// A document with one of everything, written by either writer.
private func writeSample(to document: inout some DocumentWriter & ~Copyable) {
  document.beginMap(count: 5)
  document.member("text", "a\"\\\n\u{1}\u{7F}é")
  document.member("max", UInt64.max)
  document.key("half")
  document.number(0.5)
  document.key("list")
  document.beginList(count: 3)
  document.boolean(true)
  document.beginList(count: 0)
  document.endList()
  document.beginMap(count: 0)
  document.endMap()
  document.endList()
  document.key("no")
  document.boolean(false)
  document.endMap()
}

struct `A document writer` {
  @Test func `writes compact JSON`() {
    var document = JSONWriter()
    writeSample(to: &document)
    #expect(
      String(decoding: document.bytes, as: UTF8.self)
        == #"{"text":"a\"\\\n\u0001\u007fé","max":18446744073709551615,"half":0.5,"list":[true,[],{}],"no":false}"#
    )
  }

  @Test(arguments: [Double.infinity, -.infinity, .nan])
  func `writes null for a number that JSON can't represent`(number: Double) {
    var document = JSONWriter()
    document.number(number)
    #expect(document.bytes == Array("null".utf8))
  }

  // The heads are those of RFC 8949, Appendix A.
  @Test(
    arguments: [
      (0, "00"), (1, "01"), (23, "17"), (24, "1818"), (255, "18ff"), (256, "190100"), (1000, "1903e8"),
      (65_535, "19ffff"),
      (65_536, "1a00010000"), (1_000_000, "1a000f4240"), (4_294_967_295, "1affffffff"),
      (4_294_967_296, "1b0000000100000000"), (1_000_000_000_000, "1b000000e8d4a51000"),
      (UInt64.max, "1bffffffffffffffff"),
    ] as [(UInt64, String)])
  func `writes integers in the fewest bytes`(value: UInt64, bytes: String) {
    var document = CBORWriter()
    document.integer(value)
    #expect(hex(document.bytes) == bytes)
  }

  @Test func `writes CBOR with definite lengths`() {
    var document = CBORWriter()
    writeSample(to: &document)
    #expect(
      hex(document.bytes)
        == "a5" + "64" + hex("text".utf8) + "68" + hex("a\"\\\n\u{1}\u{7F}é".utf8) + "63" + hex("max".utf8)
        + "1bffffffffffffffff" + "64" + hex("half".utf8) + "fb3fe0000000000000" + "64" + hex("list".utf8)
        + "83f580a0" + "62" + hex("no".utf8) + "f4")
  }

  @Test func `writes every length of number as the standard library does`() {
    var values: [UInt64] = [0, .max]
    var power: UInt64 = 1
    for _ in 0..<19 {
      power *= 10
      values += [power - 1, power, power + 1, power / 3, power / 2 + 7]
    }
    for value in values {
      var document = JSONWriter()
      document.integer(value)
      #expect(document.bytes == Array(String(value).utf8))
    }
  }

  @Test(arguments: ["", "a", "eth0", "a\"b", "\u{1}", "é", String(repeating: "x", count: 32)])
  func `writes short text as it writes any other`(text: String) throws {
    let short = try #require(ShortText(text))
    #expect(short.string == text)
    #expect(try #require(ShortText(text)) == short)
    var json = JSONWriter()
    var otherJSON = JSONWriter()
    json.beginList(count: 2)
    otherJSON.beginList(count: 2)
    var cbor = CBORWriter()
    var otherCBOR = CBORWriter()
    for _ in 0..<2 {
      json.string(short)
      otherJSON.string(text)
      cbor.string(short)
      otherCBOR.string(text)
    }
    #expect(json.bytes == otherJSON.bytes)
    #expect(cbor.bytes == otherCBOR.bytes)
  }

  @Test func `doesn't treat text of more than 32 bytes as short`() {
    #expect(ShortText(String(repeating: "x", count: 33)) == nil)
    #expect(ShortText(String(repeating: "é", count: 17)) == nil)
  }

  @Test func `grows with what is written`() {
    var document = CBORWriter(capacity: 0)
    for _ in 0..<1_000 { document.key("a name of several characters" as ShortText) }
    document.string(String(repeating: "y", count: 100_000))
    #expect(document.bytes.count == 1_000 * 30 + 5 + 100_000)
    #expect(document.bytes.suffix(100_000).allSatisfy { $0 == UInt8(ascii: "y") })
  }

  @Test(arguments: [0, 1, 23, 24, 53, 255])
  func `writes plain text whose length isn't known in advance`(length: Int) {
    let text = [UInt8](repeating: UInt8(ascii: "x"), count: length)
    var json = JSONWriter()
    json.beginList(count: 2)
    var cbor = CBORWriter()
    for _ in 0..<2 {
      json.string(plain: { text in for _ in 0..<length { text.append(UInt8(ascii: "x")) } })
      cbor.string(plain: { text in for _ in 0..<length { text.append(UInt8(ascii: "x")) } })
    }
    let quoted = "\"\(String(decoding: text, as: UTF8.self))\""
    #expect(json.bytes == Array("[\(quoted),\(quoted)".utf8))
    let head: [UInt8] = length < 24 ? [0x60 + UInt8(length)] : [0x78, UInt8(length)]
    #expect(cbor.bytes == head + text + head + text)
  }
}
