import WireFormats

/// A batch of records from a queue or a stream. Lambda delivers only the records again that the ``BatchResponse`` names.
///
/// For that, the event source mapping needs `ReportBatchItemFailures` among its function response types. Without it, Lambda ignores
/// the response, and delivers the whole batch again only if the handler throws.
public protocol BatchEvent: LambdaEvent where Answer == BatchResponse {
  /// The type of the records.
  associatedtype Record: BatchRecord

  /// The records, in the order in which Lambda received them.
  var records: [Record] { get }
  /// What Lambda delivers again after a failure.
  var redelivery: Redelivery { get }
}

/// A record of a batch.
public protocol BatchRecord: JSONReadable, Sendable {
  /// What identifies the record in a ``BatchResponse``.
  var itemIdentifier: String { get }
}

/// What Lambda delivers again if a record of a batch fails.
public enum Redelivery: Sendable {
  /// Each failed record, as in a standard queue.
  case failedRecords
  /// The failed records, which must include all those after the first failure to keep their order, as in a FIFO queue.
  case everyRecordAfterFailure
  /// The failed record and everything after it, as in a stream.
  case fromFirstFailure
}

extension BatchEvent {
  /// Passes each record to `process`, and returns the answer that makes Lambda deliver the failed records again.
  ///
  /// `onFailure` receives each record for which `process` throws, with the error; log it there. After the first failure, the records of
  /// a FIFO queue or a stream aren't processed, because Lambda delivers them again.
  ///
  /// ```swift
  /// func handle(_ event: SQSEvent, _ context: Context) -> BatchResponse {
  ///   event.process { message in
  ///     try store(message.body)
  ///   } onFailure: { message, error in
  ///     log.error("Can't store the message \(message.messageID): \(error).")
  ///   }
  /// }
  /// ```
  public func process(
    _ process: (Record) throws -> Void, onFailure: (Record, any Error) -> Void
  ) -> BatchResponse {
    var answer = BatchResponse()
    for (index, record) in records.enumerated() {
      do {
        try process(record)
      } catch {
        onFailure(record, error)
        guard mayContinue(after: index, &answer) else { break }
      }
    }
    return answer
  }

  /// Adds what Lambda must deliver again because the record at `index` failed. Returns whether the records after it may be processed.
  package func mayContinue(after index: Int, _ answer: inout BatchResponse) -> Bool {
    switch redelivery {
    case .failedRecords, .fromFirstFailure: answer.failedItems.append(records[index].itemIdentifier)
    case .everyRecordAfterFailure: answer.failedItems = records[index...].map(\.itemIdentifier)
    }
    return redelivery == .failedRecords
  }

  /// Returns `answer` in Lambda's format: `{"batchItemFailures":[{"itemIdentifier":"…"}]}`, with an empty list if all records succeeded.
  public func response(with answer: BatchResponse) -> Response {
    var document = JSONWriter()
    document.beginMap(count: 1)
    document.key("batchItemFailures")
    document.beginList(count: answer.failedItems.count)
    for item in answer.failedItems {
      document.beginMap(count: 1)
      document.member("itemIdentifier", item)
      document.endMap()
    }
    document.endList()
    document.endMap()
    return Response(json: document.bytes)
  }
}

/// Which records of a batch failed.
public struct BatchResponse: Equatable, Sendable {
  /// The ``BatchRecord/itemIdentifier`` of each record to deliver again; empty if all succeeded.
  ///
  /// Lambda delivers the whole batch again if it doesn't know one of them.
  public var failedItems: [String]

  /// Creates a response; without arguments, all records succeeded.
  public init(failedItems: [String] = []) {
    self.failedItems = failedItems
  }
}
