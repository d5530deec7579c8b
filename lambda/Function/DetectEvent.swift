package import LambdaRuntime
import WireFormats

/// The event of `detect_handler`: reports from a queue, a stream or a rule, or the request to sweep.
package enum DetectEvent: Equatable {
  /// A batch from SQS or Kinesis, whose failed records are delivered again.
  case batch([Record])
  /// One report, from a rule that invokes the function.
  case report([UInt8])
  case sweep

  /// A record of a batch.
  package struct Record: Equatable {
    /// The message's id in SQS, or the sequence number in Kinesis.
    package let id: String
    package let body: [UInt8]
    /// Whether it is from a stream, which a failed record stops. Nothing behind it is delivered until it succeeds or expires.
    package let isOfStream: Bool
  }

  /// Parses an event. A record without an id makes the whole event invalid, because its failure couldn't be reported.
  package init(_ bytes: [UInt8]) throws(InvocationFailure) {
    let members: Members
    do throws(ScanError) {
      members = try Members(bytes)
    } catch {
      throw invalid("The event is \(error).")
    }
    // A report that a rule passes on has its thing beside the members that the device chose, so a device can't send a batch.
    if members.count == 1, members.isSweep {
      self = .sweep
    } else if members.count == 1, let records = members.records {
      var batch: [Record] = []
      batch.reserveCapacity(records.count)
      for record in records { batch.append(try record.complete()) }
      self = .batch(batch)
    } else {
      self = .report(bytes)
    }
  }
}

/// The members of an event, which may be those of a report.
private struct Members {
  private(set) var count = 0
  private(set) var isSweep = false
  /// The elements of `Records`; nil if there is no such list of objects.
  private(set) var records: [RecordMembers]?

  init(_ bytes: [UInt8]) throws(ScanError) {
    var scanner = JSONScanner(bytes)
    var map = try scanner.beginMap()
    while let key = try scanner.nextKey(of: &map) {
      count += 1
      let kind = try scanner.kind()
      if scanner.matches(key, "Records"), kind == .list {
        var list = try scanner.beginList()
        var found: [RecordMembers] = []
        while try scanner.nextElement(of: &list) { found.append(try RecordMembers(&scanner)) }
        records = found
      } else if scanner.matches(key, "sweep"), kind == .other {
        isSweep = try scanner.boolean()
      } else {
        try scanner.skip()
      }
    }
    guard scanner.isAtEnd() else { throw scanner.malformed("unexpected data after the event") }
  }
}

/// The members of a record of SQS or Kinesis. What is missing or of another kind is nil: this may be a part of a device's report.
private struct RecordMembers {
  private var source: String?
  private var messageID: String?
  private var body: [UInt8]?
  private var sequenceNumber: String?
  private var data: [UInt8]?

  init(_ scanner: inout JSONScanner) throws(ScanError) {
    guard try scanner.kind() == .map else {
      try scanner.skip()
      return
    }
    var map = try scanner.beginMap()
    while let key = try scanner.nextKey(of: &map) {
      if scanner.matches(key, "kinesis"), try scanner.kind() == .map {
        try readKinesis(&scanner)
      } else if try scanner.kind() != .text {
        try scanner.skip()
      } else if scanner.matches(key, "eventSource") {
        source = try scanner.string(scanner.text())
      } else if scanner.matches(key, "messageId") {
        messageID = try scanner.string(scanner.text())
      } else if scanner.matches(key, "body") {
        // What can't be decoded fails alone, as a malformed report.
        let text = try scanner.text()
        body = (try? scanner.unescaped(text)) ?? []
      } else {
        try scanner.skip()
      }
    }
  }

  private mutating func readKinesis(_ scanner: inout JSONScanner) throws(ScanError) {
    var map = try scanner.beginMap()
    while let key = try scanner.nextKey(of: &map) {
      if try scanner.kind() != .text {
        try scanner.skip()
      } else if scanner.matches(key, "sequenceNumber") {
        sequenceNumber = try scanner.string(scanner.text())
      } else if scanner.matches(key, "data") {
        let text = try scanner.text()
        data = (try? scanner.base64(text)) ?? []
      } else {
        try scanner.skip()
      }
    }
  }

  func complete() throws(InvocationFailure) -> DetectEvent.Record {
    switch source {
    case "aws:sqs":
      guard let messageID, let body else { throw invalid("A record of SQS has no messageId or no body.") }
      return DetectEvent.Record(id: messageID, body: body, isOfStream: false)
    case "aws:kinesis":
      guard let sequenceNumber, let data else {
        throw invalid("A record of Kinesis has no sequenceNumber or no data.")
      }
      return DetectEvent.Record(id: sequenceNumber, body: data, isOfStream: true)
    default:
      throw invalid(
        "A record has the eventSource '\((source ?? "none").prefix(100))'. Connect the function to SQS or Kinesis."
      )
    }
  }
}

private func invalid(_ message: String) -> InvocationFailure {
  InvocationFailure(type: "Function.InvalidEvent", message: message)
}
