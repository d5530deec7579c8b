import Glibc
import HTTPClient
import MQTT
import Platform
import TestSupport
import Testing
import WireFormats

/// Sends commands over a separate connection to the broker.
private final class Operator {
  private let session: Session
  private let time = SystemWaiter(shutdown: nil)

  init(_ broker: MosquittoBroker, subscribedTo filters: [String]) throws {
    let deadline = BootTime.now.advanced(by: .seconds(20))
    let connection = try CurlConnection(
      to: "http://127.0.0.1:\(broker.plainPort)", ConnectionConfiguration(Environment([:])), time: time,
      until: deadline)
    session = try Session(
      over: CurlStream(connection), as: ConnectOptions(clientID: "operator", keepAliveSeconds: 0), time: time,
      until: deadline)
    try session.subscribe(to: filters, until: deadline)
  }

  func send(_ text: String) throws {
    let message = Message(topic: "defender/pump-7/command", payload: Array(text.utf8))
    _ = try session.send(message, quality: .atLeastOnce, until: BootTime.now.advanced(by: .seconds(20)))
  }

  /// Waits up to a minute for the next message on `topic`, and skips others.
  func next(_ topic: String) throws -> JSONValue {
    let deadline = BootTime.now.advanced(by: .seconds(60))
    while let arrival = try session.receive(until: deadline) {
      if case .message(let message) = arrival, message.topic == topic {
        return try JSONValue(parsing: message.payload)
      }
    }
    throw MQTTError.timedOut(waitingFor: topic)
  }
}

@Suite(.ownThreads) struct `the agent with DEFENDER_COMMAND_TOPIC` {
  private static let variables = [
    "DEFENDER_COMMAND_TOPIC": "defender/{thing}/command", "DEFENDER_TOPIC": "defender/{thing}/{format}",
    "SAMPLE_INTERVAL_SECONDS": "3600", "AWS_IOT_THING_NAME": "pump-7",
  ]
  private static let reports = "defender/pump-7/json"
  private static let responses = "defender/pump-7/command/response"

  /// Starts the agent, over TLS unless `variables` name another endpoint.
  private func agent(
    _ broker: MosquittoBroker, _ variables: [String: String] = [:]
  ) throws -> RunningAgent {
    let own = [
      "DEFENDER_MQTT_ENDPOINT": "localhost:\(broker.tlsPort)",
      "AWS_CA_BUNDLE": broker.authority.certificateFile,
      "DEFENDER_CERTIFICATE_FILE": broker.device.certificateFile,
      "DEFENDER_PRIVATE_KEY_FILE": broker.device.keyFile,
    ]
    let all = Self.variables.merging(own) { $1 }.merging(variables) { $1 }
    return try RunningAgent(try BuiltProgram("bootstrap").path, ["agent"], all)
  }

  @Test(arguments: ["3", "5", "wss"])
  func `reports and changes its interval when commands arrive`(version: String) throws {
    let broker = try MosquittoBroker()
    let user = try Operator(broker, subscribedTo: [Self.reports, Self.responses])
    var variables = ["DEFENDER_MQTT_VERSION": version]
    if version == "wss" {
      variables = [
        "DEFENDER_MQTT_ENDPOINT": "wss://localhost:\(broker.webSocketPort)", "AWS_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "s3cr3t",
      ]
    }
    let agent = try agent(broker, variables)
    agent.wait { agent.log.contains("Receiving commands on defender/pump-7/command.") }
    try user.send(#"{"command":"report","id":"1"}"#)
    // The next report would be due in an hour.
    let report = try user.next(Self.reports)
    #expect(report["metrics"]?["network_stats"] != nil)
    let response = try user.next(Self.responses)
    #expect(response["status"] == .string("accepted") && response["id"] == .string("1"))
    #expect(response["reportId"] == report["header"]?["report_id"])
    // Two at once, and the second one is malformed: both arrive in one TLS record, or in one read.
    try user.send(#"{"command":"interval","seconds":0.2}"#)
    try user.send(#"{"command":"reboot"}"#)
    let change = try user.next(Self.responses)
    #expect(change["intervalSeconds"]?.double == 0.2)
    #expect(try user.next(Self.responses)["error"]?.string?.contains("allowed: report, interval") == true)
    for _ in 0..<3 { _ = try user.next(Self.reports) }
    agent.stop()
    #expect(agent.log.contains("2 commands accepted, 1 rejected"), "\(agent.log)")
  }

  @Test(arguments: ["3", "5"])
  func `reports even if the broker doesn't allow the response`(version: String) throws {
    // `pattern`, not `topic`: the agent has the name in its certificate.
    let access = """
      pattern readwrite defender/pump-7/json
      pattern readwrite defender/pump-7/command
      """
    let broker = try MosquittoBroker(accessList: access)
    let user = try Operator(broker, subscribedTo: [Self.reports])
    let agent = try agent(broker, ["DEFENDER_MQTT_VERSION": version])
    agent.wait { agent.log.contains("Receiving commands on defender/pump-7/command.") }
    try user.send(#"{"command":"report"}"#)
    try user.send(#"{"command":"interval","seconds":0.2}"#)
    let ids = try (0..<3).map { _ in
      try user.next(Self.reports)["header"]?["report_id"]?.integer(as: Int.self) ?? 0
    }
    #expect(ids[0] < ids[1] && ids[1] < ids[2])
    // Over MQTT 3.1.1, mosquitto acknowledges a message that it discards.
    let reason = "MQTT: the server refused the message: not authorized (135)"
    if version == "5" {
      agent.wait { agent.log.contains("Can't publish the response to a command: ") }
      #expect(agent.log.contains(reason) && agent.log.contains("iot:Publish on topic/\(Self.responses)"))
    }
    agent.stop()
    #expect(!agent.log.contains("[ERROR]") && agent.log.contains("2 commands accepted"), "\(agent.log)")
  }

  @Test func `doesn't carry out a retained command`() throws {
    let broker = try MosquittoBroker()
    let user = try Operator(broker, subscribedTo: [Self.reports, Self.responses])
    try retain(#"{"command":"report","id":"old"}"#, broker)
    for version in ["3", "5"] {
      let agent = try agent(broker, ["DEFENDER_MQTT_VERSION": version])
      agent.wait { agent.log.contains("Receiving commands on defender/pump-7/command.") }
      try user.send(#"{"command":"interval","id":"new"}"#)
      #expect(try user.next(Self.responses)["id"] == .string("new"))
      agent.stop()
      #expect(agent.log.contains("Ignored a retained command") == (version == "3"), "\(agent.log)")
      #expect(!agent.log.contains("Published report"))
    }
  }

  /// Publishes a retained message, which ``Session`` can't: CONNECT, and PUBLISH with quality of service 0 and the retain flag.
  private func retain(_ text: String, _ broker: MosquittoBroker) throws {
    let topic = Array("defender/pump-7/command".utf8)
    let body = [0, UInt8(topic.count)] + topic + Array(text.utf8)
    let connect: [UInt8] = [0x10, 13, 0, 4] + Array("MQTT".utf8) + [4, 2, 0, 0, 0, 1] + Array("r".utf8)
    let time = SystemWaiter(shutdown: nil)
    let deadline = BootTime.now.advanced(by: .seconds(20))
    let connection = try CurlConnection(
      to: "http://127.0.0.1:\(broker.plainPort)", ConnectionConfiguration(Environment([:])), time: time,
      until: deadline)
    try connection.send(connect + [0x31, UInt8(body.count)] + body + [0xC0, 0], until: deadline)
    // CONNACK and PINGRESP: the broker has handled the message.
    var received: [UInt8] = []
    while received.count < 6 {
      guard try connection.receive(into: &received, limit: 6, until: deadline) > 0 else { break }
    }
    #expect(received == [0x20, 2, 0, 0, 0xD0, 0])
  }
}
