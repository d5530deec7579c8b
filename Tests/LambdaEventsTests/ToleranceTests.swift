import LambdaEvents
import LambdaRuntime
import Testing
import WireFormats

/// What an event may lack or have in addition, tried at each member of each sample.
@Suite struct `Every event` {
  @Test(arguments: SampleEvent.all)
  func `keeps the bytes that it was read from`(sample: SampleEvent) throws {
    let event = try sample.type.init(Event(try sample.bytes()))
    // The file ends with a line feed, which isn't part of the value.
    #expect(Array(event.json.bytes) == Array(try sample.bytes().dropLast()))
  }

  @Test(arguments: SampleEvent.all)
  func `is accepted with unknown members everywhere`(sample: SampleEvent) throws {
    let unknown = JSONValue.Member(name: "future é", value: .array([.null, .object([])]))
    let extended = try changed(sample) { path, members in
      // The objects there have the caller's members, or exactly one.
      isMap(path) ? members : [unknown] + members
    }
    let event = try sample.type.init(extended)
    #expect(event.json["future é"]?.description == "[null,{}]")
  }

  @Test(arguments: SampleEvent.all)
  func `needs only its required members`(sample: SampleEvent) throws {
    let root = try JSONValue(parsing: sample.bytes())
    for path in paths(root) where !isMap(path.dropLast()) {
      let name = pattern(path)
      for replacement: JSONValue? in [nil, .null] {
        let text = string(replacing(path[...], in: root, with: replacement))
        if sample.required.contains(name) {
          let failure = #expect(throws: InvocationFailure.self, "\(name)") { try sample.type.init(text) }
          #expect(failure?.type == "Function.BadEvent")
          let problem =
            "'\(path.joined(separator: ""))' is \(replacement == nil ? "missing" : "null"), but must be a"
          #expect(
            failure?.message.contains(problem.replacing("'.", with: "'")) == true, "\(failure?.message ?? "")"
          )
        } else {
          #expect(throws: Never.self, "\(name)") { try sample.type.init(text) }
        }
      }
    }
  }

  @Test(arguments: SampleEvent.all)
  func `either ignores a member of the wrong type or names it`(sample: SampleEvent) throws {
    let root = try JSONValue(parsing: sample.bytes())
    let wrong: [JSONValue] = [
      .boolean(true), .number("-1.5"), .number("1e999"), .string("s3cr3t"), .array([.number("1")]),
      .object([.init(name: "s3cr3t", value: .null)]),
    ]
    for path in paths(root) where !isMap(path.dropLast()) {
      for value in wrong {
        do throws(InvocationFailure) {
          let event = try sample.type.init(string(replacing(path[...], in: root, with: value)))
          exercise(event)
        } catch {
          let place = path.joined(separator: "").dropFirst()
          #expect(error.type == "Function.BadEvent")
          // If `isBase64Encoded` becomes true, the body is what is wrong.
          let named = place == "isBase64Encoded" && value == .boolean(true) ? "body" : place
          #expect(error.message.contains("'\(named)"), "\(place): \(error.message)")
          #expect(value != .string("s3cr3t") || !error.message.contains("s3cr3t"))
        }
      }
    }
  }

  @Test(arguments: SampleEvent.all)
  func `uses the last of duplicate members`(sample: SampleEvent) throws {
    let extended = try changed(sample) { path, members in
      isMap(path) ? members : members.map { .init(name: $0.name, value: .array([])) } + members
    }
    let event = try sample.type.init(extended)
    let original = try sample.type.init(sample.text())
    // An event of Cognito is sent back with its duplicates, except for the decisions.
    func decisions(_ event: any LambdaEvent) throws -> String? {
      try answered(event).map { try JSON(parsing: Array($0.utf8)) }.map { ($0["response"] ?? $0).description }
    }
    #expect(try decisions(event) == decisions(original))
  }

  @Test(arguments: SampleEvent.all)
  func `survives the scalars and empty values that a test console sends`(sample: SampleEvent) {
    for text in ["null", "true", "1", "\"x\"", "[]", "{}"] where !(sample.type == IoTRuleEvent.self) {
      let failure = #expect(throws: InvocationFailure.self) { try sample.type.init(text) }
      #expect(failure?.message.hasPrefix("The event isn't \(sample.type.eventName): ") == true)
    }
  }

  @Test(arguments: SampleEvent.all)
  func `says which event it looks like instead`(sample: SampleEvent) throws {
    guard !(sample.type == IoTRuleEvent.self), !(sample.type == IoTPresenceEvent.self) else { return }
    for other in SampleEvent.all
    where other.type.eventName != sample.type.eventName && !other.required.isEmpty {
      let text = try sample.text()
      let failure: InvocationFailure
      do throws(InvocationFailure) {
        // A request with httpMethod and path is both, for the load balancer and format 1.0 have the same members.
        _ = try other.type.init(text)
        #expect(
          sample.file.hasPrefix("load-balancer") || sample.file == "apigateway-v1", "\(sample) as \(other)")
        continue
      } catch {
        failure = error
      }
      #expect(failure.message.hasSuffix(" It looks like \(sample.type.eventName)."), "\(failure.message)")
    }
  }

  @Test func `is accepted with 6 MB`() throws {
    let body = String(repeating: #"{\"a\":\"ü\"},"#, count: 400_000)
    let request = try APIGatewayV2Request(
      #"{"rawPath":"/","requestContext":{"http":{"method":"POST"}},"body":"[\#(body)0]"}"#)
    #expect(request.body.count == 400_000 * 11 + 3)
    #expect(try JSON(parsing: request.body).elements?.count == 400_001)
    let records = (0..<40_000).map {
      #"{"messageId":"\#($0)","body":"\#(String(repeating: "x", count: 120))"}"#
    }
    let batch = try SQSEvent("{\"Records\":[\(records.joined(separator: ","))]}")
    #expect(batch.records.count == 40_000 && batch.records.last?.messageID == "39999")
  }
}

/// Reads all computed properties, which must not trap whatever the members are.
func exercise(_ event: any LambdaEvent) {
  _ = answered(event)
  _ = String(reflecting: event).count
}

/// The response with an answer that changes nothing; nil if the event's answer has a type that isn't listed here.
func answered(_ event: any LambdaEvent) -> String? {
  switch event {
  case let event as any HTTPRequestEvent:
    (try? event.response(
      with: HTTPResponse("\(event.method) \(event.path) \(event.queryItems) \(event.cookies)"))).map(text)
  case let event as SQSEvent:
    text(
      event.response(
        with: event.process { _ in
        } onFailure: { _, _ in
        }))
  case let event as CognitoPreSignUpEvent: text(event.response(with: .init()))
  case let event as CognitoPostConfirmationEvent: text(event.response(with: ()))
  case let event as CognitoCustomMessageEvent: text(event.response(with: .init()))
  case let event as CognitoPreTokenGenerationEvent: (try? event.response(with: .init())).map(text)
  case let event as S3BatchEvent: text(event.response(with: .init(event.tasks.map { .init($0, .succeeded) })))
  default: nil
  }
}

// MARK: - Changing samples

private typealias Path = [String]

private func string(_ value: JSONValue) -> String {
  var document = JSONWriter()
  value.write(to: &document)
  return String(decoding: document.bytes, as: UTF8.self)
}

/// The paths of all members, in components such as `.Records`, `[0]`, `.body`.
private func paths(_ value: JSONValue, _ path: Path = []) -> [Path] {
  switch value {
  case .object(let members):
    members.flatMap { [path + [".\($0.name)"]] + paths($0.value, path + [".\($0.name)"]) }
  case .array(let elements): elements.enumerated().flatMap { paths($1, path + ["[\($0)]"]) }
  default: []
  }
}

private func pattern(_ path: Path) -> String {
  String(path.map { $0.hasPrefix("[") ? "[]" : $0 }.joined(separator: "").dropFirst())
}

/// Whether the object at the path has members of the caller: then its values must be strings, or its members are a value's type.
private func isMap(_ path: some Sequence<String>) -> Bool {
  path.contains { [".Keys", ".NewImage", ".OldImage", ".headers", ".multiValueHeaders"].contains($0) }
    || path.contains { [".multiValueQueryStringParameters", ".queryStringParameters"].contains($0) }
}

private func replacing(_ path: ArraySlice<String>, in value: JSONValue, with replacement: JSONValue?)
  -> JSONValue
{
  guard let first = path.first else { return value }
  let rest = path.dropFirst()
  switch value {
  case .object(let members):
    return .object(
      members.compactMap { member in
        guard ".\(member.name)" == first else { return member }
        guard rest.isEmpty else {
          return .init(name: member.name, value: replacing(rest, in: member.value, with: replacement))
        }
        return replacement.map { .init(name: member.name, value: $0) }
      })
  case .array(let elements):
    return .array(
      elements.enumerated().map { index, element in
        "[\(index)]" == first ? replacing(rest, in: element, with: replacement) : element
      })
  default: return value
  }
}

private func changed(
  _ sample: SampleEvent, _ change: (Path, [JSONValue.Member]) -> [JSONValue.Member]
) throws -> String {
  func changing(_ value: JSONValue, _ path: Path) -> JSONValue {
    switch value {
    case .object(let members):
      .object(
        change(path, members.map { .init(name: $0.name, value: changing($0.value, path + [".\($0.name)"])) }))
    case .array(let elements): .array(elements.map { changing($0, path) })
    default: value
    }
  }
  return string(changing(try JSONValue(parsing: sample.bytes()), []))
}
