/// The header fields of a message as they were received.
///
/// Fields stay the bytes that came, because most of them are never asked for: a lookup makes a string of the one value
/// that it returns.
package struct HeaderFields: Equatable, Sendable {
  struct Place: Equatable, Sendable {
    let name: Range<Int>
    let value: Range<Int>
  }

  private(set) var bytes: [UInt8] = []
  private(set) var places: [Place] = []

  package init() {}

  /// Keeps `bytes`, a head whose fields ``append(_:)`` then names.
  init(in bytes: [UInt8]) {
    self.bytes = bytes
    places.reserveCapacity(16)
  }

  mutating func append(_ place: Place) { places.append(place) }

  /// Appends a line, with or without its end. A line without a colon is no field and is ignored.
  package mutating func append(line: Span<UInt8>) {
    guard let colon = line.indices.first(where: { line[$0] == UInt8(ascii: ":") }) else { return }
    let start = bytes.count
    unsafe line.withUnsafeBufferPointer { unsafe bytes.append(contentsOf: $0) }
    var (valueStart, valueEnd) = (start + colon + 1, bytes.count)
    while valueStart < valueEnd, isBlankOrLineEnd(bytes[valueStart]) { valueStart += 1 }
    while valueEnd > valueStart, isBlankOrLineEnd(bytes[valueEnd - 1]) { valueEnd -= 1 }
    places.append(Place(name: start..<start + colon, value: valueStart..<valueEnd))
  }

  /// Forgets all fields and keeps the memory for the next ones.
  package mutating func removeAll() {
    bytes.removeAll(keepingCapacity: true)
    places.removeAll(keepingCapacity: true)
  }

  /// All fields, in order.
  package var all: [HeaderField] {
    places.map { HeaderField(HeaderName(text($0.name)), text($0.value)) }
  }

  /// The value of the first field called `name`; nil if there is none. Ill-formed UTF-8 in it is repaired.
  package subscript(_ name: HeaderName) -> String? {
    let wanted = name.text.utf8.span
    let place = places.first { place in
      guard place.name.count == wanted.count else { return false }
      return wanted.indices.allSatisfy {
        lowerCased(bytes[place.name.lowerBound + $0]) == lowerCased(wanted[$0])
      }
    }
    return place.map { text($0.value) }
  }

  /// Whether a field called `name` lists `token`, which is in lower case (RFC 9110, section 5.6.1).
  package func hasToken(_ token: String, in name: HeaderName) -> Bool {
    all.contains { field in
      field.name == name
        && field.value.lowercased().split(whereSeparator: { $0 == "," || $0 == " " }).contains { $0 == token }
    }
  }

  /// The bytes of the value of the first field called `name`.
  func value(_ name: StaticString) -> ArraySlice<UInt8>? {
    for place in places where equals(place.name, name) { return bytes[place.value] }
    return nil
  }

  /// The values of all fields called `name`, in order.
  func values(_ name: StaticString) -> [String] {
    places.filter { equals($0.name, name) }.map { text($0.value) }
  }

  /// Whether the bytes at `range` are `text`, in whatever case.
  func equals(_ range: Range<Int>, _ text: StaticString) -> Bool {
    guard range.count == text.utf8CodeUnitCount else { return false }
    // Lambda writes the names as its documentation does.
    if areEqual(bytes, at: range, to: text) { return true }
    return text.withUTF8Buffer { wanted in
      for (index, position) in range.enumerated() {
        if unsafe lowerCased(bytes[position]) != lowerCased(wanted[index]) { return false }
      }
      return true
    }
  }

  func text(_ range: Range<Int>) -> String { String(decoding: bytes[range], as: UTF8.self) }
}

private func isBlankOrLineEnd(_ byte: UInt8) -> Bool {
  byte == 0x20 || byte == 0x09 || byte == 0x0D || byte == 0x0A
}
