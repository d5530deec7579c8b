import LambdaRuntime
import Platform

/// Returns each event unchanged.
struct Echo: Handler {
  func handle(_ event: Event, _ context: Context) -> Response {
    Response(json: event.bytes)
  }
}

// `Probe` handles the special events of the runtime's tests and echoes all others. lambda/examples/echo has no such events.
let environment = Environment.ofThisProcess
serveAndExit(in: environment, options: probeOptions(environment)) { startup in try Probe(startup) }
