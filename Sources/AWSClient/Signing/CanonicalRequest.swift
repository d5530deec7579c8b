package import WireFormats

/// The parts of a request that are signed, in the canonical form that both sides compute.
///
/// Implements "Create a canonical request" (AWS Signature Version 4) for every service except S3: the path, already
/// encoded on the wire, is encoded a second time. Works on bytes throughout: with a string for each part, a signature
/// took five times as long.
package struct CanonicalRequest {
  package let bytes: [UInt8]
  private let signedHeadersRange: Range<Int>
  /// The offset in ``bytes`` at which the value of the last element of `headers` ends.
  let endOfLastValue: Int

  /// Creates a canonical request.
  ///
  /// `path` and `query` are as on the wire. `headers` are the headers to sign, including `Host`, in their order.
  /// `normalizingPath` removes dot segments and empty segments, as all AWS services except S3 do.
  package init(
    method: String, path: some StringProtocol, query: some StringProtocol, headers: [HeaderField],
    payloadHash: Digest, normalizingPath: Bool = true
  ) {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(1_536)
    bytes.append(contentsOf: method.utf8)
    bytes.append(lineFeed)
    appendCanonicalPath(Array(path.utf8)[...], normalizing: normalizingPath, to: &bytes)
    bytes.append(lineFeed)
    appendCanonicalQuery(Array(query.utf8)[...], to: &bytes)
    bytes.append(lineFeed)
    let (names, endOfLastValue) = appendCanonicalHeaders(headers, to: &bytes)
    self.endOfLastValue = endOfLastValue
    bytes.append(lineFeed)
    signedHeadersRange = bytes.count..<bytes.count + names.count
    bytes.append(contentsOf: names)
    bytes.append(lineFeed)
    payloadHash.appendHexDigits(to: &bytes)
    self.bytes = bytes
  }

  package var text: String { String(decoding: bytes, as: UTF8.self) }

  /// The names of the signed headers: lower-case, sorted, separated by semicolons.
  package var signedHeaders: String { String(decoding: signedHeaderBytes, as: UTF8.self) }

  var signedHeaderBytes: ArraySlice<UInt8> { bytes[signedHeadersRange] }
}

private let lineFeed = UInt8(ascii: "\n")
private let slash = UInt8(ascii: "/")
private let dot = UInt8(ascii: ".")

/// Appends `path`, encoding every byte except `/` and the unreserved characters.
private func appendCanonicalPath(_ path: ArraySlice<UInt8>, normalizing: Bool, to bytes: inout [UInt8]) {
  guard normalizing else { return appendPercentEncoding(path, keepingSlashes: true, to: &bytes) }
  // The offset of each segment in `bytes`, including the slash before it, so that `..` can remove the last one.
  var starts: [Int] = []
  var position = path.startIndex
  while position < path.endIndex {
    let end = path[position...].firstIndex(of: slash) ?? path.endIndex
    let segment = path[position..<end]
    position = end + 1
    switch segment.count {
    case 0: continue
    case 1 where segment.first == dot: continue
    case 2 where segment.first == dot && segment.last == dot:
      if let start = starts.popLast() { bytes.removeLast(bytes.count - start) }
    default:
      starts.append(bytes.count)
      bytes.append(slash)
      appendPercentEncoding(segment, to: &bytes)
    }
  }
  if starts.isEmpty || path.last == slash { bytes.append(slash) }
}

/// Appends the parameters as `name=value`, sorted by encoded name, then by encoded value.
private func appendCanonicalQuery(_ query: ArraySlice<UInt8>, to bytes: inout [UInt8]) {
  var parameters: [(name: [UInt8], value: [UInt8])] = []
  var position = query.startIndex
  while position < query.endIndex {
    let end = query[position...].firstIndex(of: UInt8(ascii: "&")) ?? query.endIndex
    let parameter = query[position..<end]
    position = end + 1
    if parameter.isEmpty { continue }
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

/// Returns `text` in the strict percent-encoding. If it isn't validly encoded, each `%` stands for itself.
private func reencoded(_ text: ArraySlice<UInt8>) -> [UInt8] {
  var encoded: [UInt8] = []
  encoded.reserveCapacity(text.count)
  if text.contains(UInt8(ascii: "%")), let decoded = percentDecoding(text) {
    appendPercentEncoding(decoded[...], to: &encoded)
  } else {
    appendPercentEncoding(text, to: &encoded)
  }
  return encoded
}

/// Appends a line for each header name. Returns the names, separated by semicolons, and the offset at which the value
/// of the last of `headers` ends.
private func appendCanonicalHeaders(
  _ headers: [HeaderField], to bytes: inout [UInt8]
) -> (names: [UInt8], endOfLastValue: Int) {
  let order = orderByName(headers)
  var names: [UInt8] = []
  names.reserveCapacity(128)
  var previous: Int?
  var endOfLastValue = bytes.count
  for index in order {
    let field = headers[index]
    if let previous, headers[previous].name == field.name {
      // Another value of the same header: a comma replaces the line feed.
      bytes.removeLast()
      bytes.append(UInt8(ascii: ","))
    } else {
      if previous != nil { names.append(UInt8(ascii: ";")) }
      let start = names.count
      for byte in field.name.text.utf8 { names.append(lowerCased(byte)) }
      bytes.append(contentsOf: names[start...])
      bytes.append(UInt8(ascii: ":"))
    }
    appendTrimmed(field.value, to: &bytes)
    if index == headers.count - 1 { endOfLastValue = bytes.count }
    bytes.append(lineFeed)
    previous = index
  }
  return (names, endOfLastValue)
}

/// Returns the indices of `headers` sorted by name; headers of the same name keep their order.
///
/// The standard library doesn't guarantee a stable sort, and for a handful of headers an insertion sort is enough.
private func orderByName(_ headers: [HeaderField]) -> [Int] {
  var order = Array(headers.indices)
  for start in order.indices.dropFirst() {
    var position = start
    while position > 0, precedes(headers[order[position]].name, headers[order[position - 1]].name) {
      order.swapAt(position, position - 1)
      position -= 1
    }
  }
  return order
}

/// Returns whether one header name sorts before another, ignoring case.
private func precedes(_ left: HeaderName, _ right: HeaderName) -> Bool {
  var leftBytes = left.text.utf8.makeIterator()
  var rightBytes = right.text.utf8.makeIterator()
  while let rightByte = rightBytes.next() {
    guard let leftByte = leftBytes.next() else { return true }
    let (lowerLeft, lowerRight) = (lowerCased(leftByte), lowerCased(rightByte))
    if lowerLeft != lowerRight { return lowerLeft < lowerRight }
  }
  return false
}

/// Appends `value` without white space at its ends; each run of white space inside becomes one space.
private func appendTrimmed(_ value: String, to bytes: inout [UInt8]) {
  guard hasSpace(value) else {
    bytes.append(contentsOf: value.utf8)
    return
  }
  let start = bytes.count
  var hasGap = false
  for byte in value.utf8 {
    if isSpace(byte) {
      hasGap = bytes.count > start
      continue
    }
    if hasGap { bytes.append(0x20) }
    hasGap = false
    bytes.append(byte)
  }
}

private func hasSpace(_ text: String) -> Bool {
  // Not the view's `contains(where:)`, which took a tenth of a signature's instructions outside of libcrypto.
  let bytes = text.utf8.span
  for index in bytes.indices where isSpace(bytes[index]) { return true }
  return false
}

private func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }
