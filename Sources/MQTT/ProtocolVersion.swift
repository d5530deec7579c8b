/// The versions of MQTT that the client implements.
///
/// The raw value is what `DEFENDER_MQTT_VERSION` contains.
package enum ProtocolVersion: String, CaseIterable, Sendable, CustomStringConvertible {
  /// MQTT 3.1.1. Its server closes the connection instead of giving a reason.
  case three = "3"
  /// MQTT 5, whose server gives a reason for each refusal.
  case five = "5"

  /// The number of the version in the CONNECT packet (section 3.1.2.2 of both specifications).
  var level: UInt8 { self == .five ? 5 : 4 }

  package var description: String { self == .five ? "MQTT 5" : "MQTT 3.1.1" }
}
