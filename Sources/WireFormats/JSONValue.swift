/// A JSON value (RFC 8259). Members keep their order. Numbers are stored as text, and converted on request.
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

  /// The value of the member called `name`; nil if there is none or this isn't an object.
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

  /// Returns the value as an integer; nil if it doesn't fit, or is written as `1.5`, `1e3` or a string.
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

  /// The kind of the value for error messages, such as `a number`.
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

  /// The value as JSON for human readers, indented by two spaces and with members sorted by name.
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
