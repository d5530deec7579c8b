/// A value of an attribute in DynamoDB.
public enum AttributeValue: Equatable, Sendable, JSONReadable {
  /// DynamoDB's null (`NULL`).
  case null
  /// True or false (`BOOL`).
  case boolean(Bool)
  /// A text, which may be empty (`S`).
  case string(String)
  /// A number in decimal digits, of which DynamoDB keeps 38.
  case number(String)
  /// Bytes, after decoding Base64 (`B`).
  case binary([UInt8])
  /// Distinct texts in no particular order (`SS`).
  case stringSet([String])
  /// Numbers in decimal digits.
  case numberSet([String])
  /// Distinct byte strings in no particular order, each after decoding Base64 (`BS`).
  case binarySet([[UInt8]])
  /// Values in their order, which may be of different types (`L`).
  case list([AttributeValue])
  /// Values by name, which may be of different types (`M`).
  case map([String: AttributeValue])

  /// Reads an object with a single member, whose name is the type, such as `{"N":"101"}`.
  public init(json: JSON) throws(EventError) {
    guard let member = json.members?.first, json.members?.count == 1 else {
      throw EventError(json, mustBe: #"an object with one member, such as {"S":"text"}"#)
    }
    let value = member.value
    switch member.name {
    case "NULL": self = .null
    case "BOOL": self = .boolean(try Bool(json: value))
    case "S": self = .string(try String(json: value))
    case "N": self = .number(try String(json: value))
    case "B": self = .binary(try Base64Bytes(json: value).bytes)
    case "SS": self = .stringSet(try [String](json: value))
    case "NS": self = .numberSet(try [String](json: value))
    case "BS": self = .binarySet(try [Base64Bytes](json: value).map(\.bytes))
    case "L": self = .list(try [AttributeValue](json: value))
    case "M": self = .map(try [String: AttributeValue](json: value))
    default:
      throw EventError(
        path: value.path, problem: "is of an unknown type; known are S, N, B, BOOL, NULL, SS, NS, BS, L and M"
      )
    }
  }

  /// The text; nil if this isn't a string.
  public var string: String? {
    guard case .string(let text) = self else { return nil }
    return text
  }

  /// The digits of the number; nil if this isn't a number.
  public var digits: String? {
    guard case .number(let digits) = self else { return nil }
    return digits
  }

  /// The number as an integer; nil if this isn't one or doesn't fit.
  public var integer: Int? { digits.flatMap { Int($0) } }

  /// The value called `name`; nil if there is none or this isn't a map.
  public subscript(_ name: String) -> AttributeValue? {
    guard case .map(let members) = self else { return nil }
    return members[name]
  }
}
