/// The header fields of a message as received.
///
/// Fields are kept as bytes, because most of them are never used. A lookup converts only the value that it returns to a string.
package struct HeaderFields: Equatable, Sendable {
  struct Place: Equatable, Sendable {
    let name: Range<Int>
    let value: Range<Int>
  }

  private(set) var bytes: [UInt8] = []
  private(set) var places: [Place] = []

  package init() {}

  /// Creates a value for the fields in `bytes`. Call ``append(_:)`` with the position of each field.
  init(in bytes: [UInt8]) {
    self.bytes = bytes
    places.reserveCapacity(16)
  }

  mutating func append(_ place: Place) { places.append(place) }

  /// Appends a header line, with or without its line end. Ignores a line without a colon.
  package mutating func append(line: Span<UInt8>) {
    guard let colon = line.indices.first(where: { line[$0] == UInt8(ascii: ":") }) else { return }
    let start = bytes.count
    unsafe line.withUnsafeBufferPointer { unsafe bytes.append(contentsOf: $0) }
    var (valueStart, valueEnd) = (start + colon + 1, bytes.count)
    while valueStart < valueEnd, isBlankOrLineEnd(bytes[valueStart]) { valueStart += 1 }
    while valueEnd > valueStart, isBlankOrLineEnd(bytes[valueEnd - 1]) { valueEnd -= 1 }
    places.append(Place(name: start..<start + colon, value: valueStart..<valueEnd))
  }

  /// Removes all fields, and keeps the allocated memory.
  package mutating func removeAll() {
    bytes.removeAll(keepingCapacity: true)
    places.removeAll(keepingCapacity: true)
  }

  /// All fields, in order.
  package var all: [HeaderField] {
    places.map { HeaderField(HeaderName(text($0.name)), text($0.value)) }
  }

  /// The value of the first field called `name`; nil if there is none. Invalid UTF-8 is replaced.
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

  /// Returns whether a field called `name` contains `token` in its list (RFC 9110, section 5.6.1). `token` must be in lower case.
  package func hasToken(_ token: String, in name: HeaderName) -> Bool {
    all.contains { field in
      field.name == name
        && field.value.lowercased().split(whereSeparator: { $0 == "," || $0 == " " }).contains { $0 == token }
    }
  }

  /// Returns the bytes of the first field called `name`; nil if there is none.
  func value(_ name: StaticString) -> ArraySlice<UInt8>? {
    for place in places where equals(place.name, name) { return bytes[place.value] }
    return nil
  }

  /// Returns the values of all fields called `name`, in the order received.
  func values(_ name: StaticString) -> [String] {
    places.filter { equals($0.name, name) }.map { text($0.value) }
  }

  /// Returns whether the bytes in `range` equal `text`, ignoring case.
  func equals(_ range: Range<Int>, _ text: StaticString) -> Bool {
    guard range.count == text.utf8CodeUnitCount else { return false }
    // Fast path: Lambda spells the names as its documentation does.
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
