import Testing
import WireFormats

struct `Base64, hexadecimal and percent-encoding` {
  // RFC 4648, section 10.
  @Test(arguments: [
    ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
    ("foobar", "Zm9vYmFy"),
  ])
  func `writes and reads Base64`(text: String, encoded: String) {
    #expect(base64(Array(text.utf8)) == encoded)
    #expect(base64Decoding(encoded) == Array(text.utf8))
  }

  @Test(arguments: ["Z", "Zg", "Zg=", "=Zg=", "Zg==Zg==", "Zm9v====", "Zm 9", "Zm9*", "Zm9v\n"])
  func `rejects what isn't Base64`(text: String) {
    #expect(base64Decoding(text) == nil)
  }

  @Test func `writes and reads every byte in Base64, at every length`() {
    let bytes = (0...255).map { UInt8($0) }
    for count in 0...bytes.count {
      #expect(base64Decoding(base64(Array(bytes.suffix(count)))) == bytes.suffix(count))
    }
  }

  @Test func `finds an invalid character of Base64 at every place`() {
    for count in [1, 8, 9, 10, 40] {
      let digits = Array(base64([UInt8](repeating: 0x5A, count: count)).utf8)
      for index in digits.indices {
        for invalid in [UInt8](0...255) where !isLetterOrDigit(invalid) && !"+/=".utf8.contains(invalid) {
          var damaged = digits
          damaged[index] = invalid
          let decoded = base64Decoding(damaged.span)
          #expect(decoded == nil, "\(invalid) at \(index) of \(digits.count)")
        }
      }
    }
  }

  @Test(arguments: [
    ("", ""), ("AZaz09-._~", "AZaz09-._~"), ("$aws/a b", "%24aws%2Fa%20b"), ("é%+", "%C3%A9%25%2B"),
    ("\u{0}", "%00"),
  ])
  func `percent-encodes all but the unreserved characters`(text: String, encoded: String) {
    #expect(percentEncoding(text.utf8) == encoded)
    #expect(percentDecoding(encoded.utf8) == Array(text.utf8))
  }

  @Test func `percent-encodes each byte that isn't unreserved`() {
    let unreserved = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~".utf8)
    for byte in [UInt8](0...255) {
      #expect((percentEncoding([byte]).utf8.count == 1) == unreserved.contains(byte), "\(byte)")
    }
  }

  @Test func `leaves slashes that separate segments`() {
    #expect(percentEncoding("/a b/c".utf8, keepingSlashes: true) == "/a%20b/c")
  }

  @Test(arguments: ["%", "%2", "%2G", "a%zz", "%%20"])
  func `rejects a truncated or invalid percent escape`(text: String) {
    #expect(percentDecoding(text.utf8) == nil)
  }

  @Test func `writes hexadecimal in lower case`() {
    #expect(hex([0x00, 0x0F, 0xA5, 0xFF]) == "000fa5ff")
  }
}
