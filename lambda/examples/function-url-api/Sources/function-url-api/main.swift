import LambdaEvents

/// A list of notes behind a function URL. It lives as long as the environment; a real one would use a database.
struct Notes: EventHandler {
  private var notes = ["Buy pears."]

  mutating func handle(_ request: FunctionURLRequest, _ context: Context) throws -> HTTPResponse {
    let path = request.path.split(separator: "/")
    guard path.first == "notes", path.count <= 2 else { return error(404, "There is only /notes.") }
    switch (request.method, path.count) {
    case ("GET", 1): return HTTPResponse(json: .array(notes.map { .string($0) }))
    case ("GET", _):
      guard let index = Int(path[1]), notes.indices.contains(index) else {
        return error(404, "No such note.")
      }
      return HTTPResponse(json: ["text": .string(notes[index])])
    case ("POST", 1):
      guard let text = request.bodyText, !text.isEmpty else { return error(400, "The body must be a text.") }
      notes.append(text)
      context.log.info("Added a note.", ["count": .integer(notes.count)])
      return HTTPResponse(json: ["number": .integer(notes.count - 1)], statusCode: 201)
    default: return error(405, "Use GET or POST.")
    }
  }

  private func error(_ status: Int, _ message: String) -> HTTPResponse {
    HTTPResponse(json: ["error": .string(message)], statusCode: status)
  }
}

serveAndExit { _ in Notes() }
