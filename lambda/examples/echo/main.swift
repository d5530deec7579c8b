import LambdaRuntime

/// Answers each event with itself.
struct Echo: Handler {
  func handle(_ event: Event, _ context: Context) -> Response {
    Response(json: event.bytes)
  }
}

// `Probe` answers the events of the runtime's tests, and hands all others on; without it, `{ _ in Echo() }` is all.
serveAndExit(options: probeOptions) { startup in try Probe(Echo(), startup) }
