import LambdaRuntime

/// Greets a person, and counts its greetings.
struct Greeting: Handler {
  private let word: String
  private var count = 0

  init(_ startup: Startup) throws {
    guard let word = startup.environment["GREETING"] else {
      throw InvocationFailure(type: "Function.NoGreeting", message: "GREETING isn't set.")
    }
    self.word = word
  }

  mutating func handle(_ event: Event, _ context: Context) throws -> Response {
    guard !event.bytes.isEmpty else {
      throw InvocationFailure(type: "Function.NoName", message: "The event is empty. Send a name.")
    }
    count += 1
    return Response(json: Array("\"\(word), number \(count)\"".utf8)).then {
      [count] in
      context.log.info("Greeted.", ["count": .integer(count)])
    }
  }
}
