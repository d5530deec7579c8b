import COpenSSL

/// An HMAC-SHA-256 (RFC 2104): a step of the signing key, and the signature itself.
package struct AuthenticationCode: Equatable, Sendable {
  package private(set) var bytes: InlineArray<32, UInt8>

  init(bytes: InlineArray<32, UInt8>) {
    self.bytes = bytes
  }

  /// The code as 64 lower-case hexadecimal digits.
  package var hex: String {
    var digits: [UInt8] = []
    digits.reserveCapacity(64)
    appendHexDigits(to: &digits)
    return String(decoding: digits, as: UTF8.self)
  }

  func appendHexDigits(to digits: inout [UInt8]) {
    AWSClient.appendHexDigits(bytes, to: &digits)
  }

  /// Compares in constant time, so that the time doesn't reveal how many bytes match.
  package static func == (left: AuthenticationCode, right: AuthenticationCode) -> Bool {
    var difference: UInt8 = 0
    for index in left.bytes.indices { difference |= left.bytes[index] ^ right.bytes[index] }
    return difference == 0
  }
}

/// Computes any number of HMAC-SHA-256 codes with one OpenSSL context.
@safe
struct AuthenticationContext: ~Copyable {
  nonisolated(unsafe) private static let algorithm = {
    openSSLStart
    return unsafe EVP_MAC_fetch(nil, "HMAC", nil)
  }()

  private let context: OpaquePointer

  init() throws(CryptographyError) {
    guard let context = unsafe EVP_MAC_CTX_new(Self.algorithm) else {
      throw CryptographyError(operation: "HMAC")
    }
    guard unsafe copenssl_mac_use_sha256(context) == 1 else {
      unsafe EVP_MAC_CTX_free(context)
      throw CryptographyError(operation: "HMAC-SHA-256")
    }
    unsafe self.context = context
  }

  deinit {
    unsafe EVP_MAC_CTX_free(context)
  }

  /// Returns the code of `data` under `key`, which the context keeps for ``codeUnderLastKey(of:)``.
  borrowing func code(
    of data: [UInt8], key: Span<UInt8>
  ) throws(CryptographyError) -> AuthenticationCode {
    let isReady = unsafe key.withUnsafeBytes { key in
      // OpenSSL treats a null key as "reuse the last key", so an empty key needs an address, too.
      var nothing: UInt8 = 0
      let keyStart = unsafe key.baseAddress?.assumingMemoryBound(to: UInt8.self)
      return unsafe withUnsafePointer(to: &nothing) { nothing in
        unsafe EVP_MAC_init(context, keyStart ?? nothing, key.count, nil) == 1
      }
    }
    return try finish(data, isReady)
  }

  /// Returns the code of `data` under the last key, which needs no new setup.
  borrowing func codeUnderLastKey(of data: [UInt8]) throws(CryptographyError) -> AuthenticationCode {
    try finish(data, unsafe EVP_MAC_init(context, nil, 0, nil) == 1)
  }

  private borrowing func finish(
    _ data: [UInt8], _ isReady: Bool
  ) throws(CryptographyError) -> AuthenticationCode {
    var bytes = InlineArray<32, UInt8>(repeating: 0)
    var size = 0
    let isDone = unsafe data.withUnsafeBufferPointer { input in
      var output = bytes.mutableSpan
      return unsafe output.withUnsafeMutableBufferPointer { output in
        unsafe EVP_MAC_update(context, input.baseAddress, input.count) == 1
          && EVP_MAC_final(context, output.baseAddress, &size, output.count) == 1
      }
    }
    guard isReady, isDone, size == 32 else { throw CryptographyError(operation: "HMAC-SHA-256") }
    return AuthenticationCode(bytes: bytes)
  }
}
