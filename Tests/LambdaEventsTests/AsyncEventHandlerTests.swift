import LambdaEventsAsync
import TestSupport
import Testing

@Suite struct `An asynchronous event handler` {
  private struct Refused: Error {}

  /// A handler with state, which can't be copied.
  private struct Worker: AsyncEventHandler, ~Copyable {
    var count = 0

    mutating func handle(_ event: SQSEvent, _ context: Context) async throws -> BatchResponse {
      count += 1
      guard count > 1 else { throw InvocationFailure(type: "Function.TooEarly", message: "\(count)") }
      return await event.process { message in
        await Task.yield()
        if message.body.isEmpty { throw Refused() }
      } onFailure: { message, _ in
        context.log.info("failed: \(message.messageID)")
      }
    }
  }

  private let context = Result {
    try Context(requestID: "id", deadline: WallTime(millisecondsSinceEpoch: .max))
  }

  @Test func `answers in the format of the service, and keeps its state`() async throws {
    var worker = Worker()
    let event = Event(try fixture("events/sqs.json"))
    let context = try context.get()
    await #expect(throws: InvocationFailure(type: "Function.TooEarly", message: "1")) {
      try await worker.handle(event, context)
    }
    let response = try await worker.handle(event, context)
    #expect(
      text(response)
        == #"{"batchItemFailures":[{"itemIdentifier":"11111111-87a3-44ab-83d2-000000000003"}]}"#)
  }

  @Test func `reports an event of another service`() async throws {
    var worker = Worker()
    let event = Event(try fixture("events/sns.json"))
    let context = try context.get()
    let failure = await #expect(throws: InvocationFailure.self) { try await worker.handle(event, context) }
    #expect(failure?.type == "Function.BadEvent")
    #expect(failure?.message.contains("It looks like a notification of Amazon SNS.") == true)
  }

  @Test(
    arguments: [("sqs", [0, 2], 3, [0, 2]), ("sqs-fifo", [1], 2, [1, 2]), ("sqs", [], 3, [])]
      as [(String, Set<Int>, Int, [Int])])
  func `processes a batch as a synchronous one does`(
    file: String, failing: Set<Int>, processed: Int, failed: [Int]
  ) async throws {
    let batch: SQSEvent = try sample(file)
    var seen = 0
    var reported = 0
    let answer = await batch.process { _ in
      await Task.yield()
      seen += 1
      if failing.contains(seen - 1) { throw Refused() }
    } onFailure: { _, error in
      reported += error is Refused ? 1 : 0
    }
    #expect(seen == processed && reported == failing.count)
    #expect(answer.failedItems == failed.map { batch.records[$0].messageID })
  }

  @Test(arguments: [("sqs", [1, 2]), ("sqs-fifo", [1, 2])])
  func `leaves the rest of a batch to the next delivery once it is cancelled`(
    file: String, failed: [Int]
  ) async throws {
    let batch: SQSEvent = try sample(file)
    let result = await Task {
      var reported = 0
      let answer = await batch.process { _ in
        await cancelCurrentTask()
      } onFailure: { _, _ in
        reported += 1
      }
      return (answer.failedItems, reported)
    }.value
    #expect(result.0 == failed.map { batch.records[$0].messageID })
    #expect(result.1 == 0)
  }

  @Test func `of a stream leaves everything from the first unprocessed record on`() async throws {
    let batch: KinesisEvent = try sample("kinesis")
    let failed = await Task {
      await batch.process({ _ in await cancelCurrentTask() }, onFailure: { _, _ in }).failedItems
    }.value
    #expect(failed == [batch.records[1].sequenceNumber])
  }
}

private func cancelCurrentTask() async {
  unsafe withUnsafeCurrentTask { task in unsafe task?.cancel() }
}
