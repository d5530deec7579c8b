/// A JSON value (RFC 8259). Members keep their order; numbers keep their text until somebody asks for a type.
package enum JSONValue: Equatable, Sendable {
  case null
  case boolean(Bool)
  case number(String)
  case string(String)
  case array([JSONValue])
  case object([Member])

  package struct Member: Equatable, Sendable {
    package let name: String
    package let value: JSONValue

    package init(name: String, value: JSONValue) {
      self.name = name
      self.value = value
    }
  }

  /// The value of the member called `name`; nil where there is none, or where this isn't an object.
  package subscript(_ name: String) -> JSONValue? {
    guard case .object(let members) = self else { return nil }
    return members.first { $0.name == name }?.value
  }

  package var string: String? {
    guard case .string(let text) = self else { return nil }
    return text
  }

  package var boolean: Bool? {
    guard case .boolean(let value) = self else { return nil }
    return value
  }

  /// The value as a whole number that fits; nil for `1.5`, `1e3` and text.
  package func integer<Number: FixedWidthInteger>(as type: Number.Type = Number.self) -> Number? {
    guard case .number(let text) = self else { return nil }
    return Number(text)
  }

  package var double: Double? {
    guard case .number(let text) = self else { return nil }
    return Double(text)
  }

  package var array: [JSONValue]? {
    guard case .array(let elements) = self else { return nil }
    return elements
  }

  package var members: [Member]? {
    guard case .object(let members) = self else { return nil }
    return members
  }

  /// What kind of value this is, in words for an error message.
  package var kind: String {
    switch self {
    case .null: "null"
    case .boolean: "a boolean"
    case .number: "a number"
    case .string: "a string"
    case .array: "an array"
    case .object: "an object"
    }
  }

  /// Writes the value as compact JSON.
  package func write(to document: inout JSONWriter) {
    switch self {
    case .null: document.null()
    case .boolean(let value): document.boolean(value)
    case .number(let text): document.literal(text)
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
    }
  }

  /// The value as JSON for people: two spaces of indentation, members sorted by name.
  package func prettyPrinted(indentation: String = "") -> String {
    let deeper = indentation + "  "
    switch self {
    case .array(let elements) where !elements.isEmpty:
      let lines = elements.map { deeper + $0.prettyPrinted(indentation: deeper) }
      return "[\n\(lines.joined(separator: ",\n"))\n\(indentation)]"
    case .object(let members) where !members.isEmpty:
      let lines = members.sorted { $0.name < $1.name }.map { member in
        "\(deeper)\(compact(.string(member.name))): \(member.value.prettyPrinted(indentation: deeper))"
      }
      return "{\n\(lines.joined(separator: ",\n"))\n\(indentation)}"
    default:
      return compact(self)
    }
  }

  private func compact(_ value: JSONValue) -> String {
    var document = JSONWriter()
    value.write(to: &document)
    return String(decoding: document.bytes, as: UTF8.self)
  }
}
