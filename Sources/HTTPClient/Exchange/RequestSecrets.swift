import WireFormats

extension HTTPRequest {
  /// The tokens and signatures of this request, which must not get from a response into a log line or an error.
  package var secrets: [String] {
    var secrets =
      url.utf8.firstIndex(of: UInt8(ascii: "?")).map { querySecrets(url[$0...].dropFirst()) } ?? []
    for field in headers where secretFields.contains(field.name) {
      // The signature ends the field; the scope and the header names before it aren't secret.
      let signature = Array("Signature=".utf8)
      let bytes = Array(field.value.utf8)
      let start = bytes.indices.first { bytes[$0...].starts(with: signature) }
      secrets.append(
        start.map { String(decoding: bytes[($0 + signature.count)...], as: UTF8.self) } ?? field.value)
    }
    return secrets
  }
}

/// Returns the values in `query` that sign a URL, both percent-encoded and decoded.
package func querySecrets(_ query: some StringProtocol) -> [String] {
  query.split(separator: "&").flatMap { item -> [String] in
    guard let equals = item.firstIndex(of: "="), secretParameters.contains(item[..<equals].lowercased())
    else {
      return []
    }
    let value = item[equals...].dropFirst()
    return [String(value)] + (percentDecoding(value.utf8).map { [String(decoding: $0, as: UTF8.self)] } ?? [])
  }
}

private let secretFields: [HeaderName] = [.authorization, .amzSecurityToken, .ec2MetadataToken]
private let secretParameters: Set<String> = ["x-amz-security-token", "x-amz-signature"]
