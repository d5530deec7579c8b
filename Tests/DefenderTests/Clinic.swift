import AWSClient
import DefenderAgent
import Glibc
import LambdaEmulator
import Platform
import Synchronization
import TestSupport
import Testing

@testable import defender

/// A data plane on loopback, with TLS and a throwaway authority, and the environment of a machine that can
/// publish to it.
final class Clinic {
  struct Plan {
    var names = "DNS:localhost,IP:127.0.0.1"
    var isExpired = false
    /// How far the service's clock is ahead of ours.
    var clockOffset = Duration.zero
    /// Whether the policy allows publishing.
    var allows = true
    var clientAuthority: String?
    /// The answer to the first request for the shadow, if it isn't the usual one.
    var firstAnswer: ScriptedServer.Answer?
  }

  let authority: ThrowawayAuthority
  let server: ScriptedServer
  let endpoint: PublishEndpoint
  let variables: [String: String]
  let procfs: TemporaryDirectory

  init(_ plan: Plan = Plan()) throws {
    authority = try ThrowawayAuthority()
    let credentials = TemporaryCredentials.random()
    let offset = plan.clockOffset
    let endpoint = PublishEndpoint(
      verifier: SignatureVerifier(credentials: credentials, region: "eu-central-1"),
      now: { WallTime.now.advanced(by: offset) })
    self.endpoint = endpoint
    let identity = try authority.issue("server", names: plan.names, isExpired: plan.isExpired)
    let allows = plan.allows
    let firstAnswers = Mutex(plan.firstAnswer.map { [$0] } ?? [])
    server = try ScriptedServer(tls: TLSServerContext(identity)) { request in
      if request.requestLine.contains("/shadow"), let answer = firstAnswers.withLock({ $0.popLast() }) {
        return answer
      }
      guard allows || !request.requestLine.contains(" /topics/") else {
        let headers = ["x-amzn-ErrorType: ForbiddenException:", "x-amzn-RequestId: r-7"]
        return .keep(httpResponse("403 No", headers: headers, body: #"{"message":"Forbidden"}"#))
      }
      return .keep(request.answer(of: endpoint).text)
    }
    procfs = try TemporaryDirectory()
    for name in ["tcp", "tcp6", "udp", "udp6"] {
      try procfs.write("net/\(name)", "  sl  local_address rem_address   st tx_queue rx_queue\n")
    }
    let zeros = Array(repeating: "0", count: 14).joined(separator: " ")
    try procfs.write(
      "net/dev", "Inter-|   Receive  |  Transmit\n face |bytes    packets|bytes\n  eth0: 1 1 \(zeros)\n")
    variables = [
      "AWS_REGION": "eu-central-1", "AWS_IOT_THING_NAME": "pump-7", "PROCFS_PATH": procfs.path,
      "AWS_ENDPOINT_URL_IOT_DATA_PLANE": "https://localhost:\(server.port)",
      "AWS_CA_BUNDLE": authority.certificateFile, "AWS_ACCESS_KEY_ID": credentials.accessKeyID,
      "AWS_SECRET_ACCESS_KEY": credentials.secretAccessKey, "AWS_SESSION_TOKEN": credentials.sessionToken,
      "DEFENDER_TOPIC": "defender/{thing}/{format}", "AWS_EC2_METADATA_DISABLED": "true",
    ]
  }

  deinit { server.stop() }

  /// Returns the findings with `changes` applied to the environment; a nil value removes a variable.
  func examine(_ changes: [String: String?] = [:], publish: Bool = true) throws -> [Finding] {
    var variables = variables
    for (name, value) in changes { variables[name] = value }
    return try findings(variables, publish: publish)
  }
}

func findings(
  _ variables: [String: String], publish: Bool = true, within stepTimeout: Duration = .seconds(10)
) throws -> [Finding] {
  var options = Doctor.Options()
  options.stepTimeout = stepTimeout
  options.publishTopic = publish ? try Topic(validating: "defender/test") : nil
  var doctor = Doctor(Environment(variables), options, time: SystemWaiter(shutdown: nil))
  doctor.examine()
  return doctor.findings
}

extension [Finding] {
  /// Returns the names of the checks with a status, without duplicates.
  func checks(_ status: Finding.Status) -> [String] {
    reduce(into: []) { names, finding in
      if finding.status == status, !names.contains(finding.check) { names.append(finding.check) }
    }
  }

  func line(_ check: String) -> String { first { $0.check == check }?.line ?? "" }
}
