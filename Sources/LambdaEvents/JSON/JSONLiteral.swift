import WireFormats

/// JSON to write, such as the body of a response.
///
/// ```swift
/// HTTPResponse(json: ["name": .string(name), "tags": ["new", "blue"], "count": 3])
/// ```
public indirect enum JSONLiteral: Sendable {
  case null
  case boolean(Bool)
  case integer(Int)
  /// A number. Infinity and NaN become null, because JSON can't represent them.
  case number(Double)
  case string(String)
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
  public init(nilLiteral: ()) { self = .null }
  public init(booleanLiteral value: Bool) { self = .boolean(value) }
  public init(integerLiteral value: Int) { self = .integer(value) }
  public init(floatLiteral value: Double) { self = .number(value) }
  public init(stringLiteral text: String) { self = .string(text) }
  public init(arrayLiteral elements: JSONLiteral...) { self = .array(elements) }
  public init(dictionaryLiteral members: (String, JSONLiteral)...) {
    self = .object(members.map { (name: $0, value: $1) })
  }
}
