import Platform
import WireFormats

/// The event of an HTTP request to a function URL: payload format 2.0 (Lambda developer guide, "Invoking Lambda function URLs").
struct FunctionURLEvent {
  /// The ID in the domain name of the emulator's function URL.
  private static let identifier = "local"
  private static let months = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
  ]

  let request: ReceivedRequest
  let body: [UInt8]
  let region: String
  let port: Int
  let requestID: String
  let traceID: String
  let time: WallTime

  /// The event as JSON.
  var bytes: [UInt8] {
    var document = JSONWriter(capacity: body.count + 2_048)
    document.beginMap(count: 8)
    document.member("version", "2.0")
    document.member("routeKey", "$default")
    document.member("rawPath", String(request.path))
    document.member("rawQueryString", String(request.query))
    writeCookies(to: &document)
    write(headers, named: "headers", to: &document)
    if !request.query.isEmpty { write(parameters, named: "queryStringParameters", to: &document) }
    writeContext(to: &document)
    if !body.isEmpty { document.member("body", text ?? base64(body)) }
    document.key("isBase64Encoded")
    document.boolean(!body.isEmpty && text == nil)
    document.endMap()
    return document.bytes
  }

  /// The body as text; nil if it is sent as Base64. That depends on its type: a form is sent as Base64, too.
  private var text: String? {
    let type = trimmingBlanks(request.value(of: .contentType)?.prefix { $0 != ";" } ?? "").lowercased()
    let textTypes = ["application/json", "application/javascript", "application/xml"]
    let isText =
      type.hasPrefix("text/") || type.hasSuffix("+json") || type.hasSuffix("+xml") || textTypes.contains(type)
    return isText ? String(validating: body, as: UTF8.self) : nil
  }

  private func writeCookies(to document: inout JSONWriter) {
    let cookies = request.values(of: "cookie").flatMap { $0.split(separator: ";") }.map(trimmingBlanks)
    if cookies.isEmpty { return }
    document.key("cookies")
    document.beginList(count: cookies.count)
    for cookie in cookies where !cookie.isEmpty { document.string(cookie) }
    document.endList()
  }

  /// The header fields by their names in lower case, without cookies, and with those that Lambda adds.
  private var headers: [(name: String, value: String)] {
    let added = [
      ("x-amzn-trace-id", traceID), ("x-forwarded-for", "127.0.0.1"), ("x-forwarded-port", String(port)),
      ("x-forwarded-proto", "http"),
    ]
    let names = added.map(\.0) + ["cookie"]
    let received = request.headers.map { ($0.name.text.lowercased(), $0.value) }
      .filter { name, _ in !names.contains(name) }
    return joined(received) + added.map { (name: $0.0, value: $0.1) }
  }

  /// The query parameters, decoded.
  private var parameters: [(name: String, value: String)] {
    joined(
      request.query.split(separator: "&").map { item in
        let parts = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        return (formDecoding(parts[0]), parts.count > 1 ? formDecoding(parts[1]) : "")
      })
  }

  private func formDecoding(_ text: Substring) -> String {
    let spaced = text.utf8.map { $0 == UInt8(ascii: "+") ? UInt8(ascii: " ") : $0 }
    return String(decoding: percentDecoding(spaced) ?? Array(text.utf8), as: UTF8.self)
  }

  /// Returns each name once. Several values are separated by commas.
  private func joined(_ pairs: [(String, String)]) -> [(name: String, value: String)] {
    var positions: [String: Int] = [:]
    var found: [(name: String, values: [String])] = []
    for (name, value) in pairs {
      if let position = positions[name] {
        found[position].values.append(value)
      } else {
        positions[name] = found.count
        found.append((name, [value]))
      }
    }
    return found.map { ($0.name, $0.values.joined(separator: ",")) }
  }

  private func write(
    _ pairs: [(name: String, value: String)], named name: String, to document: inout JSONWriter
  ) {
    document.key(name)
    document.beginMap(count: pairs.count)
    for pair in pairs { document.member(pair.name, pair.value) }
    document.endMap()
  }

  private func writeContext(to document: inout JSONWriter) {
    document.key("requestContext")
    document.beginMap(count: 10)
    document.member("accountId", "anonymous")
    document.member("apiId", Self.identifier)
    document.member("domainName", "\(Self.identifier).lambda-url.\(region).on.aws")
    document.member("domainPrefix", Self.identifier)
    document.key("http")
    document.beginMap(count: 5)
    document.member("method", request.method)
    document.member("path", String(request.path))
    document.member("protocol", "HTTP/1.1")
    document.member("sourceIp", "127.0.0.1")
    document.member("userAgent", request.value(of: "user-agent") ?? "")
    document.endMap()
    document.member("requestId", requestID)
    document.member("routeKey", "$default")
    document.member("stage", "$default")
    document.member("time", timeText)
    document.member("timeEpoch", UInt64(clamping: time.nanosecondsSinceEpoch / 1_000_000))
    document.endMap()
  }

  /// The time in the format of access logs, such as `15/Nov/2026:10:20:30 +0000`.
  private var timeText: String {
    let date = CivilTime(time)
    // The extended format is 2026-11-15T10:20:30.123Z.
    let text = date.extendedFormat
    let month = Self.months.indices.contains(date.month - 1) ? Self.months[date.month - 1] : ""
    return "\(text.dropFirst(8).prefix(2))/\(month)/\(text.prefix(4)):\(text.dropFirst(11).prefix(8)) +0000"
  }
}
