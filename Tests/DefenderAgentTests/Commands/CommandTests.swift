import DefenderAgent
import Platform
import TestSupport
import Testing
import WireFormats

private let nested = String(repeating: "[", count: 500) + String(repeating: "]", count: 500)

@Suite struct `A command` {
  @Test(
    arguments: [
      ("", "the message is not JSON at byte 0: unexpected end, expected a value"),
      ("report", "the message is not JSON at byte 0: expected a value"),
      (#"{"command":"report"} x"#, "the message is not JSON at byte 21: unexpected data after the value"),
      (#"{"command":"report","#, "the message is not JSON at byte 20: expected a member name"),
      (#"{"command":"report","command":"interval"}"#, "duplicate member 'command'"),
      (nested, "nested more than 64 levels deep"),
      (#"["report"]"#, #"the message is an array; expected an object such as {"command":"report"}"#),
      ("null", "the message is null; expected an object"),
      ("{}", "'command' is missing; allowed: report, interval"),
      (#"{"command":"Report"}"#, #"'command' is "Report"; allowed: report, interval"#),
      (#"{"command":null}"#, "'command' is null; allowed: report, interval"),
      (#"{"command":["report"]}"#, #"'command' is ["report"]; allowed: report, interval"#),
      (#"{"command":"report","reports":1}"#, "'reports' is unknown; allowed: command, seconds, id"),
      (#"{"command":"report","seconds":5}"#, "'seconds' is only allowed with the command 'interval'"),
      (#"{"command":"report","seconds":null}"#, "'seconds' is only allowed with the command 'interval'"),
      (#"{"command":"interval","seconds":"300"}"#, #"'seconds' is "300"; expected a number of seconds"#),
      (#"{"command":"interval","seconds":null}"#, "'seconds' is null; expected a number of seconds"),
      (#"{"command":"interval","seconds":0}"#, "'seconds' is 0; expected a number of seconds, from 0.001"),
      (#"{"command":"interval","seconds":-1}"#, "'seconds' is -1;"),
      (#"{"command":"interval","seconds":604800.1}"#, "'seconds' is 604800.1;"),
      (#"{"command":"interval","seconds":1e999}"#, "'seconds' is 1e999;"),
      (#"{"command":"report","id":7}"#, "'id' is 7; expected text of 1 to 64 bytes"),
      (#"{"command":"report","id":""}"#, #"'id' is ""; expected text of 1 to 64 bytes"#),
      (
        #"{"command":"report","id":"\#(String(repeating: "é", count: 33))"}"#,
        "expected text of 1 to 64 bytes"
      ),
      (String(repeating: " ", count: 1_025), "the message has more than 1024 bytes"),
    ])
  func `is rejected with what is wrong and what is allowed`(text: String, reason: String) {
    let error = #expect(throws: CommandError.self) { try Command(parsing: Array(text.utf8)) }
    #expect(error?.reason.contains(reason) == true, "\(String(describing: error))")
    // Whatever the sender wrote, the text fits in a log line.
    #expect((error?.reason.count ?? 0) < 400)
  }

  @Test func `is rejected if it isn't UTF-8`() {
    let payload = Array(#"{"command":"rep"#.utf8) + [0xFF] + Array(#""}"#.utf8)
    let error = #expect(throws: CommandError.self) { try Command(parsing: payload) }
    #expect(error?.reason.contains("the string isn't UTF-8") == true)
  }

  @Test(
    arguments: [
      (#"{"command":"report"}"#, .report, nil),
      (" {\n\"id\" : \"\(String(repeating: "x", count: 64))\", \"command\":\"report\"}", .report, 64),
      (#"{"command":"interval"}"#, .interval(nil), nil),
      (#"{"command":"interval","seconds":600}"#, .interval(.seconds(600)), nil),
      (#"{"command":"interval","seconds":0.001,"id":"a"}"#, .interval(.milliseconds(1)), 1),
      (#"{"command":"interval","seconds":16.1}"#, .interval(.milliseconds(16_100)), nil),
      (#"{"command":"interval","seconds":0.0014}"#, .interval(.milliseconds(1)), nil),
      (#"{"command":"interval","seconds":6.048e5}"#, .interval(.seconds(604_800)), nil),
    ] as [(String, Command.Action, Int?)])
  func `is parsed`(text: String, action: Command.Action, idLength: Int?) throws {
    let command = try Command(parsing: Array(text.utf8))
    #expect(command.action == action)
    #expect(command.id?.utf8.count == idLength)
  }

  @Test func `keeps a valid id for the response to an error`() {
    let error = #expect(throws: CommandError.self) {
      try Command(parsing: Array(#"{"command":"reboot","id":"42"}"#.utf8))
    }
    #expect(error?.id == "42")
  }

  @Test func `that is damaged is rejected or still in range`() {
    var random = SeededRandom(seed: 25)
    let originals = [#"{"command":"report","id":"42"}"#, #"{"command":"interval","seconds":600.5,"id":"é"}"#]
    var accepted = 0
    for _ in 0..<2_000 {
      guard let original = originals.randomElement(using: &random) else { continue }
      guard let command = try? Command(parsing: damaged(Array(original.utf8), using: &random)) else {
        continue
      }
      accepted += 1
      #expect((command.id?.utf8.count ?? 1) <= Command.maximumIDBytes)
      guard case .interval(let interval?) = command.action else { continue }
      #expect(Configuration.intervalRange.contains(interval.inSeconds))
    }
    #expect((1..<2_000).contains(accepted))
  }
}

@Suite struct `The response to a command` {
  @Test(
    arguments: [
      (
        CommandResponse(.report(7), to: "report", id: "a\"b", thing: "t"),
        #"{"command":"report","id":"a\"b","thing":"t","status":"accepted","reportId":7}"#,
        "accepted, report 7"
      ),
      (
        CommandResponse(.interval(.seconds(300), note: "Raised it."), to: "interval"),
        #"{"command":"interval","status":"accepted","intervalSeconds":300,"note":"Raised it."}"#,
        "accepted, one report every 300 s (Raised it)"
      ),
      (
        CommandResponse(.interval(.milliseconds(1_500), note: nil), to: "interval"),
        #"{"command":"interval","status":"accepted","intervalSeconds":1.5}"#,
        "accepted, one report every 1.5 s"
      ),
      (
        CommandResponse(.rejected("no.\n", reportID: 8)),
        #"{"status":"rejected","reportId":8,"error":"no.\n"}"#, "rejected: no"
      ),
    ])
  func `is JSON, and one line in the log`(response: CommandResponse, json: String, text: String) {
    #expect(String(decoding: response.encoded, as: UTF8.self) == json)
    #expect(response.description == text)
  }
}

@Suite struct `The limit on commands` {
  private let start = BootTime(nanosecondsSinceBoot: 1_000_000_000_000)

  /// Returns the verdicts on commands that arrive at the given seconds.
  private func verdicts(at seconds: [Double]) -> [CommandLimiter.Verdict] {
    var limiter = CommandLimiter()
    return seconds.map { limiter.verdict(at: start.advanced(by: .milliseconds(Int64($0 * 1_000)))) }
  }

  @Test(
    arguments: [
      ([0, 0, 0, 0, 0, 0], [.admitted, .admitted, .admitted, .refused, .dropped, .dropped]),
      ([0, 0, 0, 5.9, 6, 6, 6], [.admitted, .admitted, .admitted, .refused, .admitted, .refused, .dropped]),
      ([0, 0, 0, 86_400, 86_400, 86_400, 86_400], Array(repeating: .admitted, count: 6) + [.refused]),
    ] as [([Double], [CommandLimiter.Verdict])])
  func `admits three at once, refuses the next and drops the rest`(
    seconds: [Double], expected: [CommandLimiter.Verdict]
  ) {
    #expect(verdicts(at: seconds) == expected)
  }

  @Test func `admits ten a minute in the long run`() {
    let everyTenth = (0..<36_000).map { Double($0) / 10 }
    let admitted = verdicts(at: everyTenth).count { $0 == .admitted }
    #expect((600...603).contains(admitted))
  }

  @Test func `remembers the last 16 responses by their ids`() {
    var answered = AnsweredCommands()
    answered.append(CommandResponse(.report(0), to: "report"))
    for number in 1...17 {
      answered.append(CommandResponse(.report(UInt64(number)), to: "report", id: "\(number)"))
    }
    #expect(answered["1"] == nil)
    #expect(answered["2"]?.result == .report(2))
    #expect(answered["17"]?.result == .report(17))
    answered.append(CommandResponse(.report(18), id: "e\u{301}"))
    #expect(answered["\u{E9}"] == nil)
  }
}

@Suite struct `The inbox of commands` {
  private let recorded = RecordedLog()

  private func inbox() throws -> CommandInbox { CommandInbox(try CommandTopics(Topic(validating: "c/t"))) }

  /// Returns whether `inbox` takes a message.
  private func take(
    _ payload: [UInt8], on topic: String = "c/t", isRetained: Bool = false, _ inbox: inout CommandInbox
  ) -> Bool {
    inbox.take(payload, on: topic, isRetained: isRetained, log: recorded.log())
  }

  @Test func `ignores retained commands, and says so once`() throws {
    var inbox = try inbox()
    let taken = [take([1], isRetained: true, &inbox), take([1], isRetained: true, &inbox)]
    #expect(taken == [true, true])
    #expect(inbox.isEmpty)
    #expect(recorded.lines.count == 1 && recorded.lines.first?.contains("[WARN]") == true)
    #expect(recorded.lines.first?.contains("Ignored a retained command on c/t") == true)
  }

  @Test func `takes only what is on its topic, and a bounded number`() throws {
    var inbox = try inbox()
    let taken = [take([1], on: "c/t/response", &inbox), take([], &inbox)]
    #expect(taken == [false, true])
    #expect(inbox.isEmpty)
    for number in 0..<40 { _ = take([UInt8(number)], &inbox) }
    let first = inbox.takeAll()
    #expect(first.map { $0.first } == (0..<16).map { $0 })
    #expect(inbox.isEmpty)
    _ = take(Array(repeating: 0, count: 100_000), &inbox)
    let large = inbox.takeAll()
    #expect(large.first?.count == Command.maximumBytes + 1)
  }
}
