/// Writes a document of maps, lists and scalars, whatever its format; JSON and CBOR are the two there are.
///
/// Sizes are told before the contents because CBOR writes them first (RFC 8949, section 3); a caller that tells a
/// wrong size writes a malformed document, so sizes are counted where the contents are listed.
///
/// Public, as are the two writers and what they are made of, although no product lets anybody import this module: of a
/// protocol's methods the compiler copies only public ones into the modules that call them. Encoding a report takes 1.2
/// (JSON) and 1.4 (CBOR) times as long as in plain C this way, 1.7 and 2.2 times where all is `package`
/// (`Tests/Benchmarks`).
public protocol DocumentWriter: ~Copyable {
  var bytes: [UInt8] { get }

  mutating func beginMap(count: Int)
  mutating func key(_ name: String)
  /// Writes a name in which JSON needs no escape.
  mutating func key(_ name: ShortText)
  mutating func endMap()
  mutating func beginList(count: Int)
  mutating func endList()
  mutating func string(_ text: String)
  mutating func string(_ text: ShortText)
  /// Writes text of which the caller knows that it is ASCII, and that JSON needs no escape in it.
  mutating func string(plain text: Span<UInt8>)
  mutating func integer(_ value: UInt64)
  mutating func number(_ value: Double)
  mutating func boolean(_ value: Bool)
}

extension DocumentWriter where Self: ~Copyable {
  @inlinable
  public mutating func member(_ name: String, _ text: String) {
    key(name)
    string(text)
  }

  @inlinable
  public mutating func member(_ name: String, _ value: UInt64) {
    key(name)
    integer(value)
  }
}
