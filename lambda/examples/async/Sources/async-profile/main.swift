import LambdaRuntimeAsync

/// Reads two things at the same time, and records the access after the caller has received the response.
struct Profile: AsyncHandler {
  func handle(_ event: Event, _ context: Context) async throws -> Response {
    async let name = read("name")
    async let city = read("city")
    let text = "\"\(try await name) from \(try await city)\""
    return Response(json: Array(text.utf8)).then {
      try await Task.sleep(for: .milliseconds(10))
      context.log.info("Recorded the access.")
    }
  }

  /// Stands for a request to a database.
  private func read(_ field: String) async throws -> String {
    try await Task.sleep(for: .milliseconds(50))
    return field == "name" ? "Ada" : "London"
  }
}

serveAndExit { _ in Profile() }
