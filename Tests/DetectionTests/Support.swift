import Detection
import DeviceDefender
import WireFormats

/// Returns a profile from JSON; an empty one if it has mistakes, so that tests fail by missing events.
func profile(_ json: String, name: String = "test") -> SecurityProfile {
  ProfileValidation(of: Array(json.utf8), name: name).profile
    ?? SecurityProfile(name: "invalid", behaviors: [])
}

func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

/// Returns what a stream reads from `chunks`: the observations, and the messages.
func read(
  _ chunks: [[UInt8]], _ table: MetricTable, thing: String? = nil
) -> (observations: [Observation], messages: [String]) {
  var stream = ReportStream(table, thing: thing)
  var chunks = chunks[...]
  var result: (observations: [Observation], messages: [String]) = ([], [])
  while true {
    switch stream.next() {
    case .observation(let observation): result.observations.append(observation)
    case .rejected(let message), .failed(let message): result.messages.append(message)
    case .needsInput:
      if let chunk = chunks.popFirst() { stream.append(chunk) } else { stream.finish() }
    case .end: return result
    }
  }
}

/// Returns the events of reports in JSON, one a line, in the form `time type behavior {value}`.
func events(_ profiles: [SecurityProfile], _ reports: String) -> [String] {
  var evaluator = Evaluator(profiles)
  let (observations, messages) = read([Array(reports.utf8)], evaluator.table)
  return messages + observations.flatMap { evaluator.evaluate($0).map(summary) }
}

func summary(_ event: ViolationEvent) -> String {
  var document = JSONWriter()
  event.metricValue?.write(to: &document)
  return "\(event.time) \(event.type.rawValue) \(event.behavior.name) \(text(document.bytes))"
}

func portsReport(_ id: UInt64, _ ports: [Int]) -> String {
  let entries = ports.map { #"{"port":\#($0)}"# }.joined(separator: ",")
  return #"{"header":{"report_id":\#(id),"version":"1.0"},"metrics":{"listening_tcp_ports":{"ports":["#
    + entries + #"],"total":\#(ports.count)}}}"# + "\n"
}

func bytesOutReport(_ id: UInt64, _ bytes: UInt64) -> String {
  #"{"header":{"report_id":\#(id),"version":"1.0"},"metrics":{"network_stats":{"bytes_in":1,"bytes_out":\#(bytes),"packets_in":1,"packets_out":1}}}"#
    + "\n"
}

func connectionsReport(_ id: UInt64, _ addresses: [String]) -> String {
  let entries = addresses.map { #"{"local_port":1,"remote_addr":"\#($0)"}"# }.joined(separator: ",")
  return #"{"hed":{"rid":\#(id),"v":"1.0"},"met":{"tc":{"ec":{"cs":["#
    + entries.replacingNames() + #"],"t":\#(addresses.count)}}}}"# + "\n"
}

extension String {
  fileprivate func replacingNames() -> String {
    split(separator: #""remote_addr""#, omittingEmptySubsequences: false).joined(separator: #""rad""#)
  }
}

func customReport(_ id: UInt64, _ metrics: String) -> String {
  #"{"header":{"report_id":\#(id),"version":"1.0"},"custom_metrics":\#(metrics)}"# + "\n"
}
