import Glibc
import HTTPClient
import MQTT
import Platform
import Synchronization
package import WireFormats

/// Simulates Device Defender at a broker: answers every report on the reserved topics like AWS.
///
/// It accepts a report in the form of "Sending metrics from devices" in the Device Defender developer guide: a header with a
/// positive ID and a version, and metrics with known names.
package final class DeviceDefenderResponder: Sendable {
  /// A received report.
  package struct Received: Sendable {
    package let topic: String
    package let report: JSONValue
    package let isAccepted: Bool

    package var id: UInt64? {
      (report["header"] ?? report["hed"]).flatMap { ($0["report_id"] ?? $0["rid"])?.integer() }
    }
  }

  private let received = Mutex<[Received]>([])
  private let wantsEnd = Mutex(false)
  private let answersReports = Mutex(true)
  private let thread = Mutex<pthread_t?>(nil)
  private let port: UInt16

  /// Connects to the broker on `port` and subscribes before it returns.
  ///
  /// With the topics of another subscriber, `topicFilter`, it only receives the reports.
  package init(port: UInt16, topicFilter: String? = nil) throws {
    self.port = port
    let session = try Self.connect(port, topicFilter ?? "$aws/things/+/defender/metrics/+")
    answersReports.withLock { $0 = topicFilter == nil }
    let context = unsafe Unmanaged.passRetained(Work(responder: self, session: session)).toOpaque()
    var id = pthread_t()
    guard unsafe pthread_create(&id, nil, respond, context) == 0 else { throw Errno.current }
    thread.withLock { $0 = id }
  }

  private static func connect(_ port: UInt16, _ topicFilter: String) throws -> Session {
    let time = SystemWaiter(shutdown: nil)
    let deadline = time.bootTime.advanced(by: .seconds(10))
    let connection = try CurlConnection(
      to: "http://127.0.0.1:\(port)", ConnectionConfiguration(Environment([:])), time: time,
      until: deadline)
    let session = try Session(
      over: CurlStream(connection),
      as: ConnectOptions(clientID: "device-defender-\(getpid())", keepAliveSeconds: 0),
      time: time, until: deadline)
    try session.subscribe(to: [topicFilter], until: deadline)
    return session
  }

  /// The reports received so far.
  package var reports: [Received] { received.withLock { $0 } }

  /// Whether to answer reports. An account without Device Defender gets no answers.
  package func setAnswering(_ isAnswering: Bool) { answersReports.withLock { $0 = isAnswering } }

  /// Waits until `count` reports have arrived. Returns false if that takes too long.
  package func waitForReports(_ count: Int) -> Bool {
    for _ in 0..<2_000 {
      if reports.count >= count { return true }
      poll(nil, 0, 10)
    }
    return false
  }

  package func stop() {
    wantsEnd.withLock { $0 = true }
    let id = thread.withLock { thread in
      defer { thread = nil }
      return thread
    }
    if let id { pthread_join(id, nil) }
  }

  fileprivate func run(_ session: Session) {
    let time = SystemWaiter(shutdown: nil)
    while !wantsEnd.withLock({ $0 }) {
      do throws(MQTTError) {
        guard
          case .message(let message) = try session.receive(
            until: time.bootTime.advanced(by: .milliseconds(50)))
        else { continue }
        try answer(message, over: session, at: time)
      } catch {
        // The broker has stopped. A test that stops it creates another responder if necessary.
        return
      }
    }
    session.disconnect(until: time.bootTime.advanced(by: .seconds(1)))
  }

  private func answer(_ message: Message, over session: Session, at time: SystemWaiter) throws(MQTTError) {
    let isCBOR = message.topic.hasSuffix("/cbor")
    let report =
      isCBOR
      ? (try? JSONValue(parsingCBOR: message.payload)) : (try? JSONValue(parsing: message.payload))
    let entry = Received(
      topic: message.topic, report: report ?? .null, isAccepted: report.map(isReport) ?? false)
    received.withLock { $0.append(entry) }
    guard answersReports.withLock({ $0 }) else { return }
    let thing = message.topic.split(separator: "/").dropFirst(2).first.map(String.init) ?? ""
    let body: [UInt8]
    if isCBOR {
      var document = CBORWriter()
      write(entry, thing, to: &document)
      body = document.bytes
    } else {
      var document = JSONWriter()
      write(entry, thing, to: &document)
      body = document.bytes
    }
    _ = try session.send(
      Message(topic: message.topic + (entry.isAccepted ? "/accepted" : "/rejected"), payload: body),
      quality: .atLeastOnce, until: time.bootTime.advanced(by: .seconds(5)))
  }

  /// AWS's payloads, according to the developer guide and published observations.
  private func write(_ entry: Received, _ thing: String, to document: inout some DocumentWriter & ~Copyable) {
    document.beginMap(count: entry.isAccepted ? 4 : 5)
    document.member("thingName", thing)
    document.member("reportId", entry.id ?? 0)
    document.member("status", entry.isAccepted ? "ACCEPTED" : "REJECTED")
    if !entry.isAccepted {
      document.key("statusDetails")
      document.beginMap(count: 2)
      document.member("ErrorCode", "InvalidPayload")
      document.member("ErrorMessage", "Malformed metrics report")
      document.endMap()
    }
    document.member("timestamp", 1_700_000_000_000)
    document.endMap()
  }
}

/// The argument of the responder's thread.
private final class Work {
  let responder: DeviceDefenderResponder
  let session: Session

  init(responder: DeviceDefenderResponder, session: Session) {
    self.responder = responder
    self.session = session
  }
}

private func respond(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
  guard let context = unsafe context else { return nil }
  let work = unsafe Unmanaged<Work>.fromOpaque(context).takeRetainedValue()
  work.responder.run(work.session)
  return nil
}

/// Returns whether a document is a report with long or short names.
private func isReport(_ document: JSONValue) -> Bool {
  guard
    let header = document["header"] ?? document["hed"],
    let id = (header["report_id"] ?? header["rid"])?.integer(as: UInt64.self), id > 0,
    (header["version"] ?? header["v"])?.string == "1.0",
    let members = document.members
  else { return false }
  let known = ["header", "hed", "metrics", "met", "custom_metrics", "cmet"]
  guard members.count >= 2, members.allSatisfy({ known.contains($0.name) }) else { return false }
  let metrics = (document["metrics"] ?? document["met"])?.members ?? []
  let names = [
    "tcp_connections", "listening_tcp_ports", "listening_udp_ports", "network_stats", "tc", "tp", "up", "ns",
  ]
  return metrics.allSatisfy { names.contains($0.name) }
}
