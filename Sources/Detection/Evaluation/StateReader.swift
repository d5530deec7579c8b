import Glibc
import WireFormats

/// The names in the last state that was read. The states of a profile's things have the same names at the same places, so reading
/// the next state creates no strings for them.
package struct StateNames {
  /// The largest number of names to remember.
  private static let limit = 256
  /// The most bytes of a name to remember. AWS's own limit is 128.
  private static let longestName = 128

  private var names: [(bytes: [UInt8], text: String)] = []
  /// The place of the next name in the state.
  fileprivate var next = 0

  package init() {}

  /// Returns the next name of a state as a string; nil if its `bytes` aren't UTF-8.
  fileprivate mutating func text(_ bytes: Span<UInt8>) -> String? {
    defer { next += 1 }
    if next < names.count, areEqual(names[next].bytes, bytes) { return names[next].text }
    guard let text = String(utf8: bytes) else { return nil }
    guard bytes.count <= Self.longestName else { return text }
    let name = (Array(text.utf8), text)
    if next < names.count { names[next] = name } else if next < Self.limit { names.append(name) }
    return text
  }
}

private func areEqual(_ left: [UInt8], _ right: Span<UInt8>) -> Bool {
  guard left.count == right.count else { return false }
  return unsafe left.withUnsafeBytes { left in
    unsafe right.withUnsafeBytes { right in
      // If they are empty, they may have no address.
      guard let start = left.baseAddress, let other = right.baseAddress else { return true }
      return unsafe memcmp(start, other, left.count) == 0
    }
  }
}

/// Reads a saved state item by item, without building a tree. An error names the member that has it.
struct StateReader<Scanner: DocumentScanner> {
  private var scanner: Scanner
  private(set) var names: StateNames

  init(_ scanner: Scanner, _ names: StateNames = StateNames()) {
    self.scanner = scanner
    self.names = names
    self.names.next = 0
  }

  /// Reads the members of a map. `member` must read or skip each one; it gets the key for ``matches(_:_:)``.
  @inline(__always)
  mutating func map(
    _ name: StaticString,
    _ member: (inout StateReader, TextRange) throws(DetectionStateError) -> Void
  ) throws(DetectionStateError) {
    var map = try value(name) { scanner throws(ScanError) in try scanner.beginMap() }
    while let key = try syntax({ scanner throws(ScanError) in try scanner.nextKey(of: &map) }) {
      try member(&self, key)
    }
  }

  /// Reads the elements of a list. `element` must read or skip each one.
  @inline(__always)
  mutating func list(
    _ name: StaticString, _ element: (inout StateReader) throws(DetectionStateError) -> Void
  ) throws(DetectionStateError) {
    var list = try value(name) { scanner throws(ScanError) in try scanner.beginList() }
    while try syntax({ scanner throws(ScanError) in try scanner.nextElement(of: &list) }) {
      try element(&self)
    }
  }

  @inline(__always)
  func matches(_ key: TextRange, _ name: StaticString) -> Bool { scanner.matches(key, name) }

  mutating func text(_ name: StaticString) throws(DetectionStateError) -> String {
    try value(name) { scanner throws(ScanError) in try scanner.string(scanner.text()) }
  }

  /// Returns a text that probably recurs in the states of other things. Reuses its string if the last state had it at the same place.
  mutating func name(_ name: StaticString) throws(DetectionStateError) -> String {
    let text = try value(name) { scanner throws(ScanError) in try scanner.text() }
    guard !text.hasEscapes, let name = names.text(scanner.bytes.span.extracting(text.start..<text.end)) else {
      return try value(name) { scanner throws(ScanError) in try scanner.string(text) }
    }
    return name
  }

  /// Returns the text; nil if the value is of another kind, which is skipped.
  mutating func textIfAny() throws(DetectionStateError) -> String? {
    try syntax { scanner throws(ScanError) in
      guard try scanner.kind() == .text else {
        try scanner.skip()
        return nil
      }
      return try scanner.string(scanner.text())
    }
  }

  mutating func boolean(_ name: StaticString) throws(DetectionStateError) -> Bool {
    try value(name) { scanner throws(ScanError) in try scanner.boolean() }
  }

  /// Returns an integer from 0 to `most`.
  mutating func integer(_ name: StaticString, to most: UInt64 = .max) throws(DetectionStateError) -> UInt64 {
    guard case .integer(let value) = try scanned(name), value <= most else { throw .member("\(name)") }
    return value
  }

  /// Returns a finite number.
  mutating func number(_ name: StaticString) throws(DetectionStateError) -> Double {
    switch try scanned(name) {
    case .integer(let value): return Double(value)
    case .real(let value):
      guard value.isFinite else { throw .member("\(name)") }
      return value
    }
  }

  mutating func scanned(_ name: StaticString) throws(DetectionStateError) -> ScannedNumber {
    try value(name) { scanner throws(ScanError) in try scanner.number() }
  }

  mutating func skip() throws(DetectionStateError) {
    try syntax { scanner throws(ScanError) in try scanner.skip() }
  }

  /// Throws if anything follows the document.
  mutating func end() throws(DetectionStateError) {
    guard scanner.isAtEnd() else {
      throw .syntax("it is malformed at byte \(scanner.position): unexpected data after the state")
    }
  }

  /// Reads the value of a member. If it is of another kind, the error is about the member.
  @inline(__always)
  private mutating func value<Value>(
    _ name: StaticString, _ read: (inout Scanner) throws(ScanError) -> Value
  ) throws(DetectionStateError) -> Value {
    do throws(ScanError) {
      return try read(&scanner)
    } catch {
      throw error == .truncated ? .syntax("it is \(error)") : .member("\(name)")
    }
  }

  @inline(__always)
  private mutating func syntax<Value>(
    _ read: (inout Scanner) throws(ScanError) -> Value
  ) throws(DetectionStateError) -> Value {
    do throws(ScanError) {
      return try read(&scanner)
    } catch {
      throw .syntax("it is \(error)")
    }
  }
}
