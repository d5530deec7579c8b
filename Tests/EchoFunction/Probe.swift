import Glibc
import LambdaRuntime
import Platform
import WireFormats

/// Registers the extension that makes Lambda send SIGTERM before shutdown, if `BENCH_EXTENSION` is set.
func probeOptions(_ environment: Environment) -> ServeOptions {
  ServeOptions(registersExtension: environment["BENCH_EXTENSION"] != nil)
}

/// A test function whose behaviour the event selects: `{"fail":1}` makes the handler throw, `{"crash":1}` makes it trap.
///
/// Only the first key of an event counts. An event without a known key is echoed.
struct Probe: Handler {
  private let echo = Echo()
  private let startup: Startup

  /// Throws if `BENCH_INIT_FAIL` is set. Hangs if `BENCH_INIT_HANG` is set.
  init(_ startup: Startup) throws {
    if startup.environment["BENCH_INIT_FAIL"] != nil {
      throw InvocationFailure(type: "Function.InitFailed", message: "BENCH_INIT_FAIL is set")
    }
    if startup.environment["BENCH_INIT_HANG"] != nil {
      startup.log.info("hanging")
      while true { pause() }
    }
    self.startup = startup
  }

  func shutDown() { startup.log.info("shutting down") }
  func prepareForSnapshot() { startup.log.info("ready for a snapshot") }
  func resumeFromSnapshot() { startup.log.info("restored from a snapshot") }

  func handle(_ event: Event, _ context: Context) throws -> Response {
    guard let request = Request(event.bytes) else { return echo.handle(event, context) }
    switch request.name {
    case "fail": throw BenchFailure()
    case "crash": fatalError("asked to crash")
    case "ctx": return Response(json: description(of: context))
    case "log": startup.log.info("one line, \"quoted\",\nwith a break")
    case "fill":
      // Limits the size to a few lines. The letter identifies the invocation.
      let letter = context.requestID.last ?? "x"
      startup.log.info(String(repeating: letter, count: min(max(request.number ?? 0, 0), 100_000)))
    case "print": print("one line, printed")
    case "places": return Response(json: placesOfVariables())
    case "setenv": unsafe setenv("_X_AMZN_TRACE_ID", "the handler's own", 1)
    case "sleep":
      startup.log.info("sleeping")
      let time = SystemWaiter(shutdown: nil)
      _ = time.wait(until: time.bootTime.advanced(by: .milliseconds(request.number ?? 0)))
    case "big": return Response(json: quoted(bytes: request.number ?? 0))
    case "stream": return stream(failing: request.number == nil)
    case "breakstream":
      return Response(streaming: "text/plain") { stream in
        try stream.write(Array("first part, ".utf8))
        fatalError("asked to crash")
      }
    default: return echo.handle(event, context)
    }
    return Response(json: event.bytes)
  }

  private func stream(failing: Bool) -> Response {
    Response(streaming: "text/plain") { [log = startup.log] stream in
      log.debug("streaming")
      try stream.write(Array("first part, ".utf8))
      try stream.write(Array("second part".utf8))
      if failing { throw BenchFailure() }
    }
  }

  private func description(of context: Context) -> [UInt8] {
    let members: [(name: String, value: String?)] = [
      ("requestID", context.requestID), ("invokedFunctionARN", context.invokedFunctionARN),
      ("remainingSeconds", "\(context.remainingTime.inSeconds)"), ("traceID", context.traceID),
      ("_X_AMZN_TRACE_ID", Environment.ofThisProcess["_X_AMZN_TRACE_ID"]),
      ("clientContext", context.clientContext),
      ("cognitoIdentity", context.cognitoIdentity), ("tenantID", context.tenantID),
      ("functionName", context.functionName), ("functionVersion", context.functionVersion),
      ("memoryLimitInMegabytes", context.memoryLimitInMegabytes.map { "\($0)" }),
      ("logGroupName", context.logGroupName), ("logStreamName", context.logStreamName),
    ]
    var document = JSONWriter()
    document.beginMap(count: members.count)
    for member in members {
      document.key(member.name)
      if let value = member.value { document.string(value) } else { document.null() }
    }
    document.endMap()
    return document.bytes
  }

  /// The addresses of the environment array and of its entries, as a JSON list.
  private func placesOfVariables() -> [UInt8] {
    var entry = unsafe environ
    var places = ["\(UInt(bitPattern: entry))"]
    while let text = unsafe entry.pointee {
      places.append("\(UInt(bitPattern: text))")
      unsafe entry += 1
    }
    return Array("[\(places.joined(separator: ","))]".utf8)
  }

  /// Returns a JSON string of `bytes` bytes, including its quotes.
  private func quoted(bytes: Int) -> [UInt8] {
    let quote = [UInt8(ascii: "\"")]
    // At most 100 MB, which is more than any test of a limit needs.
    return quote + [UInt8](repeating: UInt8(ascii: "x"), count: min(max(bytes, 2), 100_000_000) - 2) + quote
  }
}

private struct BenchFailure: Error, CustomStringConvertible {
  let description = "asked to fail: line one\nline \"two\""
}

/// The first key of an event such as `{"sleep":100}`, and its value if that is a number.
private struct Request {
  let name: String
  let number: Int?

  init?(_ event: [UInt8]) {
    guard event.count > 2, event[0] == UInt8(ascii: "{"), event[1] == UInt8(ascii: "\"") else { return nil }
    let rest = event.prefix(48).dropFirst(2)
    guard let end = rest.firstIndex(of: UInt8(ascii: "\"")) else { return nil }
    name = String(decoding: rest[..<end], as: UTF8.self)
    let digits = rest[end...].dropFirst(2).prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
    number = Int(String(decoding: digits, as: UTF8.self))
  }
}
