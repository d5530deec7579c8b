// Answers the same HTTP request of API Gateway (format 2.0) repeatedly, with and without Foundation.
//
//   events-benchmark EVENT [SECONDS]      prints lines of JSON: the handler, microseconds of CPU (median of five parts)
//   events-benchmark repeat EVENT COUNT   only answers with LambdaEvents, for counting with valgrind

import Glibc
import LambdaEvents
import LambdaRuntime
import LambdaRuntimeCodable
import Platform

struct Echo: Handler {
  func handle(_ event: Event, _ context: Context) -> Response { Response(json: event.bytes) }
}

struct Orders: EventHandler {
  func handle(_ request: APIGatewayV2Request, _ context: Context) -> HTTPResponse {
    guard request.method == "POST", request.header("Content-Type") == "application/json" else {
      return HTTPResponse(statusCode: 415)
    }
    return HTTPResponse(
      json: [
        "id": .string(request.pathParameters["id"] ?? ""), "tag": .string(request.query("tag") ?? ""),
        "order": .string(request.bodyText ?? ""),
      ], statusCode: 201)
  }
}

/// The request with the members that event libraries for `Codable` declare.
struct CodableRequest: Decodable {
  struct RequestContext: Decodable {
    struct HTTP: Decodable {
      var method, path, `protocol`, sourceIp, userAgent: String
    }

    struct Authorizer: Decodable {
      struct JWT: Decodable {
        var claims: [String: String]?
        var scopes: [String]?
      }

      var jwt: JWT?
    }

    var accountId, apiId, domainName, domainPrefix, requestId, stage, time: String
    var http: HTTP
    var authorizer: Authorizer?
    var timeEpoch: UInt64
  }

  var version, routeKey, rawPath, rawQueryString: String
  var cookies: [String]?
  var headers: [String: String]
  var queryStringParameters, pathParameters, stageVariables: [String: String]?
  var requestContext: RequestContext
  var body: String?
  var isBase64Encoded: Bool
}

struct CodableResponse: Encodable {
  var statusCode: Int
  var headers: [String: String]
  var body: String
  var isBase64Encoded = false
}

struct CodableOrders: TypedHandler {
  func handle(_ request: CodableRequest, _ context: Context) -> CodableResponse {
    guard request.requestContext.http.method == "POST", request.headers["content-type"] == "application/json"
    else { return CodableResponse(statusCode: 415, headers: [:], body: "") }
    let body: JSONLiteral = [
      "id": .string(request.pathParameters?["id"] ?? ""),
      "tag": .string(request.queryStringParameters?["tag"] ?? ""),
      "order": .string(request.body ?? ""),
    ]
    return CodableResponse(
      statusCode: 201, headers: ["Content-Type": "application/json"],
      body: String(decoding: body.bytes, as: UTF8.self)
    )
  }
}

func processorTime() -> Double {
  var time = timespec()
  _ = unsafe clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
  return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}

/// Runs `answer` for `seconds` in five parts, and prints the median of the CPU time per answer.
func measure(_ name: String, seconds: Double, _ answer: () throws -> Response) rethrows {
  var times: [Double] = []
  // Printed, so that the compiler can't remove the work.
  var bytes = 0
  for _ in 1...5 {
    let start = processorTime()
    var count = 0.0
    var time = 0.0
    while time < seconds / 5 {
      for _ in 1...64 { bytes &+= try answer().body.count }
      count += 64
      time = processorTime() - start
    }
    times.append(time / count * 1e6)
  }
  print("{\"name\":\"\(name)\",\"us\":\(times.sorted()[2]),\"bytes\":\(bytes)}")
}

var arguments = CommandLine.arguments.dropFirst()
let isRepeating = arguments.first == "repeat"
if isRepeating { arguments.removeFirst() }
guard let path = arguments.popFirst() else {
  print("usage: events-benchmark [repeat] EVENT [SECONDS | COUNT]")
  exit(64)
}
let amount = arguments.first.flatMap { Double($0) } ?? 1
let event = Event(try readFile(path, limit: 6 << 20))
let context = try Context(requestID: "id", deadline: WallTime(millisecondsSinceEpoch: .max))
let echo = Echo()
var orders = Orders()
var codable = JSONHandler(CodableOrders())
guard try orders.handle(event, context).body.starts(with: Array(#"{"statusCode":201"#.utf8)) else {
  print("\(path) isn't a request that the benchmark knows")
  exit(1)
}
if isRepeating {
  for _ in 0..<Int(amount) { _ = try orders.handle(event, context) }
  exit(0)
}
measure("echo", seconds: amount) { echo.handle(event, context) }
try measure("LambdaEvents", seconds: amount) { try orders.handle(event, context) }
try measure("JSONHandler", seconds: amount) { try codable.handle(event, context) }
