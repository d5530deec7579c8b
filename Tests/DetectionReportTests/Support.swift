import Detection
import Testing

@testable import DetectionReport

/// The start of a day in UTC, 24 November 2026, in seconds.
let midnight: UInt64 = 1_795_478_400

/// Returns the history of reports in JSON, one a line, that profiles evaluate.
func history(_ behaviors: String, _ reports: [String], now: UInt64 = midnight) throws -> FleetHistory {
  let validation = ProfileValidation(of: Array("[\(behaviors)]".utf8), name: "test")
  var history = FleetHistory([try #require(validation.profile, "\(validation.issues)")], now: now)
  var stream = ReportStream(history.table)
  stream.append(reports.joined(separator: "\n").utf8 + [])
  stream.finish()
  var skipped = 0
  while true {
    switch stream.next() {
    case .observation(let observation): history.add(observation)
    case .rejected, .failed: skipped += 1
    case .needsInput, .end:
      history.finish(skipped: skipped, reasons: [], isComplete: true)
      return history
    }
  }
}

/// A report of a thing, `seconds` after ``midnight`` unless `start` says otherwise.
func report(
  _ thing: String, _ seconds: UInt64, ports: [Int] = [], out: UInt64 = 0, destinations: [String] = [],
  custom: String = "{}", total: Int? = nil, start: UInt64 = midnight
) -> String {
  let ports = ports.map { #"{"port":\#($0)}"# }
  let connections = destinations.map { #"{"remote_addr":"\#($0)"}"# }
  return
    #"{"thing":"\#(thing)","report":{"header":{"report_id":\#(start + seconds),"version":"1.0"},"metrics":{"#
    + #""listening_tcp_ports":{"ports":[\#(ports.joined(separator: ","))],"total":\#(total ?? ports.count)},"#
    + #""network_stats":{"bytes_in":1,"bytes_out":\#(out),"packets_in":1,"packets_out":1},"#
    + #""tcp_connections":{"established_connections":{"connections":[\#(connections.joined(separator: ","))],"#
    + #""total":\#(connections.count)}}},"custom_metrics":\#(custom)}}"#
}

func page(_ history: FleetHistory) -> String { String(decoding: DetectionPage.html(history), as: UTF8.self) }

let onlySSH =
  #"{"name":"only-ssh","metric":"aws:listening-tcp-ports","criteria":{"comparisonOperator":"in-port-set","value":{"ports":[22]}}}"#
let littleTraffic =
  #"{"name":"little","metric":"aws:all-bytes-out","criteria":{"comparisonOperator":"less-than-equals","value":{"count":100},"durationSeconds":300}}"#
let someTraffic =
  #"{"name":"some","metric":"aws:all-bytes-out","criteria":{"comparisonOperator":"greater-than","value":{"count":100},"durationSeconds":600}}"#
