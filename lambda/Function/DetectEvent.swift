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
    let document: JSONValue
    do throws(JSONError) {
      document = try JSONValue(parsing: bytes)
    } catch {
      throw invalid("The event is malformed at byte \(error.offset).")
    }
    guard let members = document.members else {
      throw invalid("The event is \(document.kind), but must be a JSON object.")
    }
    // A report that a rule passes on has its thing beside the members that the device chose, so a device can't send a batch.
    if members.count == 1, document["sweep"]?.boolean == true {
      self = .sweep
    } else if members.count == 1, let records = document["Records"]?.array {
      var batch: [Record] = []
      for record in records { batch.append(try Self.record(record)) }
      self = .batch(batch)
    } else {
      self = .report(bytes)
    }
  }

  private static func record(_ json: JSONValue) throws(InvocationFailure) -> Record {
    switch json["eventSource"]?.string {
    case "aws:sqs":
      guard let id = json["messageId"]?.string, let body = json["body"]?.string else {
        throw invalid("A record of SQS has no messageId or no body.")
      }
      return Record(id: id, body: Array(body.utf8), isOfStream: false)
    case "aws:kinesis":
      guard let id = json["kinesis"]?["sequenceNumber"]?.string, let data = json["kinesis"]?["data"]?.string
      else { throw invalid("A record of Kinesis has no sequenceNumber or no data.") }
      // What isn't Base64 fails alone, as a malformed report.
      return Record(id: id, body: base64Decoding(data) ?? [], isOfStream: true)
    case let source:
      throw invalid(
        "A record has the eventSource '\((source ?? "none").prefix(100))'. Connect the function to SQS or Kinesis."
      )
    }
  }
}

private func invalid(_ message: String) -> InvocationFailure {
  InvocationFailure(type: "Function.InvalidEvent", message: message)
}
