import WireFormats

/// The part of the Extensions API, version 2020-01-01, that an internal extension without events needs.
struct ExtensionsEndpoint: Sendable {
  private static let prefix = "/2020-01-01/extension/"
  private static let bodyLimit = 65_536

  let extensions: ExtensionRegistry
  let function: FunctionConfiguration

  static func isResponsible(for request: ReceivedRequest) -> Bool { request.path.hasPrefix(prefix) }

  func answer(_ request: ReceivedRequest, _ body: inout RequestBody) async throws -> Answer? {
    do {
      switch (request.method, request.path.dropFirst(Self.prefix.count)) {
      case ("POST", "register"): return try await register(request, &body)
      case ("GET", "event/next"):
        try await extensions.waitForEnd(of: identifier(of: request))
        return nil
      case ("POST", "init/error"), ("POST", "exit/error"):
        return Answer(status: 202, object: ["status": "OK"])
      default: return Answer(status: 404, body: .bytes(Array("404 page not found\n".utf8)))
      }
    } catch let refusal as ExtensionRegistry.Refusal {
      return refusal.answer
    }
  }

  private func register(_ request: ReceivedRequest, _ body: inout RequestBody) async throws -> Answer {
    guard let name = request.value(of: "lambda-extension-name"), !name.isEmpty else {
      return Answer(
        status: 400,
        object: ["errorMessage": "Lambda-Extension-Name is missing", "errorType": "Extension.InvalidName"])
    }
    let document = try await body.complete(limit: Self.bodyLimit)
    guard !document.isCut, let events = (try? JSONValue(parsing: document.bytes))?["events"]?.array else {
      return Answer(
        status: 400,
        object: [
          "errorMessage": "The body has no list of events", "errorType": "Extension.InvalidRequestFormat",
        ])
    }
    let identifier = try extensions.register(name, events: events.map { $0.string ?? $0.kind })
    var answer = Answer(
      status: 200,
      object: [
        "functionName": function.name, "functionVersion": function.version, "handler": function.handler,
      ])
    answer.headers.append(HeaderField("Lambda-Extension-Identifier", identifier))
    return answer
  }

  private func identifier(of request: ReceivedRequest) -> String {
    request.value(of: "lambda-extension-identifier") ?? ""
  }
}

extension ExtensionRegistry.Refusal {
  fileprivate var answer: Answer {
    switch self {
    case .nameInUse(let name):
      Answer(
        status: 403,
        object: [
          "errorMessage": "An extension called '\(name)' is already registered",
          "errorType": "Extension.AlreadyRegistered",
        ])
    case .unsupportedEvents(let events):
      Answer(
        status: 403,
        object: [
          "errorMessage":
            "The emulator has no extension events, but the extension subscribes to \(events.joined(separator: ", "))",
          "errorType": "Extension.UnsupportedEvents",
        ])
    case .unknownIdentifier:
      Answer(
        status: 403,
        object: [
          "errorMessage": "Lambda-Extension-Identifier names no registered extension",
          "errorType": "Extension.UnknownExtensionIdentifier",
        ])
    }
  }
}
