/// A value in a JSON text, decoded when it is used.
///
/// It refers to the text as received, so nothing is lost: numbers keep all their digits, members keep their order, and ``bytes`` is
/// the value's own text. To read an event of your own, see ``JSONReadable``.
///
/// ```swift
/// let json = try JSON(parsing: event.bytes)
/// let name = json["user"]?["name"]?.string
/// ```
public struct JSON: Sendable {
  /// The types of JSON values.
  public enum Kind: Sendable, CustomStringConvertible {
    /// The word `null`.
    case null
    /// The word `true` or `false`.
    case boolean
    /// A number, however large or precise.
    case number
    /// A text in quotes.
    case string
    /// Values in their order, in square brackets.
    case array
    /// Named values, in braces. The names may contain duplicates.
    case object

    /// The kind with its article, such as `a number`.
    public var description: String {
      switch self {
      case .null: "null"
      case .boolean: "a boolean"
      case .number: "a number"
      case .string: "a string"
      case .array: "an array"
      case .object: "an object"
      }
    }
  }

  /// A member of an object.
  public struct Member: Sendable {
    /// The name. An unpaired surrogate in it is replaced by U+FFFD.
    public let name: String
    /// The value.
    public let value: JSON
  }

  private let text: JSONText
  private let index: Int

  /// Parses `bytes`, which must be a single JSON value (RFC 8259) in UTF-8, nested at most 512 levels deep.
  ///
  /// Unpaired surrogates, such as in `"\ud800"`, aren't mistakes unless the string is used. If an object has several members of the
  /// same name, the last one counts, as in AWS's runtimes for JavaScript and Python; ``members`` has all of them.
  public init(parsing bytes: [UInt8]) throws(EventError) {
    self.init(try JSONText(bytes), 0)
  }

  private init(_ text: JSONText, _ index: Int) {
    self.text = text
    self.index = index
  }

  private var node: JSONNode { text.nodes[index] }

  /// The type of the value.
  public var kind: Kind { node.kind }

  /// The value's text, exactly as received.
  public var bytes: ArraySlice<UInt8> { text.bytes[Int(node.start)..<Int(node.end)] }

  /// The value of the last member called `name`; nil if there is none or this isn't an object.
  public subscript(_ name: String) -> JSON? {
    guard kind == .object else { return nil }
    var found: Int?
    var position = index + 1
    let end = Int(node.next)
    while position < end {
      if text.hasName(name, at: position) { found = position + 1 }
      position = Int(text.nodes[position + 1].next)
    }
    return found.map { JSON(text, $0) }
  }

  /// The element at `position`, counted from 0; nil if there is none or this isn't an array.
  ///
  /// It counts the elements before it, so use ``elements`` to visit all of them.
  public subscript(_ position: Int) -> JSON? {
    guard let elements, elements.indices.contains(position) else { return nil }
    return elements[position]
  }

  /// Whether the value is null.
  public var isNull: Bool { kind == .null }

  /// The value as a boolean; nil if it isn't one.
  public var boolean: Bool? {
    kind == .boolean ? text.bytes[Int(node.start)] == UInt8(ascii: "t") : nil
  }

  /// The string; nil if this isn't a string or has an unpaired surrogate.
  public var string: String? { kind == .string ? text.string(at: index) : nil }

  /// The string as UTF-8; nil if this isn't a string or has an unpaired surrogate.
  public var utf8: [UInt8]? { kind == .string ? text.unescaped(at: index) : nil }

  /// The digits of the number as received, such as `1e400`; nil if this isn't a number.
  public var digits: String? { kind == .number ? String(decoding: bytes, as: UTF8.self) : nil }

  /// The value as an integer; nil if it doesn't fit, or is written as `1.5`, `1e3` or a string.
  public func integer<Number: FixedWidthInteger>(as type: Number.Type = Int.self) -> Number? {
    digits.flatMap { Number($0) }
  }

  /// The number closest to the value; nil if this isn't a number. ``digits`` has the exact value.
  public var double: Double? { digits.flatMap { Double($0) } }

  /// The elements of the array; nil if this isn't an array.
  public var elements: [JSON]? {
    guard kind == .array else { return nil }
    var elements: [JSON] = []
    var position = index + 1
    while position < Int(node.next) {
      elements.append(JSON(text, position))
      position = Int(text.nodes[position].next)
    }
    return elements
  }

  /// All members of the object, in order; nil if this isn't an object.
  public var members: [Member]? {
    guard kind == .object else { return nil }
    var members: [Member] = []
    var position = index + 1
    while position < Int(node.next) {
      members.append(Member(name: text.name(at: position), value: JSON(text, position + 1)))
      position = Int(text.nodes[position + 1].next)
    }
    return members
  }

  /// The place of the value in its text, such as `Records[0].body`; empty for the text as a whole.
  ///
  /// Long names and paths are shortened.
  public var path: String {
    var path = ""
    var container = 0
    while container < index {
      guard path.utf8.count < 400 else { return path + "…" }
      let isObject = text.nodes[container].kind == .object
      var position = container + 1
      var count = 0
      while position < Int(text.nodes[container].next) {
        let value = isObject ? position + 1 : position
        let next = Int(text.nodes[value].next)
        if index < next {
          path += isObject ? component(text.name(at: position), after: path) : "[\(count)]"
          container = value
          break
        }
        (position, count) = (next, count + 1)
      }
    }
    return path
  }
}

/// Returns the component of a path for the member called `name`.
func component(_ name: String, after path: String) -> String {
  let name = name.utf8.count > 100 ? String(decoding: name.utf8.prefix(40), as: UTF8.self) + "…" : name
  return path.isEmpty ? name : ".\(name)"
}

extension JSON: CustomStringConvertible {
  /// The value's text, as received.
  public var description: String { String(decoding: bytes, as: UTF8.self) }
}
