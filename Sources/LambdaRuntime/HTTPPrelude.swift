public import WireFormats

/// The status, headers and cookies of a streamed HTTP response (Lambda developer guide, "Response streaming for function URLs").
///
/// The invocation fails with `Function.BadResponse` if the status code is out of range, or if a header or cookie isn't valid in HTTP.
public struct HTTPPrelude: Sendable {
  /// The HTTP status code, such as 200. Must be from 100 to 599.
  public var statusCode: Int
  /// The response's headers, except `Set-Cookie`. Each name may occur only once.
  public var headers: [HeaderField]
  /// The values of the `Set-Cookie` headers, such as `theme=dark; Secure`.
  public var cookies: [String]

  /// Creates a prelude.
  public init(statusCode: Int = 200, headers: [HeaderField] = [], cookies: [String] = []) {
    self.statusCode = statusCode
    self.headers = headers
    self.cookies = cookies
  }

  /// Returns the prelude as it is sent before the body: a JSON object followed by eight NUL bytes.
  func bytes() throws(InvocationFailure) -> [UInt8] {
    if let problem {
      throw InvocationFailure(
        type: "Function.BadResponse", message: "The HTTP response can't be streamed: \(problem).")
    }
    var document = JSONWriter()
    document.beginMap(count: 3)
    document.member("statusCode", UInt64(clamping: statusCode))
    document.key("headers")
    document.beginMap(count: headers.count)
    for header in headers { document.member(header.name.text, header.value) }
    document.endMap()
    document.key("cookies")
    document.beginList(count: cookies.count)
    for cookie in cookies { document.string(cookie) }
    document.endList()
    document.endMap()
    return document.bytes + [UInt8](repeating: 0, count: 8)
  }

  /// Why the prelude can't be sent; nil if it can. Never contains a value, which may be secret.
  private var problem: String? {
    guard (100...599).contains(statusCode) else {
      return "the status code is \(statusCode). Use a number from 100 to 599"
    }
    for (index, field) in headers.enumerated() {
      if let problem = field.problem { return problem }
      if field.name == "Set-Cookie" {
        return "the headers contain 'Set-Cookie'. Put its value into 'cookies'"
      }
      if headers[..<index].contains(where: { $0.name == field.name }) {
        return "the header '\(field.name)' occurs more than once. Send one header with all values"
      }
    }
    return cookies.lazy.compactMap { HeaderField("Set-Cookie", $0).problem }.first
  }
}
