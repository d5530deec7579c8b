public import Platform
import WireFormats

/// A type that can be read from JSON, such as a part of an event.
///
/// ```swift
/// struct Order: JSONReadable {
///   let item: String, count: Int, note: String?
///
///   init(json: JSON) throws(EventError) {
///     item = try json.read("item")
///     count = try json.read("count")
///     note = try json.readIfPresent("note")
///   }
/// }
/// ```
public protocol JSONReadable {
  /// What the value must be, for the error if it is missing: for example `a string`. The default is `an object`.
  static var shape: String { get }

  /// Reads a value. Throws an error with the place of the mistake if `json` has another shape.
  init(json: JSON) throws(EventError)
}

extension JSONReadable {
  /// The default, `an object`, for types that read members.
  public static var shape: String { "an object" }
}

extension JSON {
  /// Reads the member called `name`. Throws if it is missing or null, or if it can't be read as the type that the caller expects.
  public func read<Value: JSONReadable>(
    _ name: String, as type: Value.Type = Value.self
  ) throws(EventError) -> Value {
    guard let value: Value = try readIfPresent(name) else {
      let problem = self[name] == nil ? "is missing" : "is null"
      throw EventError(
        path: path + component(name, after: path), problem: "\(problem), but must be \(type.shape)")
    }
    return value
  }

  /// Reads the member called `name`; nil if it is missing or null. Throws if it can't be read as the type that the caller expects.
  public func readIfPresent<Value: JSONReadable>(
    _ name: String, as type: Value.Type = Value.self
  ) throws(EventError) -> Value? {
    guard kind == .object else { throw EventError(self, mustBe: "an object") }
    guard let member = self[name], !member.isNull else { return nil }
    return try Value(json: member)
  }
}

extension JSON: JSONReadable {
  /// What an error about another type asks for: `a value`.
  public static var shape: String { "a value" }

  /// Keeps the value unread, whatever its type.
  public init(json: JSON) { self = json }
}

extension String: JSONReadable {
  /// What an error about another type asks for: `a string`.
  public static var shape: String { "a string" }

  /// Reads a string. Throws an error if `json` isn't one or has an unpaired surrogate.
  public init(json: JSON) throws(EventError) {
    guard json.kind == .string else { throw EventError(json, mustBe: Self.shape) }
    guard let string = json.string else {
      throw EventError(path: json.path, problem: "has an unpaired surrogate, so it isn't valid Unicode")
    }
    self = string
  }
}

extension Bool: JSONReadable {
  /// What an error about another type asks for: `a boolean`.
  public static var shape: String { "a boolean" }

  /// Reads `true` or `false`. Throws an error for anything else, also for `"true"` and 1.
  public init(json: JSON) throws(EventError) {
    guard let boolean = json.boolean else { throw EventError(json, mustBe: Self.shape) }
    self = boolean
  }
}

extension Int: JSONReadable {
  /// What an error about another type asks for: `an integer`.
  public static var shape: String { "an integer" }

  /// Reads an integer. Throws an error if it doesn't fit, or is written as `1.0`, `1e3` or `"1"`.
  public init(json: JSON) throws(EventError) {
    guard json.kind == .number else { throw EventError(json, mustBe: Self.shape) }
    guard let integer = json.integer(as: Int.self) else {
      throw EventError(path: json.path, problem: "must be an integer from \(Int.min) to \(Int.max)")
    }
    self = integer
  }
}

extension Double: JSONReadable {
  /// What an error about another type asks for: `a number`.
  public static var shape: String { "a number" }

  /// Reads a number, rounded to the nearest representable one. Throws an error for anything else, also for a string of digits.
  public init(json: JSON) throws(EventError) {
    guard let number = json.double else { throw EventError(json, mustBe: Self.shape) }
    self = number
  }
}

extension Array: JSONReadable where Element: JSONReadable {
  /// What an error about another type asks for: `an array`.
  public static var shape: String { "an array" }

  /// Reads each element. Throws an error with the place of the first element that can't be read.
  public init(json: JSON) throws(EventError) {
    guard let elements = json.elements else { throw EventError(json, mustBe: Self.shape) }
    self = []
    reserveCapacity(elements.count)
    for element in elements { append(try Element(json: element)) }
  }
}

extension Dictionary: JSONReadable where Key == String, Value: JSONReadable {
  /// Reads each member of an object. Throws an error with the place of the first value that can't be read.
  ///
  /// Of several members with the same name, the last one remains.
  public init(json: JSON) throws(EventError) {
    guard let members = json.members else { throw EventError(json, mustBe: "an object") }
    self = [:]
    for member in members { self[member.name] = try Value(json: member.value) }
  }
}

extension WallTime: JSONReadable {
  /// What an error about another type asks for: `a time such as 2026-01-02T03:04:05Z`.
  public static var shape: String { "a time such as 2026-01-02T03:04:05Z" }

  /// Reads a time in the form `2026-01-02T03:04:05.678Z` (RFC 3339). Digits after the milliseconds are ignored.
  public init(json: JSON) throws(EventError) {
    guard let text = json.string, let time = WallTime(iso8601: text) else {
      throw EventError(path: json.path, problem: "must be \(Self.shape)")
    }
    self = time
  }
}

extension JSON {
  /// The value as a time, if it is a number of seconds since 1970, with or without a fraction.
  var timeInSeconds: WallTime? {
    guard let seconds = double, let milliseconds = Int64(exactly: (seconds * 1_000).rounded()) else {
      return nil
    }
    return WallTime(millisecondsSinceEpoch: milliseconds)
  }

  /// The value as a time, if it is a number of milliseconds since 1970, or a string of one.
  var timeInMilliseconds: WallTime? {
    (string ?? digits).flatMap { Int64($0) }.map { WallTime(millisecondsSinceEpoch: $0) }
  }

  /// The members whose values are strings; empty if this isn't an object.
  var texts: [String: String] {
    var texts: [String: String] = [:]
    for member in members ?? [] {
      if let text = member.value.string { texts[member.name] = text }
    }
    return texts
  }

  /// Reads the member called `name`, which must be an object.
  func object(_ name: String) throws(EventError) -> JSON {
    try read(name, as: JSONObject.self).json
  }

  /// Reads the member called `name`, which must be Base64, and decodes it.
  func base64(_ name: String) throws(EventError) -> [UInt8] { try read(name, as: Base64Bytes.self).bytes }
}

private struct JSONObject: JSONReadable {
  let json: JSON

  init(json: JSON) throws(EventError) {
    guard json.kind == .object else { throw EventError(json, mustBe: Self.shape) }
    self.json = json
  }
}

/// The bytes of a string of Base64.
struct Base64Bytes: JSONReadable {
  static var shape: String { "a string of Base64" }

  let bytes: [UInt8]

  init(json: JSON) throws(EventError) {
    guard let decoded = base64Decoding(try String(json: json)) else {
      throw EventError(path: json.path, problem: "isn't Base64 with padding")
    }
    bytes = decoded
  }
}
