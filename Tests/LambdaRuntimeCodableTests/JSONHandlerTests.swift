import FoundationEssentials
import LambdaRuntime
import Platform
import Testing

@testable import LambdaRuntimeCodable

@Suite struct `A JSON handler` {
  struct Person: Codable {
    var name: String
    var age: Int
  }

  /// Counts its calls, which shows that one value handles all invocations.
  struct Birthday: TypedHandler {
    var count = 0

    mutating func handle(_ person: Person, _ context: Context) throws -> Person {
      count += 1
      if person.age < 0 { throw InvocationFailure(type: "Function.Unborn", message: context.requestID) }
      return Person(name: person.name, age: person.age + count)
    }
  }

  struct Infinite: TypedHandler {
    func handle(_ input: Int, _ context: Context) -> Double { .infinity }
  }

  private func context() throws -> Context {
    try Context(requestID: "the-id", deadline: WallTime(millisecondsSinceEpoch: .max))
  }

  @Test func `uses one function value for all invocations`() throws {
    var handler = JSONHandler(Birthday())
    for count in 1...2 {
      let response = try handler.handle(Event(Array(#"{"name":"Ü","age":40}"#.utf8)), context())
      #expect(response.contentType == "application/json")
      let person = String(decoding: response.body, as: UTF8.self)
      #expect(person.contains(#""name":"Ü""#) && person.contains(#""age":\#(40 + count)"#))
    }
  }

  @Test(arguments: [
    ("", "JSON"), ("{", "JSON"), ("[]", "must be"), (#"{"name":"x"}"#, "'age' is missing"),
    (#"{"name":"x","age":"old"}"#, "'age' must be"), (#"{"name":null,"age":1}"#, "'name' "),
  ])
  func `names the faulty key of an event`(event: String, words: String) throws {
    var handler = JSONHandler(Birthday())
    let failure = #expect(throws: InvocationFailure.self) {
      try handler.handle(Event(Array(event.utf8)), context())
    }
    #expect(failure?.type == "Function.BadEvent")
    #expect(failure?.message.contains(words) == true, "\(failure?.message ?? "")")
    #expect(failure?.message.contains("old") == false)
  }

  @Test func `passes the function's errors through`() throws {
    var handler = JSONHandler(Birthday())
    #expect(throws: InvocationFailure(type: "Function.Unborn", message: "the-id")) {
      try handler.handle(Event(Array(#"{"name":"x","age":-1}"#.utf8)), context())
    }
  }

  struct Tomorrow: TypedHandler {
    func handle(_ input: [Date], _ context: Context) -> [Date] { input.map { $0 + 86_400 } }
  }

  @Test func `uses the given decoder and encoder`() throws {
    let decoder = JSONDecoder()
    decoder.dateDecodingStrategy = .iso8601
    let encoder = JSONEncoder()
    encoder.dateEncodingStrategy = .iso8601
    var handler = JSONHandler(Tomorrow(), decoder: decoder, encoder: encoder)
    let response = try handler.handle(Event(Array(#"["2026-02-28T01:02:03Z"]"#.utf8)), context())
    #expect(String(decoding: response.body, as: UTF8.self) == #"["2026-03-01T01:02:03Z"]"#)
  }

  struct Reading: Encodable {
    struct Private: Encodable {
      func encode(to encoder: any Encoder) throws {
        throw EncodingError.invalidValue(
          "s3cr3t", EncodingError.Context(codingPath: encoder.codingPath, debugDescription: "s3cr3t"))
      }
    }

    var rate = Private()
  }

  struct Measure: TypedHandler {
    func handle(_ input: Int, _ context: Context) -> Reading { Reading() }
  }

  @Test func `names the key of a response that can't be encoded, but not its value`() throws {
    var infinite = JSONHandler(Infinite())
    var reading = JSONHandler(Measure())
    let failures = [
      #expect(throws: InvocationFailure.self) { try infinite.handle(Event([0x31]), context()) },
      #expect(throws: InvocationFailure.self) { try reading.handle(Event([0x31]), context()) },
    ]
    #expect(failures.map { $0?.type } == ["Function.BadResponse", "Function.BadResponse"])
    #expect(failures[1]?.message.contains("'rate'") == true)
    #expect(failures.allSatisfy { $0?.message.contains("s3cr3t") == false })
  }
}
