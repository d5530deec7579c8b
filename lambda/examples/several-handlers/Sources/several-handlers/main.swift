import LambdaRuntime

/// Returns the event's text in upper case.
struct Upper: Handler {
  func handle(_ event: Event, _ context: Context) -> Response {
    Response(json: Array(String(decoding: event.bytes, as: UTF8.self).uppercased().utf8))
  }
}

/// Returns the number of the event's bytes.
struct Count: Handler {
  func handle(_ event: Event, _ context: Context) -> Response {
    Response(json: Array("\(event.bytes.count)".utf8))
  }
}

var functions = Functions()
functions.register("upper") { _ in Upper() }
functions.register("count") { _ in Count() }
serveAndExit(functions)
