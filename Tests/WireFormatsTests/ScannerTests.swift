import TestSupport
import Testing
import WireFormats

struct `The scanners` {
  /// The bytes that end the plain part of a text, and their neighbours.
  private static let bytes: [UInt8] = [
    0x1F, 0x20, 0x21, 0x22, 0x23, 0x5B, 0x5C, 0x5D, 0x7F, 0x80, 0xA2, 0xDC, 0xFF, 0x00,
  ]

  @Test func `find the end of a text wherever it is`() throws {
    for length in Array(0...26) + [79, 80, 81, 150] {
      for place in 0..<max(1, length) {
        for byte in Self.bytes {
          var text = [UInt8](repeating: UInt8(ascii: "a"), count: length)
          if !text.isEmpty { text[place] = byte }
          let isWhole = !text.contains { $0 < 0x20 || $0 == 0x22 || $0 == 0x5C }
          var scanner = JSONScanner([0x22] + text + [0x22, 0x20])
          let range = try? scanner.text()
          let isFound = range?.end == length + 1 && scanner.isAtEnd()
          #expect(isFound == isWhole, "\(text)")
        }
      }
    }
  }

  @Test(arguments: [
    (#""a\"b\\\/\b\f\n\r\t""#, "a\"b\\/\u{8}\u{C}\n\r\t"), (#""\u00e9\ud83d\ude00!""#, "é😀!"), (#""""#, ""),
    (#""\u0041""#, "A"),
  ])
  func `decode escapes`(json: String, text: String) throws {
    var scanner = JSONScanner(Array(json.utf8))
    let range = try scanner.text()
    #expect(try scanner.string(range) == text)
    #expect(try scanner.unescaped(range) == Array(text.utf8))
    #expect(scanner.matches(range, "A") == (text == "A"))
  }

  @Test(arguments: [#""\ud800""#, #""\ude00\ud83d""#, #""\u12x4""#, #""\u12""#])
  func `reject escapes that stand for no character`(json: String) throws {
    var scanner = JSONScanner(Array(json.utf8))
    let range = try scanner.text()
    #expect(throws: ScanError.self) { try scanner.string(range) }
    #expect(throws: ScanError.self) { try scanner.unescaped(range) }
  }

  @Test func `read booleans`() throws {
    var json = JSONScanner(Array("[true,false]".utf8))
    var cbor = CBORScanner([0x82, 0xF5, 0xF4])
    let found = [try booleans(&json), try booleans(&cbor)]
    #expect(found == [[true, false], [true, false]])
    for bytes: [UInt8] in [[0xF6], [0x01], [0xF8, 0x15], []] {
      var scanner = CBORScanner(bytes)
      #expect(throws: ScanError.self) { try scanner.boolean() }
    }
  }

  private func booleans(_ scanner: inout some DocumentScanner) throws -> [Bool] {
    var found: [Bool] = []
    var list = try scanner.beginList()
    while try scanner.nextElement(of: &list) { found.append(try scanner.boolean()) }
    let isAtEnd = scanner.isAtEnd()
    #expect(isAtEnd)
    return found
  }

  @Test(
    arguments: [[0x18], [0x19, 1], [0x1A, 1, 2, 3], [0x1B, 1, 2, 3, 4, 5, 6, 7], [0x1C], [0x62, 0x61]]
      as [[UInt8]])
  func `reject CBOR that ends too early`(bytes: [UInt8]) {
    var scanner = CBORScanner(bytes)
    #expect(throws: ScanError.self) { try scanner.skip() }
  }
}

struct `CRC-32` {
  @Test func `is that of zlib`() {
    #expect(crc32("123456789".utf8) == 0xCBF4_3926)
    #expect(crc32([UInt8]()) == 0)
  }

  @Test func `is the same for contiguous bytes, for other sequences and in pieces`() {
    let bytes = (0..<70).map { UInt8(truncatingIfNeeded: $0 * 37 + 11) }
    for count in 0...bytes.count {
      let part = Array(bytes.prefix(count))
      #expect(crc32(part) == crc32(AnySequence(part)))
      #expect(crc32(bytes.dropFirst(count), continuing: crc32(part)) == crc32(bytes))
    }
  }
}
