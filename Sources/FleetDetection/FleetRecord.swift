import Detection
import WireFormats

/// A report as a queue or a rule delivers it.
package struct FleetRecord: Equatable, Sendable {
  package let thing: String
  /// When AWS IoT received the report, in milliseconds; nil if the report's own time counts.
  package let time: UInt64?
  /// The report, JSON or CBOR.
  package let report: [UInt8]

  /// Reads the body of a record: JSON with the members of the report, or with the device's payload in Base64.
  ///
  /// Only the second form is safe if the rule's result could have a `thing` of the device's payload: AWS doesn't document which one
  /// `SELECT *, topic(2) AS thing` keeps.
  package init(body: [UInt8]) throws(FleetRecordError) {
    let envelope: ReportEnvelope
    do throws(ReportError) {
      envelope = try ReportEnvelope(parsing: body)
    } catch {
      throw FleetRecordError(error)
    }
    guard let thing = envelope.thingName else {
      throw FleetRecordError(
        "it names no thing; add topic(2) AS thing, or topic() AS topic, to the rule's SELECT")
    }
    guard SecurityProfile.isName(thing) else {
      throw FleetRecordError("'\(thing.prefix(128))' isn't a valid thing name")
    }
    self.thing = thing
    time = envelope.timestamp
    report = envelope.payload ?? body
  }
}

/// Why a record can't be evaluated, as a fragment such as `it names no thing`.
package struct FleetRecordError: Error, Equatable, Sendable, CustomStringConvertible {
  package let description: String

  init(_ description: String) { self.description = description }

  /// Creates an error that doesn't repeat the report's contents, which aren't for the log.
  init(_ error: ReportError) {
    description =
      switch error {
      case .syntax(.malformed(let offset, _)): "it is malformed at byte \(offset)"
      default: "\(error)"
      }
  }
}
