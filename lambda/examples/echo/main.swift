import LambdaRuntime
import Platform

/// Answers each event with itself.
struct Echo: Handler {
  func handle(_ event: Event, _ context: Context) -> Response {
    Response(json: event.bytes)
  }
}

// `Probe` answers the events of the runtime's tests, and echoes all others; without it, all there is to write is
// `serveAndExit { _ in Echo() }`.
let environment = Environment.ofThisProcess
serveAndExit(in: environment, options: probeOptions(environment)) { startup in try Probe(startup) }
