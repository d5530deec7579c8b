import LambdaRuntime

/// Logs the size of each event.
struct Measure: Handler {
  func handle(_ event: Event, _ context: Context) -> Response {
    context.log.info(
      "Received an event.", ["bytes": .integer(event.bytes.count), "isEmpty": .boolean(event.bytes.isEmpty)])
    context.log.debug("Its type is \(event.contentType ?? "unknown").")
    return Response(json: event.bytes)
  }
}

serveAndExit { _ in Measure() }
