import MQTT

/// Chooses the version of MQTT of each connection: 5, or 3.1.1 for a broker that doesn't support 5.
struct VersionChoice {
  private let configured: ProtocolVersion
  /// The version of the next connection.
  private(set) var current: ProtocolVersion
  /// Whether the broker has answered a CONNECT packet of the current version.
  private var isProven = false
  private var hasFallenBack = false
  /// Whether the broker answered that it doesn't support MQTT 5.
  private var isRefused = false

  init(_ configured: ProtocolVersion) {
    self.configured = configured
    current = configured
  }

  /// Why the connection doesn't use the configured version, for the text of a connection; nil if it does.
  var remark: String? {
    guard current != configured else { return nil }
    return isRefused
      ? "the broker refused \(configured)" : "a connection with \(configured) was closed without an answer"
  }

  /// Records that the broker accepted a connection. From now on, a lost connection says nothing about the version.
  mutating func accepted() { isProven = true }

  /// Records why the broker didn't accept a connection. Returns whether to connect at once with another version.
  ///
  /// A broker that doesn't know MQTT 5 may close the connection without an answer. So does a broker that doesn't accept the
  /// client, and so does a broken network. Therefore, until the broker has answered once, each lost connection changes the
  /// version, but only the first one leads to another connection at once.
  mutating func fallsBack(after error: MQTTError) -> Bool {
    guard configured == .five else { return false }
    if error.isOfVersion {
      isProven = false
      isRefused = true
      current = current == .five ? .three : .five
      return current == .three
    }
    switch error {
    case .closedByServer, .connectionLost:
      guard !isProven else { return false }
      isRefused = false
      current = current == .five ? .three : .five
      defer { hasFallenBack = true }
      return !hasFallenBack
    case .connectionRefused:
      isProven = true
      return false
    default:
      return false
    }
  }
}
