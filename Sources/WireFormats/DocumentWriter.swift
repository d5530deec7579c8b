/// Writes a document of maps, lists and scalars, whatever its format; JSON and CBOR are the two there are.
///
/// Sizes are told before the contents because CBOR writes them first (RFC 8949, section 3); a caller that tells a
/// wrong size writes a malformed document, so sizes are counted where the contents are listed.
///
/// Public, as are the two writers and what they are made of, although no product lets anybody import this module: of a
/// protocol's methods the compiler copies only public ones into the modules that call them. Encoding a report takes 1.2
/// (JSON) and 1.3 (CBOR) times as long as in plain C this way (`Tests/Benchmarks/run --only encoding`), and took half as
/// long again where all was `package`.
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
  /// Writes what `write` appends: at most 255 characters of ASCII, in which JSON needs no escape.
  mutating func string(plain write: (inout ByteBuffer) -> Void)
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
