import Platform
import Synchronization
import WireFormats

/// Passes published reports to a function with `detect_handler`, as rules of AWS IoT and a queue of SQS do.
///
/// Batches are evaluated one after the other. What the function reports as failed is delivered again.
final class DetectionPipeline: Sendable {
  /// The largest number of records of a batch, that of the template lambda/aws/detect.yaml.
  private static let batchLimit = 100
  /// How often a report is delivered before it is dropped, as a queue moves it to its dead-letter queue.
  private static let deliveryLimit = 3

  private let environment: ExecutionEnvironment
  private let pause: Duration
  private let report: @Sendable (EmulatorEvent) -> Void
  private let state = Mutex(State())

  private struct State {
    var queue: [Delivery] = []
    var isServing = false
    var dropped = 0
    var waiting: [CheckedContinuation<Int, Never>] = []
  }

  private struct Delivery {
    let record: RuleRecord
    let id = randomUUID()
    var count = 0
  }

  /// Creates a pipeline. Waits for `pause` before it delivers a failed report again.
  init(
    _ environment: ExecutionEnvironment, pause: Duration = .seconds(1),
    report: @escaping @Sendable (EmulatorEvent) -> Void
  ) {
    self.environment = environment
    self.pause = pause
    self.report = report
  }

  /// Queues an accepted publish if it is a report.
  func receive(_ publish: ReceivedPublish, at time: WallTime) {
    guard publish.verdict == .accepted, let topic = publish.topic, let rule = ReportTopic(topic) else {
      return
    }
    let record = RuleRecord(publish.payload, rule, at: time)
    let mustStart = state.withLock { state in
      state.queue.append(Delivery(record: record))
      defer { state.isServing = true }
      return !state.isServing
    }
    if mustStart { Task { await serve() } }
  }

  /// Waits until every report is evaluated or dropped; returns the number of those dropped so far.
  func drained() async -> Int {
    await withCheckedContinuation { continuation in
      let dropped: Int? = state.withLock { state in
        if !state.isServing { return state.dropped }
        state.waiting.append(continuation)
        return nil
      }
      if let dropped { continuation.resume(returning: dropped) }
    }
  }

  /// Invokes the function as the schedule does, for alarms that no report ends.
  func sweep() async {
    _ = await environment.invoke(InvocationRequest(event: Array(#"{"sweep":true}"#.utf8))).complete()
  }

  private func serve() async {
    while let batch = nextBatch() {
      let result = await environment.invoke(InvocationRequest(event: Self.event(batch))).complete()
      if result.failure == .stopped { return finish(dropping: batch.count) }
      let failed = Self.failed(batch, result)
      if failed.isEmpty { continue }
      let again = failed.filter { $0.count < Self.deliveryLimit }
      let dropped = failed.count - again.count
      if dropped > 0 {
        report(
          .notice(
            "\(dropped) report\(dropped == 1 ? " is" : "s are") dropped after \(Self.deliveryLimit) deliveries. The log of "
              + "detect_handler above has the reason."))
      }
      state.withLock { state in
        state.dropped += dropped
        state.queue = again + state.queue
      }
      if !again.isEmpty { try? await Task.sleep(for: pause) }
    }
  }

  /// Removes and returns the next records; nil if there are none.
  private func nextBatch() -> [Delivery]? {
    let (batch, ended) = state.withLock { state -> ([Delivery], [CheckedContinuation<Int, Never>]) in
      let batch = state.queue.prefix(Self.batchLimit).map { delivery in
        var delivery = delivery
        delivery.count += 1
        return delivery
      }
      state.queue.removeFirst(batch.count)
      guard batch.isEmpty else { return (batch, []) }
      state.isServing = false
      defer { state.waiting = [] }
      return ([], state.waiting)
    }
    resume(ended)
    return batch.isEmpty ? nil : batch
  }

  /// Gives up, because the emulator stops.
  private func finish(dropping count: Int) {
    let ended = state.withLock { state in
      state.dropped += count + state.queue.count
      state.queue = []
      state.isServing = false
      defer { state.waiting = [] }
      return state.waiting
    }
    resume(ended)
  }

  private func resume(_ waiting: [CheckedContinuation<Int, Never>]) {
    let dropped = state.withLock { $0.dropped }
    for continuation in waiting { continuation.resume(returning: dropped) }
  }

  /// Returns a batch as Lambda passes it on from SQS.
  private static func event(_ batch: [Delivery]) -> [UInt8] {
    var document = JSONWriter()
    document.beginMap(count: 1)
    document.key("Records")
    document.beginList(count: batch.count)
    for delivery in batch {
      document.beginMap(count: 3)
      document.member("messageId", delivery.id)
      document.member("body", String(decoding: delivery.record.body, as: UTF8.self))
      document.member("eventSource", "aws:sqs")
      document.endMap()
    }
    document.endList()
    document.endMap()
    return document.bytes
  }

  /// Returns the records to deliver again: those that the function names, or all of them if it failed or answered something else.
  private static func failed(_ batch: [Delivery], _ result: InvocationResult.Complete) -> [Delivery] {
    guard result.failure == nil, let answer = try? JSONValue(parsing: result.body),
      let failures = answer["batchItemFailures"]?.array
    else { return batch }
    let ids = Set(failures.compactMap { $0["itemIdentifier"]?.string })
    return batch.filter { ids.contains($0.id) }
  }
}
