import LambdaRuntime

/// Answers each event with itself.
struct Echo: Handler {
  func handle(_ event: Event, _ context: Context) -> Response {
    Response(json: event.bytes)
  }
}

serveAndExit { _ in Echo() }
