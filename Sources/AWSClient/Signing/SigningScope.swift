/// The scope of a signature: a day, a region and a service.
package struct SigningScope: Hashable, Sendable {
  /// The day in UTC, such as `20260102`.
  package let date: String
  package let region: String
  package let service: String

  package init(date: String, region: String, service: String) {
    self.date = date
    self.region = region
    self.service = service
  }

  /// The scope as text, such as `20260102/us-east-1/iotdata/aws4_request`.
  package var text: String { "\(date)/\(region)/\(service)/aws4_request" }

  /// Returns the key that signs within this scope ("Derive a signing key", AWS Signature Version 4).
  func signingKey(
    _ secretAccessKey: Secret, _ context: borrowing AuthenticationContext
  ) throws(CryptographyError) -> AuthenticationCode {
    let secret = Array("AWS4\(secretAccessKey.revealed)".utf8)
    var key = try context.code(of: Array(date.utf8), key: secret.span)
    for part in [region, service, "aws4_request"] {
      key = try context.code(of: Array(part.utf8), key: key.bytes.span)
    }
    return key
  }

  /// Returns the string to sign: the time, the scope and the digest of the canonical request ("Create a string to
  /// sign", AWS Signature Version 4). `timestamp` has the form `20260102T030405Z`.
  package func stringToSign(_ canonicalRequestHash: Digest, at timestamp: String) -> [UInt8] {
    Array("\(Self.algorithm)\n\(timestamp)\n\(text)\n\(canonicalRequestHash.hex)".utf8)
  }

  static let algorithm = "AWS4-HMAC-SHA256"
  /// The offset at which the timestamp ends in a string to sign.
  static let timeEnd = algorithm.utf8.count + 1 + "20260102T030405Z".utf8.count
}
