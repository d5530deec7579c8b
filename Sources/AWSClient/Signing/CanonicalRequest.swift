import WireFormats

package import HTTPClient

/// What of a request is signed, in the one spelling that both sides agree on.
///
/// "Create a canonical request", AWS Signature Version 4, for every service but S3: the path, which is encoded on
/// the wire already, is encoded a second time.
package struct CanonicalRequest {
  package let bytes: [UInt8]
  /// The names of the signed headers: lower case, sorted, with semicolons between.
  package let signedHeaders: String

  /// Writes a canonical request.
  ///
  /// `path` and `query` are as on the wire; `headers` are those to sign, `Host` among them, in their order;
  /// `normalizingPath` takes dot segments and empty segments out, as all AWS services but S3 do.
  package init(
    method: String, path: some StringProtocol, query: some StringProtocol, headers: [HTTPHeader],
    payloadHash: Digest, normalizingPath: Bool = true
  ) {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(1_536)
    bytes.append(contentsOf: method.utf8)
    bytes.append(lineFeed)
    appendCanonicalPath(path.utf8, normalizing: normalizingPath, to: &bytes)
    bytes.append(lineFeed)
    appendCanonicalQuery(query.utf8, to: &bytes)
    bytes.append(lineFeed)
    signedHeaders = appendCanonicalHeaders(headers, to: &bytes)
    bytes.append(lineFeed)
    bytes.append(contentsOf: signedHeaders.utf8)
    bytes.append(lineFeed)
    payloadHash.appendHexDigits(to: &bytes)
    self.bytes = bytes
  }

  package var text: String { String(decoding: bytes, as: UTF8.self) }
}

private let lineFeed = UInt8(ascii: "\n")
private let slash = UInt8(ascii: "/")

/// Appends `path` with every byte but the unreserved ones and `/` encoded.
private func appendCanonicalPath(
  _ path: some Sequence<UInt8>, normalizing: Bool, to bytes: inout [UInt8]
) {
  guard normalizing else { return appendPercentEncoding(path, keepingSlashes: true, to: &bytes) }
  var segments: [ArraySlice<UInt8>] = []
  let path = Array(path)
  for segment in path.split(separator: slash, omittingEmptySubsequences: true) {
    if segment.elementsEqual(".".utf8) { continue }
    if segment.elementsEqual("..".utf8) {
      _ = segments.popLast()
    } else {
      segments.append(segment)
    }
  }
  for segment in segments {
    bytes.append(slash)
    appendPercentEncoding(segment, to: &bytes)
  }
  if segments.isEmpty || path.last == slash { bytes.append(slash) }
}

/// Appends the parameters sorted by encoded name, then by value, each `name=value`.
private func appendCanonicalQuery(_ query: some Sequence<UInt8>, to bytes: inout [UInt8]) {
  var parameters: [(name: [UInt8], value: [UInt8])] = []
  for parameter in Array(query).split(separator: UInt8(ascii: "&"), omittingEmptySubsequences: true) {
    let equals = parameter.firstIndex(of: UInt8(ascii: "=")) ?? parameter.endIndex
    parameters.append((reencoded(parameter[..<equals]), reencoded(parameter[equals...].dropFirst())))
  }
  if parameters.count > 1 {
    parameters.sort { left, right in
      if left.name != right.name { return left.name.lexicographicallyPrecedes(right.name) }
      return left.value.lexicographicallyPrecedes(right.value)
    }
  }
  for (index, parameter) in parameters.enumerated() {
    if index > 0 { bytes.append(UInt8(ascii: "&")) }
    bytes.append(contentsOf: parameter.name)
    bytes.append(UInt8(ascii: "="))
    bytes.append(contentsOf: parameter.value)
  }
}

/// `text` in the one strict encoding; a `%` that encodes nothing stands for itself.
private func reencoded(_ text: ArraySlice<UInt8>) -> [UInt8] {
  var encoded: [UInt8] = []
  appendPercentEncoding(percentDecoding(text) ?? Array(text), to: &encoded)
  return encoded
}

/// Appends a line for each header name and returns the names, with semicolons between.
private func appendCanonicalHeaders(_ headers: [HTTPHeader], to bytes: inout [UInt8]) -> String {
  var fields = headers.map { (name: lowerCased($0.name), value: $0.value) }
  // By name alone: of one name, the values keep their order.
  sortByName(&fields)
  var names = ""
  var index = 0
  while index < fields.count {
    let name = fields[index].name
    if !names.isEmpty { names += ";" }
    names += name
    bytes.append(contentsOf: name.utf8)
    bytes.append(UInt8(ascii: ":"))
    appendTrimmed(fields[index].value, to: &bytes)
    index += 1
    while index < fields.count, fields[index].name == name {
      bytes.append(UInt8(ascii: ","))
      appendTrimmed(fields[index].value, to: &bytes)
      index += 1
    }
    bytes.append(lineFeed)
  }
  return names
}

/// Sorts stably, which the standard library doesn't promise to; a handful of headers is no case for more.
private func sortByName(_ fields: inout [(name: String, value: String)]) {
  for start in fields.indices.dropFirst() {
    var index = start
    while index > 0, fields[index].name.utf8.lexicographicallyPrecedes(fields[index - 1].name.utf8) {
      fields.swapAt(index, index - 1)
      index -= 1
    }
  }
}

/// Appends `value` without white space at its ends, and with one space for each run of it inside.
private func appendTrimmed(_ value: String, to bytes: inout [UInt8]) {
  let start = bytes.count
  var hasGap = false
  for byte in value.utf8 {
    if byte == 0x20 || (0x09...0x0D).contains(byte) {
      hasGap = bytes.count > start
      continue
    }
    if hasGap { bytes.append(0x20) }
    hasGap = false
    bytes.append(byte)
  }
}

private func lowerCased(_ name: String) -> String {
  let hasUpperCase = name.utf8.contains { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) }
  return hasUpperCase ? name.lowercased() : name
}
