/// A connection that was opened before the first report.
package struct OpenedConnection: Equatable, Sendable, CustomStringConvertible {
  /// The other side, such as `mqtts://host:8883`.
  package let endpoint: String
  /// The MQTT client id; nil if the transport has none.
  package var clientID: String?
  /// The protocol and its version if there are several, such as `MQTT 5`; nil otherwise.
  package var protocolName: String?
  /// The TLS version, such as `TLSv1.3`; nil without TLS.
  package var tlsVersion: String?
  /// The name of the source of the credentials; nil if nothing is signed.
  package var credentialSource: String?
  /// Whether the connection stays open until the first report.
  package var staysOpen = false

  package init(endpoint: String) {
    self.endpoint = endpoint
  }

  /// The connection for a log line: `mqtts://host:8883 as 'pump-7-defender' (MQTT 5, TLSv1.3)`.
  package var description: String {
    let name = clientID.map { " as '\($0)'" } ?? ""
    let details = [protocolName, tlsVersion, credentialSource.map { "credentials from \($0)" }].compactMap {
      $0
    }
    return endpoint + name + (details.isEmpty ? "" : " (\(details.joined(separator: ", ")))")
  }
}
