import Glibc

/// Debian's mosquitto on 127.0.0.1 with its own certificate authority: plain MQTT on one port, TLS with client certificates on
/// another, and WebSocket over TLS on a third.
package final class MosquittoBroker {
  package let plainPort: UInt16
  package let tlsPort: UInt16
  package let webSocketPort: UInt16
  package let authority: ThrowawayAuthority
  /// The certificate and key that the TLS port requires.
  package let device: ThrowawayAuthority.Identity
  private let directory: TemporaryDirectory
  private var program: ServerProgram
  private var starts = 0

  /// Starts the broker. If `isExpired` is true, the broker's certificate has expired. `options` are further lines of its
  /// configuration, and `accessList` the only topics that clients may use; nil allows all.
  package init(isExpired: Bool = false, options: [String] = [], accessList: String? = nil) throws {
    authority = try ThrowawayAuthority()
    device = try authority.issue("device", names: "DNS:device")
    let server = try authority.issue("server", names: "DNS:localhost,IP:127.0.0.1", isExpired: isExpired)
    directory = try TemporaryDirectory()
    (plainPort, tlsPort, webSocketPort) = try (freePort(), freePort(), freePort())
    let tls = """
      cafile \(authority.certificateFile)
      certfile \(server.certificateFile)
      keyfile \(server.keyFile)
      """
    var options = options
    if let accessList { options.append("acl_file \(try directory.write("access", accessList))") }
    try directory.write(
      "mosquitto.conf",
      """
      user root
      allow_anonymous true
      max_inflight_messages 100
      set_tcp_nodelay true
      log_dest stderr
      log_type all
      \(options.joined(separator: "\n"))
      listener \(plainPort) 127.0.0.1
      listener \(tlsPort) 127.0.0.1
      \(tls)
      require_certificate true
      use_identity_as_username true
      listener \(webSocketPort) 127.0.0.1
      protocol websockets
      \(tls)

      """)
    program = try Self.start(in: directory.path)
    try waitUntilListening()
  }

  private static func start(in directory: String) throws -> ServerProgram {
    try ServerProgram(
      "/usr/sbin/mosquitto", ["-c", "\(directory)/mosquitto.conf"], log: "\(directory)/log")
  }

  /// Waits for the broker's log line, because a connection might reach another program on the same port.
  private func waitUntilListening() throws {
    starts += 1
    for _ in 0..<3_000 {
      let log = try logText()
      if log.split(separator: "\n").count(where: { $0.hasSuffix(" running") }) == starts { return }
      guard program.isRunning else {
        throw ServerProgram.Failure(description: "mosquitto has ended; its log says: \(log)")
      }
      poll(nil, 0, 10)
    }
    throw ServerProgram.Failure(description: "mosquitto didn't start in 30 s; its log says: \(try logText())")
  }

  /// Stops the broker and closes all its connections.
  package func stop() { program.stop() }

  /// Starts the broker again after ``stop()``.
  package func startAgain() throws {
    program = try Self.start(in: directory.path)
    try waitUntilListening()
  }

  /// The names in the certificates of the clients that connected with one, in order.
  package func clientNames() throws -> [String] {
    try logText().split(separator: "\n").compactMap { line in
      guard line.contains("New client connected") else { return nil }
      let parts = line.split(separator: "'")
      return parts.count >= 2 ? String(parts[1]) : nil
    }
  }

  /// The broker's log.
  package func logText() throws -> String {
    String(decoding: try readLog(), as: UTF8.self)
  }

  private func readLog() throws -> [UInt8] {
    try fileContents("\(directory.path)/log")
  }
}
