import LambdaRuntime

/// Returns each event unchanged.
struct Echo: Handler {
  func handle(_ event: Event, _ context: Context) -> Response {
    Response(json: event.bytes)
  }
}

serveAndExit { _ in Echo() }
