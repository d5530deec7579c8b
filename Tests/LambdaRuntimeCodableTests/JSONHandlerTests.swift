import FoundationEssentials
import LambdaRuntime
import Platform
import Testing

@testable import LambdaRuntimeCodable

struct JSONHandlerTests {
  struct Person: Codable {
    var name: String
    var age: Int
  }

  /// Counts its calls, so that it can be seen that it is one and the same.
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

  @Test func `decodes, calls and encodes with one value for all invocations`() throws {
    var handler = JSONHandler(Birthday())
    for count in 1...2 {
      let response = try handler.handle(Event(Array(#"{"name":"Ü","age":40}"#.utf8)), context())
      #expect(response.contentType == "application/json")
      let person = String(decoding: response.body, as: UTF8.self)
      #expect(person.contains(#""name":"Ü""#) && person.contains(#""age":\#(40 + count)"#))
    }
  }

  @Test(arguments: [
    ("", ""), ("{", ""), ("[]", ""), (#"{"name":"x"}"#, "'age': it is missing"),
    (#"{"name":"x","age":"old"}"#, "'age': "), (#"{"name":null,"age":1}"#, "'name': "),
  ])
  func `says what is wrong with an event, and where`(event: String, words: String) throws {
    var handler = JSONHandler(Birthday())
    let failure = #expect(throws: InvocationFailure.self) {
      try handler.handle(Event(Array(event.utf8)), context())
    }
    #expect(failure?.type == "Function.BadEvent")
    #expect(failure?.message.hasPrefix("the event is not what is taken: \(words)") == true)
  }

  @Test func `lets the function's own errors through`() throws {
    var handler = JSONHandler(Birthday())
    #expect(throws: InvocationFailure(type: "Function.Unborn", message: "the-id")) {
      try handler.handle(Event(Array(#"{"name":"x","age":-1}"#.utf8)), context())
    }
  }

  struct Tomorrow: TypedHandler {
    func handle(_ input: [Date], _ context: Context) -> [Date] { input.map { $0 + 86_400 } }
  }

  @Test func `takes and writes dates as its decoder and its encoder do`() throws {
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

  @Test func `says where a response can't be JSON, and nothing of what it is`() throws {
    var infinite = JSONHandler(Infinite())
    var reading = JSONHandler(Measure())
    let failures = [
      #expect(throws: InvocationFailure.self) { try infinite.handle(Event([0x31]), context()) },
      #expect(throws: InvocationFailure.self) { try reading.handle(Event([0x31]), context()) },
    ]
    #expect(failures.map { $0?.type } == ["Function.BadResponse", "Function.BadResponse"])
    #expect(
      failures.map { $0?.message } == [
        "the response can't be JSON: its value isn't accepted",
        "the response can't be JSON: 'rate': its value isn't accepted",
      ])
  }
}
