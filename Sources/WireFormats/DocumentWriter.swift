/// Writes a document of maps, lists and scalars, whatever its format; JSON and CBOR are the two there are.
///
/// Sizes are told before the contents because CBOR writes them first (RFC 8949, section 3); a caller that tells a
/// wrong size writes a malformed document, so sizes are counted where the contents are listed.
package protocol DocumentWriter {
  var bytes: [UInt8] { get }

  mutating func beginMap(count: Int)
  mutating func key(_ name: String)
  mutating func endMap()
  mutating func beginList(count: Int)
  mutating func endList()
  mutating func string(_ text: String)
  /// Writes text that the caller knows to be UTF-8, without making a `String` of it.
  mutating func string(utf8 bytes: Span<UInt8>)
  mutating func integer(_ value: UInt64)
  mutating func number(_ value: Double)
  mutating func boolean(_ value: Bool)
}

extension DocumentWriter {
  package mutating func member(_ name: String, _ text: String) {
    key(name)
    string(text)
  }

  package mutating func member(_ name: String, _ value: UInt64) {
    key(name)
    integer(value)
  }
}
