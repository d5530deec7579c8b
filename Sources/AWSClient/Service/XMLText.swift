import WireFormats

/// Returns the text of the first element called `name`; nil if there is none or its content isn't plain text.
///
/// Sufficient for the responses of STS and SNS, which have no attributes, CDATA or comments in the elements that matter.
func xmlText(_ name: String, in document: String) -> String? {
  let bytes = Array(document.utf8)
  guard
    let start = firstIndex(of: Array("<\(name)>".utf8), in: bytes[...]).map({ $0 + name.utf8.count + 2 }),
    let end = firstIndex(of: Array("</\(name)>".utf8), in: bytes[start...])
  else { return nil }
  var text: [UInt8] = []
  var rest = bytes[start..<end]
  while let byte = rest.popFirst() {
    guard byte == UInt8(ascii: "&") else {
      if byte == UInt8(ascii: "<") { return nil }
      text.append(byte)
      continue
    }
    guard let semicolon = rest.firstIndex(of: UInt8(ascii: ";")),
      let character = xmlEntities[String(decoding: rest[..<semicolon], as: UTF8.self)]
    else { return nil }
    text.append(character)
    rest = rest[(semicolon + 1)...]
  }
  return trimmingBlanks(String(decoding: text, as: UTF8.self))
}

private let xmlEntities: [String: UInt8] = [
  "amp": UInt8(ascii: "&"), "lt": UInt8(ascii: "<"), "gt": UInt8(ascii: ">"), "quot": UInt8(ascii: "\""),
  "apos": UInt8(ascii: "'"), "#39": UInt8(ascii: "'"), "#34": UInt8(ascii: "\""),
]

private func firstIndex(of part: [UInt8], in bytes: ArraySlice<UInt8>) -> Int? {
  guard bytes.count >= part.count else { return nil }
  return (bytes.startIndex...(bytes.endIndex - part.count)).first { bytes[$0...].starts(with: part) }
}
