import WireFormats

/// JSON to write, such as the body of a response.
///
/// ```swift
/// HTTPResponse(json: ["name": .string(name), "tags": ["new", "blue"], "count": 3])
/// ```
public indirect enum JSONLiteral: Sendable {
  /// The word `null`.
  case null
  /// The word `true` or `false`.
  case boolean(Bool)
  /// A number without a fraction.
  case integer(Int)
  /// A number. Infinity and NaN become null, because JSON can't represent them.
  case number(Double)
  /// A text, which is written in quotes, with the characters escaped that JSON requires.
  case string(String)
  /// The elements in the order in which they are written.
  case array([JSONLiteral])
  /// The members in the order in which they are written.
  case object([(name: String, value: JSONLiteral)])
  /// A value of an event, written as it was received.
  case json(JSON)

  /// The value as compact JSON.
  public var bytes: [UInt8] {
    var document = JSONWriter()
    write(to: &document)
    return document.bytes
  }

  func write(to document: inout JSONWriter) {
    switch self {
    case .null: document.null()
    case .boolean(let value): document.boolean(value)
    case .integer(let value): document.literal("\(value)")
    case .number(let value): document.number(value)
    case .string(let text): document.string(text)
    case .array(let elements):
      document.beginList(count: elements.count)
      for element in elements { element.write(to: &document) }
      document.endList()
    case .object(let members):
      document.beginMap(count: members.count)
      for member in members {
        document.key(member.name)
        member.value.write(to: &document)
      }
      document.endMap()
    case .json(let json): document.literal(json.description)
    }
  }
}

extension JSONLiteral: ExpressibleByNilLiteral, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral,
  ExpressibleByFloatLiteral, ExpressibleByStringInterpolation, ExpressibleByArrayLiteral,
  ExpressibleByDictionaryLiteral
{
  /// Allows `nil` for ``null``.
  public init(nilLiteral: ()) { self = .null }
  /// Allows `true` and `false` for ``boolean(_:)``.
  public init(booleanLiteral value: Bool) { self = .boolean(value) }
  /// Allows a literal such as `3` for ``integer(_:)``.
  public init(integerLiteral value: Int) { self = .integer(value) }
  /// Allows a literal such as `1.5` for ``number(_:)``.
  public init(floatLiteral value: Double) { self = .number(value) }
  /// Allows a literal such as `"new"`, also with interpolation, for ``string(_:)``.
  public init(stringLiteral text: String) { self = .string(text) }
  /// Allows a literal such as `["new", 3]` for ``array(_:)``.
  public init(arrayLiteral elements: JSONLiteral...) { self = .array(elements) }
  /// Allows a literal such as `["count": 3]` for ``object(_:)``. It keeps the order of the members, and duplicate names.
  public init(dictionaryLiteral members: (String, JSONLiteral)...) {
    self = .object(members.map { (name: $0, value: $1) })
  }
}
