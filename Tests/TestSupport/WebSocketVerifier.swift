import Platform

/// A broker for MQTT over WebSocket on localhost that verifies signatures: the verifier of Tests/Conformance, which uses only
/// Python's standard library. It accepts ``credentials`` for the region eu-west-1.
package final class WebSocketVerifier {
  package let port: UInt16
  package let authority: ThrowawayAuthority
  /// The variables of the credentials that it accepts.
  package let credentials = ["AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "s3cr3t/+"]
  private let directory: TemporaryDirectory
  private let program: ServerProgram

  /// - Parameters:
  ///   - skew: The seconds by which its clock is ahead.
  ///   - deniesPublish: Whether it closes the connection of a client that publishes, as AWS IoT does if a policy doesn't allow it.
  /// - Throws: An error if it can't be started.
  package init(skew: Int = 0, deniesPublish: Bool = false) throws {
    authority = try ThrowawayAuthority()
    let server = try authority.issue("server", names: "DNS:localhost")
    directory = try TemporaryDirectory()
    port = try freePort()
    program = try ServerProgram(
      "/usr/bin/env",
      [
        "python3", fixturePath("../Conformance/mqtt-websocket-verifier.py"), "\(port)",
        server.certificateFile,
        server.keyFile, "AKID", "s3cr3t/+", "eu-west-1", "--skew", "\(skew)",
      ] + (deniesPublish ? ["--deny-publish"] : []), log: "\(directory.path)/log")
    try program.waitUntilListening(on: port, log: "\(directory.path)/log")
  }

  /// One line for each connection: accepted, or refused and why.
  package var verdicts: [String] {
    get throws {
      String(decoding: try fileContents("\(directory.path)/log"), as: UTF8.self).split(separator: "\n").map(
        String.init)
    }
  }
}
