import COpenSSL

/// An operation that libcrypto failed to perform: it doesn't support the algorithm, or it is out of memory.
package struct CryptographyError: Error, Equatable, Sendable, CustomStringConvertible {
  package let operation: String

  package init(operation: String) {
    self.operation = operation
  }

  package var description: String { "libcrypto can't compute \(operation)" }
}

/// A SHA-256 digest (FIPS 180-4).
package struct Digest: Equatable, Sendable {
  package private(set) var bytes: InlineArray<32, UInt8>

  /// Computes the digest of `data`.
  package init(of data: [UInt8]) throws(CryptographyError) {
    let context = try DigestContext()
    self = try context.digest(of: data)
  }

  init(bytes: InlineArray<32, UInt8>) {
    self.bytes = bytes
  }

  /// The digest as 64 lower-case hexadecimal digits.
  package var hex: String {
    var digits: [UInt8] = []
    digits.reserveCapacity(64)
    appendHexDigits(to: &digits)
    return String(decoding: digits, as: UTF8.self)
  }

  func appendHexDigits(to digits: inout [UInt8]) {
    AWSClient.appendHexDigits(bytes, to: &digits)
  }

  package static func == (left: Digest, right: Digest) -> Bool {
    left.bytes.indices.allSatisfy { left.bytes[$0] == right.bytes[$0] }
  }
}

/// Appends the lower-case hexadecimal digits of `bytes`.
func appendHexDigits(_ bytes: InlineArray<32, UInt8>, to digits: inout [UInt8]) {
  let start = digits.count
  digits.append(contentsOf: repeatElement(0, count: 64))
  var place = digits.mutableSpan
  writeHexDigits(bytes, to: &place, at: start)
}

/// Writes the lower-case hexadecimal digits of `bytes` to `place`, beginning at `start`.
func writeHexDigits(_ bytes: InlineArray<32, UInt8>, to place: inout MutableSpan<UInt8>, at start: Int) {
  let source = unsafe bytes.span.bytes
  unsafe place.withUnsafeMutableBytes { place in
    for index in 0..<8 {
      let four = unsafe source.unsafeLoadUnaligned(fromByteOffset: 4 * index, as: UInt32.self)
      let digits = hexDigits(UInt32(littleEndian: four)).littleEndian
      unsafe place.storeBytes(of: digits, toByteOffset: start + 8 * index, as: UInt64.self)
    }
  }
}

/// Returns the eight digits of four bytes. The first byte has the lowest bits, and so has its first digit.
private func hexDigits(_ bytes: UInt32) -> UInt64 {
  let ones: UInt64 = 0x0101_0101_0101_0101
  var spread = UInt64(bytes)
  spread = (spread | spread << 16) & 0x0000_FFFF_0000_FFFF
  spread = (spread | spread << 8) & 0x00FF_00FF_00FF_00FF
  let values = spread >> 4 & 0x000F_000F_000F_000F | (spread & 0x000F_000F_000F_000F) << 8
  // The values of letters are at least ten, and carry into the upper half of their byte.
  let letters = (values &+ ones &* 6) >> 4 & ones
  return values &+ ones &* 0x30 &+ letters &* UInt64(UInt8(ascii: "a") - 10 - UInt8(ascii: "0"))
}

/// Computes any number of SHA-256 digests with one OpenSSL context.
///
/// OpenSSL 3 looks up an algorithm each time it is named. If the algorithm is fetched once and its context reused, a
/// digest of 64 bytes takes a third of the time.
@safe
struct DigestContext: ~Copyable {
  nonisolated(unsafe) private static let algorithm = {
    openSSLStart
    return unsafe EVP_MD_fetch(nil, "SHA256", nil)
  }()

  private let context: OpaquePointer

  init() throws(CryptographyError) {
    guard unsafe Self.algorithm != nil, let context = unsafe EVP_MD_CTX_new() else {
      throw CryptographyError(operation: "SHA-256")
    }
    unsafe self.context = context
  }

  deinit {
    unsafe EVP_MD_CTX_free(context)
  }

  borrowing func digest(of data: [UInt8]) throws(CryptographyError) -> Digest {
    var bytes = InlineArray<32, UInt8>(repeating: 0)
    let isDone = unsafe data.withUnsafeBytes { input in
      var output = bytes.mutableSpan
      return unsafe output.withUnsafeMutableBytes { output in
        unsafe EVP_DigestInit_ex2(context, Self.algorithm, nil) == 1
          && EVP_DigestUpdate(context, input.baseAddress, input.count) == 1
          && EVP_DigestFinal_ex(
            context, output.baseAddress?.assumingMemoryBound(to: UInt8.self), nil) == 1
      }
    }
    guard isDone else { throw CryptographyError(operation: "SHA-256") }
    return Digest(bytes: bytes)
  }
}
