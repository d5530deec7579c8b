import LambdaEmulator
import Platform
import Synchronization
import TestSupport
import WireFormats

/// An IoT data plane that verifies signatures, stores reports, and fails as networks and services do: at random, but in
/// the same order in each run.
final class FaultyDataPlane: Sendable {
  /// A stored report, and whether the client got the response.
  struct Stored: Sendable {
    let id: UInt64
    let bytesIn: Int
    /// Whether the complete acknowledgement was sent in time.
    let isAnswered: Bool
  }

  /// What happens to a request that arrived completely.
  private enum Fault: CaseIterable {
    case none
    // Before the report is stored:
    case reset, hang, serverError, unavailable, throttled, throttledWithCode, notFound, badRequest, garbage
    case malformedStatus, largeHead
    // After the report is stored:
    case resetAfterStore, closeAfterStore, hangAfterStore, resetInHead, closeInHead, resetInBody, closeInBody
    case drip, tooLargeBody
    // Unusual responses that still acknowledge the report:
    case emptyBody, malformedJSON, interimResponses, chunks, closeAfterAnswer, fastDrip
  }

  private struct State {
    var random: SeededRandom
    var isFaulty = true
    var stored: [Stored] = []
    var counts: [Fault: Int] = [:]
    /// The remaining faults before the deck is shuffled again.
    var deck: [Fault] = []
    var deckCount = 0
    var cuts = 0
    var refusedSignatures = 0
  }

  private let state: Mutex<State>
  private let endpoint: PublishEndpoint
  private let clock: Clock

  /// Creates a data plane that accepts signatures of `credentials` for eu-central-1. Its clock is `time` plus an offset.
  init(credentials: TemporaryCredentials, time: SkippingTime, seed: UInt64) {
    state = Mutex(State(random: SeededRandom(seed: seed)))
    let clock = Clock()
    self.clock = clock
    endpoint = PublishEndpoint(
      verifier: SignatureVerifier(credentials: credentials, region: "eu-central-1"),
      now: { time.wallTime.advanced(by: clock.offset.withLock { $0 }) })
  }

  /// The offset of the service's clock: how far it is ahead of the client's.
  private final class Clock: Sendable {
    let offset = Mutex(Duration.zero)
  }

  /// The stored reports, in order.
  var stored: [Stored] { state.withLock { $0.stored } }

  /// The number of different faults so far, and of connections that were refused or reset before a request was complete.
  var faultKinds: (kinds: Int, cuts: Int) { state.withLock { ($0.counts.count - 1, $0.cuts) } }

  var refusedSignatures: Int { state.withLock { $0.refusedSignatures } }

  /// Ends all faults.
  func recover() { state.withLock { $0.isFaulty = false } }

  func refusesConnection() -> Bool { happens(1, in: 25) }

  /// Returns after how many bytes of the next request to reset its connection; nil if it isn't reset.
  func cut() -> Int? {
    guard happens(1, in: 15) else { return nil }
    return state.withLock { Int.random(in: 0...900, using: &$0.random) }
  }

  private func happens(_ count: Int, in total: Int) -> Bool {
    state.withLock { state in
      guard state.isFaulty, Int.random(in: 0..<total, using: &state.random) < count else { return false }
      state.cuts += 1
      return true
    }
  }

  func answer(_ request: ScriptedServer.Received) -> ScriptedServer.Answer {
    let fault = state.withLock { state in
      let fault = nextFault(&state)
      state.counts[fault, default: 0] += 1
      if state.isFaulty, Int.random(in: 0..<40, using: &state.random) == 0 {
        let offset = [0, 3_600, -7_200, 200].randomElement(using: &state.random) ?? 0
        clock.offset.withLock { $0 = .seconds(offset) }
      }
      return fault
    }
    if let answer = answerBeforeStoring(fault) { return answer }
    let (status, text) = request.answer(of: endpoint)
    guard status == 200 else {
      state.withLock { $0.refusedSignatures += 1 }
      return .keep(text)
    }
    let (answer, isAnswered) = answerAfterStoring(fault, text)
    store(request.body, isAnswered: isAnswered)
    return answer
  }

  /// Returns the fault for the next request; half of the requests have none.
  ///
  /// The faults come from a shuffled deck, so that each of them occurs. Only every fifth deck includes those that make a
  /// client wait until its time limit.
  private func nextFault(_ state: inout State) -> Fault {
    guard state.isFaulty, Bool.random(using: &state.random) else { return .none }
    if state.deck.isEmpty {
      let slow: Set<Fault> = [.hang, .hangAfterStore, .drip]
      let kinds = state.deckCount % 5 == 0 ? Fault.allCases : Fault.allCases.filter { !slow.contains($0) }
      state.deck = kinds.shuffled(using: &state.random)
      state.deckCount += 1
    }
    return state.deck.popLast() ?? .none
  }

  private func answerBeforeStoring(_ fault: Fault) -> ScriptedServer.Answer? {
    switch fault {
    case .reset: .reset("")
    case .hang: .hang
    case .serverError: .keep(httpResponse("500 Oops", body: "<html>"))
    case .unavailable: .close(httpResponse("503 Busy", headers: ["x-amz-retry-after: 1500"]))
    case .throttled: .keep(httpResponse("429 Slow"))
    case .throttledWithCode:
      .keep(httpResponse("400 Slow", headers: ["x-amzn-ErrorType: ThrottlingException"]))
    case .notFound: .keep(httpResponse("404 None", body: "null"))
    case .badRequest: .keep(httpResponse("400 Bad", body: #"{"message":1}"#))
    case .garbage: .close("\u{1}\u{2}\u{3} \r\n\r\n\r\n{}")
    case .malformedStatus: .close("HTTP/1.1 abc ???\r\n\r\n")
    case .largeHead: .close("HTTP/1.1 200 OK\r\nX-Pad: " + String(repeating: "y", count: 90_000) + "\r\n\r\n")
    default: nil
    }
  }

  /// Returns the response to a stored report, and whether the client gets all of it in time.
  private func answerAfterStoring(_ fault: Fault, _ text: String) -> (ScriptedServer.Answer, Bool) {
    let bodySize = text.split(separator: "\r\n\r\n").last?.utf8.count ?? 0
    func start(_ count: Int) -> String { String(decoding: text.utf8.prefix(count), as: UTF8.self) }
    let inHead = start(20)
    let inBody = start(text.utf8.count - bodySize / 2)
    switch fault {
    case .resetAfterStore: return (.reset(""), false)
    case .closeAfterStore: return (.close(""), false)
    case .hangAfterStore: return (.hang, false)
    case .resetInHead: return (.reset(inHead), false)
    case .closeInHead: return (.close(inHead), false)
    case .resetInBody: return (.reset(inBody), false)
    case .closeInBody: return (.close(inBody), false)
    case .drip: return (.drip(text, pause: 20), false)
    case .tooLargeBody: return (.close(httpResponse(body: String(repeating: " ", count: 1_100_000))), false)
    case .emptyBody: return (.keep(httpResponse()), true)
    case .malformedJSON: return (.keep(httpResponse(body: #"{"message": "OK", "traceId": "#)), true)
    case .interimResponses: return (.keep("HTTP/1.1 100 Continue\r\n\r\n" + text), true)
    case .chunks:
      return (.keep("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"), true)
    case .closeAfterAnswer: return (.close(text), true)
    case .fastDrip: return (.drip(httpResponse(), pause: 0), true)
    default: return (.keep(text), true)
    }
  }

  private func store(_ body: [UInt8], isAnswered: Bool) {
    let report = try? JSONValue(parsing: body)
    let id: UInt64 = report?["header"]?["report_id"]?.integer() ?? 0
    let bytesIn: Int = report?["metrics"]?["network_stats"]?["bytes_in"]?.integer() ?? 0
    state.withLock { $0.stored.append(Stored(id: id, bytesIn: bytesIn, isAnswered: isAnswered)) }
  }
}
