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
  init?(_ scanner: inout JSONScanner) throws(ScanError) {
    var value: AttributeValue?
    var map = try scanner.beginMap()
    while let type = try scanner.nextKey(of: &map) {
      guard try scanner.kind() == .text else {
        try scanner.skip()
        continue
      }
      let text = try scanner.text()
      if scanner.matches(type, "S") {
        value = .string(try scanner.string(text))
      } else if scanner.matches(type, "N") {
        value = try Self.wholeNumber(text, scanner).map { .number($0) }
      } else if scanner.matches(type, "B") {
        value = try scanner.base64(text).map { .binary($0) }
      }
    }
    guard let value else { return nil }
    self = value
  }

  private static func wholeNumber(_ text: TextRange, _ scanner: JSONScanner) throws(ScanError) -> Int64? {
    // An item has several numbers. Nearly all are short and not negative, and can be parsed without creating a string.
    guard (1...18).contains(text.end - text.start) else { return Int64(try scanner.string(text)) }
    var number: Int64 = 0
    for index in text.start..<text.end {
      let digit = scanner.bytes[index] &- UInt8(ascii: "0")
      guard digit < 10 else { return Int64(try scanner.string(text)) }
      number = number &* 10 &+ Int64(digit)
    }
    return number
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
package struct DynamoDBItem: Sendable, ExpressibleByDictionaryLiteral {
  package struct Attribute: Equatable, Sendable {
    package let name: String
    package var value: AttributeValue
  }

  /// The attributes in the order in which they were set. An item has few, and a search is faster than hashing.
  package private(set) var attributes: [Attribute] = []

  package init(dictionaryLiteral elements: (String, AttributeValue)...) {
    attributes = elements.map { Attribute(name: $0, value: $1) }
  }

  package subscript(_ name: String) -> AttributeValue? {
    get { attributes.first { $0.name == name }?.value }
    set {
      let index = attributes.firstIndex { $0.name == name }
      switch (index, newValue) {
      case (let index?, let value?): attributes[index].value = value
      case (let index?, nil): attributes.remove(at: index)
      case (nil, let value?): attributes.append(Attribute(name: name, value: value))
      case (nil, nil): break
      }
    }
  }

  /// Reads an item in the JSON of DynamoDB.
  init(_ scanner: inout JSONScanner) throws(ScanError) {
    attributes.reserveCapacity(8)
    var map = try scanner.beginMap()
    while let key = try scanner.nextKey(of: &map) {
      let name = try scanner.string(key)
      if let value = try AttributeValue(&scanner) { attributes.append(Attribute(name: name, value: value)) }
    }
  }
}

extension DynamoDBItem: Equatable {
  package static func == (left: DynamoDBItem, right: DynamoDBItem) -> Bool { left.sorted == right.sorted }

  /// The attributes in the order of their names.
  fileprivate var sorted: [Attribute] {
    let isSorted = zip(attributes, attributes.dropFirst()).allSatisfy { $0.name < $1.name }
    return isSorted ? attributes : attributes.sorted { $0.name < $1.name }
  }
}

extension DynamoDBClient.Put {
  /// The size of the item in bytes.
  package var size: Int { item.attributes.reduce(0) { $0 + $1.name.utf8.count + $1.value.size } }
}

extension JSONWriter {
  /// Writes the attributes in the order of their names, so that equal items are equal bytes.
  mutating func attributes(_ item: DynamoDBItem) {
    beginMap(count: item.attributes.count)
    for attribute in item.sorted {
      key(attribute.name)
      attribute.value.write(to: &self)
    }
    endMap()
  }
}
