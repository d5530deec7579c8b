import LambdaRuntime

/// Streams a table of squares to the caller, line by line.
struct Squares: Handler {
  func handle(_ event: Event, _ context: Context) -> Response {
    Response(streaming: "text/plain") { stream in
      for number in 1...3 { try stream.write(Array("\(number) \(number * number)\n".utf8)) }
    }
  }
}

serveAndExit { _ in Squares() }
