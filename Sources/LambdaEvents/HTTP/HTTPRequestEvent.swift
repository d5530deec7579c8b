import WireFormats

/// An HTTP request, whichever service sends it. Its answer is an ``HTTPResponse``.
public protocol HTTPRequestEvent: LambdaEvent where Answer == HTTPResponse {
  /// The method in upper case, such as `GET`.
  var method: String { get }
  /// The path, such as `/orders/7`, as the service sends it.
  var path: String { get }
  /// The parameters of the query string, decoded. The values of one name are in the client's order.
  var queryItems: [QueryItem] { get }
  /// The header fields. Services change the letter case of names; compare `HeaderName` values, which ignores it.
  var headers: [HeaderField] { get }
  /// The cookies of the request, such as `theme=dark`.
  var cookies: [String] { get }
  /// The body, after decoding Base64; empty if there is none.
  var body: [UInt8] { get }
  /// The client's address; nil if the service didn't send it.
  var sourceAddress: String? { get }
}

/// A parameter of a query string.
public struct QueryItem: Equatable, Sendable {
  /// The name, decoded. A query string may contain the same name several times.
  public let name: String
  /// The value; empty if the parameter has none.
  public let value: String

  /// Creates a parameter from a name and a value, neither of which is encoded.
  public init(_ name: String, _ value: String) {
    self.name = name
    self.value = value
  }
}

extension HTTPRequestEvent {
  /// Returns the value of the header `name`; nil if there is none. Several values are joined with `, ` (RFC 9110, section 5.3).
  public func header(_ name: HeaderName) -> String? {
    var found: String?
    for field in headers where field.name == name {
      found = found.map { "\($0), \(field.value)" } ?? field.value
    }
    return found
  }

  /// Returns the value of the first query parameter called `name`; nil if there is none. ``queryItems`` has all of them.
  public func query(_ name: String) -> String? { queryItems.first { $0.name == name }?.value }

  /// Returns the value of the first cookie called `name`; nil if there is none.
  public func cookie(_ name: String) -> String? {
    for cookie in cookies {
      let parts = cookie.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      if parts.count == 2, parts[0] == name { return String(parts[1]) }
    }
    return nil
  }

  /// The body as text; nil if it isn't UTF-8.
  public var bodyText: String? { String(validating: body, as: UTF8.self) }
}

extension JSON {
  /// Reads the member `body` of a request, which is Base64 if `isBase64Encoded` is true.
  func httpBody() throws(EventError) -> [UInt8] {
    guard let body = self["body"], !body.isNull else { return [] }
    if try readIfPresent("isBase64Encoded", as: Bool.self) == true {
      return try Base64Bytes(json: body).bytes
    }
    guard let bytes = body.utf8 else { return Array(try String(json: body).utf8) }
    return bytes
  }

  /// Reads the header fields of `multiValueHeaders`, or else those of `headers`.
  func httpHeaders() throws(EventError) -> [HeaderField] {
    try pairs("multiValueHeaders", "headers").map { HeaderField(HeaderName($0), $1) }
  }

  /// Reads the members of the object called `lists`, whose values are arrays of strings, or else of the one called `singles`.
  func pairs(_ lists: String, _ singles: String) throws(EventError) -> [(name: String, value: String)] {
    var pairs: [(name: String, value: String)] = []
    if let object = self[lists], !object.isNull {
      for member in try object.objectMembers() where !member.value.isNull {
        for value in try [String](json: member.value) { pairs.append((member.name, value)) }
      }
    } else if let object = self[singles], !object.isNull {
      for member in try object.objectMembers() where !member.value.isNull {
        pairs.append((member.name, try String(json: member.value)))
      }
    }
    return pairs
  }

  private func objectMembers() throws(EventError) -> [Member] {
    guard let members else { throw EventError(self, mustBe: "an object") }
    return members
  }
}

/// Returns the cookies in the `Cookie` fields among `headers` (RFC 6265, section 5.4).
func cookies(in headers: [HeaderField]) -> [String] {
  var cookies: [String] = []
  for field in headers where field.name == "Cookie" {
    for cookie in field.value.split(separator: ";") {
      let cookie = trimmingBlanks(cookie)
      if !cookie.isEmpty { cookies.append(cookie) }
    }
  }
  return cookies
}

/// Parses a query string, such as `a=1&b=two+words`.
func queryItems(parsing query: String) -> [QueryItem] {
  query.utf8.split(separator: UInt8(ascii: "&")).map { item in
    let parts = item.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
    return QueryItem(formDecoding(parts[0]), parts.count > 1 ? formDecoding(parts[1]) : "")
  }
}

/// Decodes a name or a value of a query string. Returns the text unchanged if a `%` isn't followed by two hexadecimal digits.
/// Invalid UTF-8 is replaced.
func formDecoding(_ text: Substring.UTF8View) -> String {
  let spaced = text.map { $0 == UInt8(ascii: "+") ? UInt8(ascii: " ") : $0 }
  guard spaced.contains(UInt8(ascii: "%")) else { return String(decoding: spaced, as: UTF8.self) }
  return String(decoding: percentDecoding(spaced) ?? Array(text), as: UTF8.self)
}
