package import WireFormats

/// A metric that the device owner defines (AWS IoT Device Defender, "Custom metrics").
package struct CustomMetric: Equatable, Sendable {
  package let name: CustomMetricName
  package let value: CustomMetricValue

  package init(name: CustomMetricName, value: CustomMetricValue) {
    self.name = name
    self.value = value
  }

  /// Writes the name and the value. AWS rejects a report in which the value isn't a list with one element.
  package func write(to document: inout some DocumentWriter & ~Copyable) {
    document.key(name.text)
    document.beginList(count: 1)
    document.beginMap(count: 1)
    document.key(value.type.rawValue)
    value.write(to: &document)
    document.endMap()
    document.endList()
  }
}

/// The name of a custom metric: 1 to 128 letters, digits, ':', '_' and '-', not beginning with `aws:`.
package struct CustomMetricName: Hashable, Sendable, CustomStringConvertible {
  package let text: String

  package init(validating text: String) throws(CustomMetricError) {
    let isAllowed = text.utf8.allSatisfy { isLetterOrDigit($0) || ":_-".utf8.contains($0) }
    guard isAllowed, (1...128).contains(text.utf8.count), !text.hasPrefix("aws:") else {
      throw .name(text)
    }
    self.text = text
  }

  package var description: String { text }
}

/// The value of a custom metric. Device Defender has four types.
package enum CustomMetricValue: Equatable, Sendable {
  case number(Double)
  case numberList([Double])
  case stringList([String])
  case ipList([String])

  /// The types; the raw values are their names in a report.
  package enum ValueType: String, CaseIterable, Sendable {
    case number
    case numberList = "number_list"
    case stringList = "string_list"
    case ipList = "ip_list"
  }

  package var type: ValueType {
    switch self {
    case .number: .number
    case .numberList: .numberList
    case .stringList: .stringList
    case .ipList: .ipList
    }
  }

  package func write(to document: inout some DocumentWriter & ~Copyable) {
    switch self {
    case .number(let number):
      document.metricNumber(number)
    case .numberList(let numbers):
      document.beginList(count: numbers.count)
      for number in numbers { document.metricNumber(number) }
      document.endList()
    case .stringList(let texts), .ipList(let texts):
      document.beginList(count: texts.count)
      for text in texts { document.string(text) }
      document.endList()
    }
  }
}

extension DocumentWriter where Self: ~Copyable {
  /// Writes a whole number without a fraction, and any other number with the 15 digits that the service
  /// accepts.
  fileprivate mutating func metricNumber(_ value: Double) {
    let value = roundedToSignificantDigits(value)
    if let whole = UInt64(exactly: value), whole < 1 << 53 {
      integer(whole)
    } else {
      number(value)
    }
  }
}

/// Returns `value` rounded to 15 significant digits. The service silently drops a number with more.
func roundedToSignificantDigits(_ value: Double) -> Double {
  guard value.isFinite else { return value }
  let parts = "\(value.magnitude)".split(separator: "e")
  let mantissa = parts[0].split(separator: ".")
  // The value is 0.d₁d₂d₃… times ten to the power of `exponent`.
  var exponent = mantissa[0].utf8.count + (parts.count > 1 ? Int(parts[1]) ?? 0 : 0)
  var digits = mantissa.joined().compactMap(\.wholeNumberValue)
  while digits.first == 0 {
    digits.removeFirst()
    exponent -= 1
  }
  guard digits.count > 15 else { return value }
  let leading = digits.prefix(15).reduce(0) { $0 * 10 + $1 } + (digits[15] >= 5 ? 1 : 0)
  // The double nearest to a 15-digit number prints as exactly these digits.
  let rounded = Double("\(value < 0 ? "-" : "")\(leading)e\(exponent - 15)") ?? value
  // Rounding the largest double up would exceed the range.
  return rounded.isFinite ? rounded : value
}

extension CustomMetric {
  /// Parses the members of a `custom_metrics` object, `{"queue_depth": [{"number": 3}]}`, one by one.
  ///
  /// A malformed metric doesn't affect the others.
  package static func parse(_ json: JSONValue) throws(CustomMetricError) -> [Result<
    CustomMetric, CustomMetricError
  >] {
    guard let members = json.members else { throw .notAnObject(json.kind) }
    return members.map { member in
      Result { () throws(CustomMetricError) in
        let name = try CustomMetricName(validating: member.name)
        return CustomMetric(name: name, value: try CustomMetricValue(member.value, of: name))
      }
    }
  }
}

extension CustomMetricValue {
  /// Parses `[{"number": 3}]`, or another type instead of `number`.
  init(_ json: JSONValue, of name: CustomMetricName) throws(CustomMetricError) {
    guard let list = json.array, list.count == 1, let members = list[0].members, members.count == 1 else {
      throw .shape(name)
    }
    guard let type = ValueType(rawValue: members[0].name) else { throw .type(name, members[0].name) }
    let value = members[0].value
    switch type {
    case .number: self = .number(try Self.number(value, name))
    case .numberList: self = .numberList(try Self.list(value, name, Self.number))
    case .stringList: self = .stringList(try Self.list(value, name, Self.text))
    case .ipList: self = .ipList(try Self.list(value, name, Self.address))
    }
  }

  private static func list<Element>(
    _ value: JSONValue, _ name: CustomMetricName,
    _ element: (JSONValue, CustomMetricName) throws(CustomMetricError) -> Element
  ) throws(CustomMetricError) -> [Element] {
    guard let values = value.array else { throw .value(name, "a list", value.kind) }
    var elements: [Element] = []
    for value in values { elements.append(try element(value, name)) }
    return elements
  }

  private static func number(_ value: JSONValue, _ name: CustomMetricName) throws(CustomMetricError) -> Double
  {
    guard let number = value.double, number.isFinite else {
      let isNumber = if case .number = value { true } else { false }
      throw .value(name, "a number", isNumber ? "a number beyond the range of a double" : value.kind)
    }
    return number
  }

  /// Parses a string of the characters that the service accepts: letters, digits, ':', '_', '-', '/' and '.'.
  private static func text(_ value: JSONValue, _ name: CustomMetricName) throws(CustomMetricError) -> String {
    guard let text = value.string else { throw .value(name, "a string", value.kind) }
    let isAllowed = text.utf8.allSatisfy { isLetterOrDigit($0) || ":_-/.".utf8.contains($0) }
    guard isAllowed, !text.isEmpty else {
      throw .value(name, "letters, digits, ':', '_', '-', '/' and '.'", "'\(text)'")
    }
    return text
  }

  private static func address(_ value: JSONValue, _ name: CustomMetricName) throws(CustomMetricError)
    -> String
  {
    guard let text = value.string else { throw .value(name, "an IP address", value.kind) }
    guard let address = IPAddress(parsing: text) else {
      throw .value(name, "an IPv4 or IPv6 address", "'\(text)'")
    }
    return address.description
  }
}
