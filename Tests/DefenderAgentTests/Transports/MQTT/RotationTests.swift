import Glibc
import HTTPClient
import MQTT
import Platform
import TestSupport
import Testing
import WireFormats

@testable import DefenderAgent

/// A broker that requires a client certificate, and a publisher whose files have fixed paths.
private final class Rotation {
  let broker: MosquittoBroker
  let responder: DeviceDefenderResponder
  let directory: TemporaryDirectory
  let recorded = RecordedLog()
  let time = SkippingTime()
  let publisher: MQTTPublisher
  let topic: Topic

  /// `authority` issued the first certificate, and is the only one that the publisher trusts; nil for the broker's.
  init(authority: ThrowawayAuthority? = nil) throws {
    broker = try MosquittoBroker()
    responder = try DeviceDefenderResponder(port: broker.plainPort)
    directory = try TemporaryDirectory()
    let device = try (authority ?? broker.authority).issue("first", names: "DNS:device")
    let certificate = try directory.write("certificate.pem", try fileContents(device.certificateFile))
    let key = try directory.write("private.key", try fileContents(device.keyFile))
    let trusted = (authority ?? broker.authority).certificateFile
    var configuration = ConnectionConfiguration(
      Environment(["AWS_CA_BUNDLE": try directory.write("ca.pem", try fileContents(trusted))]))
    let identity = ClientIdentity(certificateFile: certificate, keyFile: key)
    identity.report(to: recorded.log())
    configuration.identity = identity
    var settings = MQTTPublisher.Settings(
      clientID: "pump-7", keepAliveSeconds: 1_200, connection: .persistent)
    settings.delay = ReconnectDelay(first: .milliseconds(2), longest: .milliseconds(20))
    let endpoint = try BrokerEndpoint("localhost:\(broker.tlsPort)", usesWebSocket: false)
    publisher = MQTTPublisher(
      TLSConnector(endpoint, configuration, time: time), settings, time: time, log: recorded.log())
    topic = try Topic(validating: "$aws/things/pump-7/defender/metrics/json")
  }

  deinit { responder.stop() }

  func after(_ duration: Duration) -> BootTime { time.bootTime.advanced(by: duration) }

  /// Publishes a report. Returns what Device Defender answered.
  func report(_ id: UInt64) throws -> ReportConfirmation? {
    let payload = Array("{\"header\":{\"report_id\":\(id),\"version\":\"1.0\"},\"metrics\":{}}".utf8)
    publisher.announce(reportID: id)
    _ = try publisher.publish(payload, to: topic, qos: .atLeastOnce, until: after(.seconds(30)))
    return publisher.confirmation(of: id, until: after(.seconds(20)))
  }

  /// Publishes Device Defender's answer to a report, and waits until it has arrived at the publisher's socket.
  func answer(_ id: UInt64) throws {
    let time = SystemWaiter(shutdown: nil)
    let deadline = time.bootTime.advanced(by: .seconds(20))
    let connection = try CurlConnection(
      to: "http://127.0.0.1:\(broker.plainPort)", ConnectionConfiguration(Environment([:])), time: time,
      until: deadline)
    let session = try Session(
      over: CurlStream(connection), as: ConnectOptions(clientID: "answering", keepAliveSeconds: 0),
      time: time, until: deadline)
    let text = #"{"thingName":"pump-7","reportId":\#(id),"status":"ACCEPTED","timestamp":1700000000000}"#
    _ = try session.send(
      Message(topic: "\(topic.name)/accepted", payload: Array(text.utf8)), quality: .atLeastOnce,
      until: deadline)
    let descriptor = try #require(publisher.session?.descriptor)
    var arrival = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    #expect(unsafe poll(&arrival, 1, 20_000) == 1)
    session.disconnect(until: deadline)
  }

  /// Writes the new file and renames it over the old one.
  func replace(_ name: String, with source: String) throws {
    let new = try directory.write("\(name).new", try fileContents(source))
    #expect(unsafe rename(new, "\(directory.path)/\(name)") == 0)
  }
}

@Suite(.ownThreads) struct `Renewed files of an MQTT connection` {
  @Test func `are used by the next connection: the authorities, the certificate and the key`() throws {
    let rotation = try Rotation(authority: try ThrowawayAuthority())
    #expect(throws: PublishError.self) { try rotation.report(1) }
    try rotation.replace("ca.pem", with: rotation.broker.authority.certificateFile)
    #expect(throws: PublishError.self) { try rotation.report(2) }
    let device = rotation.broker.device
    try rotation.replace("certificate.pem", with: device.certificateFile)
    try rotation.replace("private.key", with: device.keyFile)
    #expect(try rotation.report(3) == .accepted)
    let other = try rotation.broker.authority.issue("other", names: "DNS:device")
    try rotation.replace("certificate.pem", with: other.certificateFile)
    try rotation.replace("private.key", with: other.keyFile)
    #expect(try rotation.report(4) == .accepted)
    rotation.publisher.disconnect()
    #expect(try rotation.report(5) == .accepted)
    #expect(try rotation.broker.clientNames() == ["device", "other"])
  }

  @Test func `leave the former pair in use for new connections until they match`() throws {
    let rotation = try Rotation()
    #expect(try rotation.report(1) == .accepted)
    let other = try rotation.broker.authority.issue("other", names: "DNS:device")
    try rotation.replace("certificate.pem", with: other.certificateFile)
    for id in 2...3 as ClosedRange<UInt64> {
      // Also after a SIGHUP.
      if id == 2 { rotation.publisher.disconnect() } else { rotation.publisher.renew() }
      #expect(try rotation.report(id) == .accepted)
    }
    // The operator who sent the signal sees the reason again.
    #expect(rotation.recorded.lines.count { $0.contains("Kept the former certificate and key") } == 2)
    try rotation.replace("private.key", with: other.keyFile)
    rotation.publisher.disconnect()
    #expect(try rotation.report(4) == .accepted)
    #expect(try rotation.broker.clientNames() == ["first", "first", "first", "other"])
  }

  @Test(arguments: ["a SIGHUP", "the watch of the files"])
  func `don't lose an answer that has arrived and wasn't read`(cause: String) throws {
    let rotation = try Rotation()
    rotation.responder.setAnswering(false)
    rotation.publisher.announce(reportID: 1)
    let payload = Array(#"{"header":{"report_id":1,"version":"1.0"},"metrics":{}}"#.utf8)
    _ = try rotation.publisher.publish(
      payload, to: rotation.topic, qos: .atLeastOnce, until: rotation.after(.seconds(30)))
    try rotation.answer(1)
    #expect(rotation.publisher.lateConfirmation(of: 1) == nil)
    if cause == "a SIGHUP" {
      let signal = try StopSwitch().signal()
      let renewal = ConnectionRenewal(signal, log: rotation.recorded.log())
      renewal.publisher = rotation.publisher
      signal.whenHungUp?()
      renewal.run(until: rotation.after(.seconds(300)))
      #expect(!rotation.publisher.isConnected)
    } else {
      let other = try rotation.broker.authority.issue("other", names: "DNS:device")
      try rotation.replace("certificate.pem", with: other.certificateFile)
      try rotation.replace("private.key", with: other.keyFile)
      let watch = CertificateWatch(
        rotation.publisher, topic: rotation.topic, time: rotation.time, log: rotation.recorded.log(),
        random: FixedGenerator.lowest)
      // The first call notices the files, and the second replaces the connection.
      for _ in 1...2 { watch.run(until: rotation.after(.seconds(300))) }
      #expect(try rotation.broker.clientNames() == ["first", "other"])
    }
    #expect(rotation.publisher.lateConfirmation(of: 1) == .accepted)
  }

  @Test func `replace an open connection between two reports, and no report is lost`() throws {
    let rotation = try Rotation()
    let watch = CertificateWatch(
      rotation.publisher, topic: rotation.topic, time: rotation.time, log: rotation.recorded.log())
    let tasks: [any IdleTask] = [rotation.publisher, watch]
    let waiter = TaskRunningWaiter(rotation.time, running: tasks)
    let other = try rotation.broker.authority.issue("other", names: "DNS:device")
    for id in 1...6 as ClosedRange<UInt64> {
      if id == 3 { try rotation.replace("certificate.pem", with: other.certificateFile) }
      if id == 5 { try rotation.replace("private.key", with: other.keyFile) }
      #expect(try rotation.report(id) == .accepted)
      #expect(waiter.wait(until: rotation.after(.seconds(300))) == .onTime)
      #expect(rotation.publisher.isConnected)
    }
    #expect(rotation.responder.reports.map(\.id) == Array(1...6))
    #expect(try rotation.broker.clientNames() == ["first", "other"])
    #expect(rotation.recorded.lines.count { $0.contains("Connected with the renewed certificate") } == 1)
  }
}
