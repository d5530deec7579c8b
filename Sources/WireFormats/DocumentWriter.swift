/// Writes a document of maps, lists and scalars in some format: JSON or CBOR.
///
/// The caller passes the size of a map or list before its contents, because CBOR writes it first (RFC 8949, section 3). A wrong size
/// makes a malformed document, so count the elements at the place that lists them.
///
/// The protocol and its two writers are public, although no product exports this module, because the compiler specialises only public
/// protocol methods in other modules. Encoding a report takes 1.2 (JSON) and 1.3 (CBOR) times as long as in plain C
/// (`Tests/Benchmarks/run --only encoding`). With `package` access it took half as long again.
public protocol DocumentWriter: ~Copyable {
  var bytes: [UInt8] { get }

  mutating func beginMap(count: Int)
  mutating func key(_ name: String)
  /// Writes a key, which must not need escapes in JSON.
  mutating func key(_ name: ShortText)
  mutating func endMap()
  mutating func beginList(count: Int)
  mutating func endList()
  mutating func string(_ text: String)
  mutating func string(_ text: ShortText)
  /// Writes a string that `write` appends: at most 255 ASCII characters that need no escapes in JSON.
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
