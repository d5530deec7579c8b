import WireFormats

/// A value of an attribute: the three types that this project stores.
package enum AttributeValue: Equatable, Sendable {
  case string(String)
  /// A whole number. DynamoDB stores up to 38 digits; others than these are ignored when they are read.
  case number(Int64)
  case binary([UInt8])

  package var string: String? {
    guard case .string(let text) = self else { return nil }
    return text
  }

  package var number: Int64? {
    guard case .number(let number) = self else { return nil }
    return number
  }

  package var binary: [UInt8]? {
    guard case .binary(let bytes) = self else { return nil }
    return bytes
  }

  /// The number of bytes that the value adds to the size of an item ("DynamoDB item sizes and formats", Amazon DynamoDB developer guide).
  var size: Int {
    switch self {
    case .string(let text): text.utf8.count
    // A byte for two digits, one for the sign, and one more.
    case .number: 12
    case .binary(let bytes): bytes.count
    }
  }

  /// Reads a value such as `{"S":"pump-7"}`; nil if it has another type.
  init?(_ json: JSONValue) {
    guard let member = json.members?.first else { return nil }
    switch member.name {
    case "S":
      guard let text = member.value.string else { return nil }
      self = .string(text)
    case "N":
      guard let number = member.value.string.flatMap({ Int64($0) }) else { return nil }
      self = .number(number)
    case "B":
      guard let bytes = member.value.string.flatMap(base64Decoding) else { return nil }
      self = .binary(bytes)
    default: return nil
    }
  }

  func write(to document: inout JSONWriter) {
    document.beginMap(count: 1)
    switch self {
    case .string(let text): document.member("S", text)
    case .number(let number): document.member("N", String(number))
    case .binary(let bytes): document.member("B", base64(bytes))
    }
    document.endMap()
  }
}

/// An item of a table: its attributes by name. Attributes of other types are left out when an item is read.
package typealias DynamoDBItem = [String: AttributeValue]

extension DynamoDBClient.Put {
  /// The size of the item in bytes.
  package var size: Int { item.reduce(0) { $0 + $1.key.utf8.count + $1.value.size } }
}

extension JSONValue {
  /// The attributes of an item in the JSON of DynamoDB.
  var item: DynamoDBItem {
    var item: DynamoDBItem = [:]
    for member in members ?? [] {
      if let value = AttributeValue(member.value) { item[member.name] = value }
    }
    return item
  }
}

extension JSONWriter {
  /// Writes the attributes in the order of their names, so that equal items are equal bytes.
  mutating func attributes(_ item: DynamoDBItem) {
    beginMap(count: item.count)
    for (name, value) in item.sorted(by: { $0.key < $1.key }) {
      key(name)
      value.write(to: &self)
    }
    endMap()
  }
}
