@testable import Detection
import DeviceDefender
import Testing
import WireFormats

struct ReportStreamTests {
  private let table = Evaluator([
    profile(
      #"""
      [{"name":"t","metric":"aws:listening-tcp-ports","criteria":{"comparisonOperator":"in-port-set","value":{"ports":[]}}},
       {"name":"u","metric":"aws:listening-udp-ports","criteria":{"comparisonOperator":"in-port-set","value":{"ports":[]}}},
       {"name":"d","metric":"aws:destination-ip-addresses","criteria":{"comparisonOperator":"in-cidr-set","value":{"cidrs":[]}}},
       {"name":"n","metric":"load","criteria":{"comparisonOperator":"less-than","value":{"number":1}}},
       {"name":"l","metric":"users","criteria":{"comparisonOperator":"in-set","value":{"strings":[]}}}]
      """#)
  ]).table

  /// A report of this program with all blocks.
  private func report(_ id: UInt64) throws -> Report {
    var snapshot = MetricsSnapshot()
    let port = ListeningPort(interface: "lo", port: 8080)
    snapshot.listeningTCPPorts = .success(Listing(total: 7, sample: [port]))
    snapshot.listeningUDPPorts = .success(Listing(total: 1, sample: [port]))
    let addresses = ["192.0.2.1", "2001:db8::1"].compactMap { IPAddress(parsing: $0) }
    snapshot.establishedConnections = .success(
      Listing(
        total: 2,
        sample: addresses.map {
          EstablishedConnection(
            localInterface: "eth0", localPort: 1, remoteAddress: IPEndpoint(address: $0, port: 443))
        }))
    snapshot.customMetrics = [
      CustomMetric(name: try CustomMetricName(validating: "load"), value: .number(0.25)),
      CustomMetric(name: try CustomMetricName(validating: "users"), value: .stringList(["root"])),
      CustomMetric(name: try CustomMetricName(validating: "other"), value: .numberList([1])),
    ]
    return Report(id: id, snapshot: snapshot, baseline: nil)
  }

  @Test
  func `reads names with escapes like any others`() throws {
    let plain = try report(5).encoded(as: .json, names: .long)
    // Escapes the first letter of each string, which doesn't change what the document says.
    var escaped = ""
    var isNext = false
    var isInString = false
    for character in String(decoding: plain, as: UTF8.self) {
      if character == "\"" {
        isInString.toggle()
        isNext = isInString
      } else if isNext, let code = character.asciiValue {
        escaped += "\\u00" + String(code, radix: 16)
        isNext = false
        continue
      }
      escaped.append(character)
    }
    escaped = escaped.replacing("\\u0031.", with: "1.")
    let (expected, _) = read([plain], table)
    let (observations, messages) = read([Array(escaped.utf8)], table)
    #expect(messages == [] && observations.count == 1)
    #expect(observations.map { "\($0)" } == expected.map { "\($0)" })
  }

  @Test
  func `reads the same from JSON and CBOR, long and short names, lines, pretty documents and sequences`()
    throws
  {
    var input: [UInt8] = []
    for names in ReportNames.allCases {
      for format in ReportFormat.allCases {
        let bytes = try report(5).encoded(as: format, names: names)
        input += bytes
        if format == .json {
          input += Array("\n".utf8)
          input += Array(try JSONValue(parsing: bytes).prettyPrinted().utf8)
        }
      }
    }
    let (observations, messages) = read([input], table)
    #expect(messages == [] && observations.count == 6)
    #expect(Set(observations.map { "\($0)" }).count == 1)
    let first = try #require(observations.first)
    #expect(first.thing == "local" && first.reportID == 5 && first.time == 5_000)
    #expect(first.datapoints[DeviceMetric.listeningTCPPortCount.slot] == .count(7))
    #expect(first.datapoints[DeviceMetric.listeningTCPPorts.slot] == .ports([8080]))
    #expect(first.datapoints[DeviceMetric.bytesIn.slot] == nil)
    #expect(first.datapoints[MetricTable.deviceSlots] == .number(0.25))
    #expect(first.datapoints[MetricTable.deviceSlots + 1] == .strings(["root"]))
    var addresses = AddressList()
    for text in ["192.0.2.1", "2001:db8::1"] { IPAddress(parsing: text).map { addresses.append($0) } }
    #expect(first.datapoints[DeviceMetric.destinations.slot] == .addresses(addresses))
  }

  @Test(arguments: [1, 2, 3, 7, 64, 1000])
  func `continues after a report of another version on the same line`(size: Int) {
    let other = #"{"header":{"report_id":1,"version":"2.0"},"metrics":{}}"#
    let input = Array((other + portsReport(2, [])).utf8)
    let chunks = stride(from: 0, to: input.count, by: size).map {
      Array(input[$0..<min($0 + size, input.count)])
    }
    let (observations, messages) = read(chunks, table)
    #expect(observations.map(\.reportID) == [2] && messages.count == 1)
  }

  /// A damaged report, and whether the report that follows it on its line can be read.
  @Test(arguments: [
    (#"{"header":{"report_id":1}"#, true), (#"{"header":{"report_id":1,"ver"#, true), ("{", true),
    (#"{"header":{"report_id":1},"metrics":{bad}}  "#, true),
    // The text after the damage may belong to a wrapper whose beginning is lost, or to a list.
    (#"{"thing":x,"report": "#, false), ("[[", false), ("[1, ", false),
    (#"{"thing":x,"reports":[{},"#, false),
  ])
  func `continues after a malformed report on the same line`(row: (damaged: String, isRead: Bool)) {
    let input = Array((row.damaged + portsReport(2, []) + portsReport(3, [])).utf8)
    for size in [1, 2, 7, 64, 1000] {
      let chunks = stride(from: 0, to: input.count, by: size).map {
        Array(input[$0..<min($0 + size, input.count)])
      }
      let (observations, messages) = read(chunks, table)
      #expect(observations.map(\.reportID) == (row.isRead ? [2, 3] : [3]), "in chunks of \(size)")
      #expect(messages.count == 1)
    }
  }

  /// Reads `input` whole and in chunks, which must give the same. Returns the ids of the reports, and the messages.
  private func readInChunks(_ input: String) -> (ids: [UInt64], messages: [String]) {
    let bytes = Array(input.utf8)
    let whole = read([bytes], table)
    for size in [1, 2, 3, 7, 64] {
      let chunks = stride(from: 0, to: bytes.count, by: size).map {
        Array(bytes[$0..<min($0 + size, bytes.count)])
      }
      let parts = read(chunks, table)
      #expect(parts.observations == whole.observations, "in chunks of \(size): \(input)")
      #expect(parts.messages == whole.messages, "in chunks of \(size): \(input)")
    }
    return (whole.observations.map(\.reportID), whole.messages)
  }

  /// Inputs with the reports 1, 2 and 3, written as `1`, `2` and `3`.
  @Test(arguments: [
    "[1,2,3]", "[1, 2, 3]\n", "[\n1,\n2,\n3\n]\n", " [ 1\n, 2\n, 3 ] ", "1,2,3", "1,\n2,\n3\n", "1,2,3,",
    "[1,2,3,]", "[1][2,3]", "[1]\n[2]\n3", "[]1,[],2[3]", "[[1,2],3]\n", "[1,2,3", "[1,\n2\n[3]",
    "\u{FEFF}1\n2\n\u{FEFF}3",
    "\u{FEFF}[1,2,3]",
  ])
  func `reads arrays of reports, and commas and byte order marks between reports`(pattern: String) throws {
    // An array in an array isn't one of reports.
    let isNested = pattern.hasPrefix("[[")
    for isPretty in [false, true] {
      var input = ""
      for character in pattern {
        guard let id = character.wholeNumberValue.map({ UInt64($0) }) else {
          input.append(character)
          continue
        }
        let report = try JSONValue(parsing: Array(portsReport(id, [22]).utf8))
        input += isPretty ? report.prettyPrinted() : String(portsReport(id, [22]).dropLast())
      }
      let (ids, messages) = readInChunks(input)
      #expect(ids == (isNested ? [] : [1, 2, 3]), "\(input)")
      #expect(messages.count == (isNested ? 1 : 0), "\(messages)")
    }
  }

  /// Arrays with a damaged or wrong element between the reports 1 and 3, and the number of messages.
  @Test(arguments: [
    ("5", 1), ("null", 1), (#""text""#, 1), ("{}", 1), (#"[{"a":1}]"#, 1), ("[5]", 1),
    (#"{"header":{"report_id":2},bad}"#, 1),
    (#"{"header":{"report_id":2,"version":"2.0"}}"#, 1), ("", 0),
  ])
  func `skips a wrong element of an array, and reads the others`(row: (element: String, count: Int)) {
    let first = String(portsReport(1, []).dropLast())
    let last = String(portsReport(3, []).dropLast())
    for (start, end) in [("[", "]"), ("[\n  ", "\n]\n")] {
      let input = "\(start)\(first),\(row.element),\(last)\(end)"
      let (ids, messages) = readInChunks(input)
      #expect(ids == [1, 3], "\(input)")
      #expect(messages.count == row.count, "\(messages)")
    }
  }

  @Test func `never reads a part of a damaged wrapper in an array as a report`() {
    let inner = String(portsReport(2, []).dropLast())
    let first = String(portsReport(1, []).dropLast())
    for damaged in [
      #"{"thing":x,"report":\#(inner)}"#, #"{"thing":x,"reports":[\#(inner),\#(inner)]}"#,
      #"{"thing":x,"a":{"report":\#(inner),"b":[1,\#(inner)]}}"#,
    ] {
      let (ids, messages) = readInChunks("[\(first),\(damaged),\(portsReport(3, []))]")
      #expect(ids == [1, 3] && messages.count == 1, "\(damaged): \(ids), \(messages)")
    }
  }

  @Test(arguments: [1, 2, 3, 7, 64, 1000])
  func `reads the same in any chunks`(size: Int) throws {
    var input = try report(5).encoded(as: .json, names: .long) + Array("\n".utf8)
    input += try report(6).encoded(as: .cbor, names: .short) + Array("\n{\"header\"\n{bad}\n".utf8)
    input += Array(portsReport(7, [1]).utf8) + Array("{\"header\":{\"report_id\":".utf8)
    let whole = read([input], table)
    let chunks = stride(from: 0, to: input.count, by: size).map {
      Array(input[$0..<min($0 + size, input.count)])
    }
    let parts = read(chunks, table)
    #expect(parts.observations == whole.observations && parts.messages == whole.messages)
    #expect(whole.observations.map(\.reportID) == [5, 6, 7])
  }

  @Test(arguments: [
    (#"{"header":{"report_id":1,"version":"1.0"}"#, "it is truncated"),
    (#"{"header":{"report_id":1,"version":"2.0"}}"#, "its version is 2.0, not 1.0"),
    (#"{"header":{"report_id":-1}}"#, "report_id isn't an integer"),
    (#"{"header":{"report_id":1.5}}"#, "report_id isn't an integer"),
    (#"{"header":{"report_id":99999999999999999999999}}"#, "report_id isn't an integer"),
    (#"{"header":{"report_id":18446744073709551615}}"#, "isn't a time in seconds"),
    (#"{"timestamp":18446744073709551615,"report":{"header":{"report_id":1}}}"#, "is after the year 9999"),
    (#"{"metrics":{}}"#, "it has no report_id"),
    (#"{"thing":"a b","report":{}}"#, "'a b' isn't a valid thing name"),
    (
      #"{"header":{"report_id":1},"metrics":{"listening_tcp_ports":{"ports":[{"port":-1}]}}}"#,
      "port isn't an integer from 0 to 65535"
    ),
    (
      #"{"header":{"report_id":1},"metrics":{"listening_tcp_ports":{"ports":[{"port":70000}]}}}"#,
      "70000 isn't a valid port"
    ),
    (#"{"header":{"report_id":1},"metrics":{"listening_tcp_ports":{"ports":[{}]}}}"#, "has no port"),
    (
      #"{"header":{"report_id":1},"metrics":{"tcp_connections":{"established_connections":{"connections":[{"remote_addr":"x:1"}]}}}}"#,
      "'x:1' isn't a valid remote address"
    ),
    (#"{"header":{"report_id":1},"custom_metrics":{"load":[{"number":1e400}]}}"#, "beyond the range"),
    (
      #"{"header":{"report_id":1},"metrics":{"network_stats":{"bytes_in":1e30}}}"#,
      "aws:all-bytes-in isn't an integer"
    ),
    ("[1]", "expected an object"), ("x", "expected an object"),
  ])
  func `skips input that isn't a report, with one message`(row: (input: String, reason: String)) {
    let (observations, messages) = read([Array("\(row.input)\n\(portsReport(9, []))".utf8)], table)
    let isCut = row.reason == "it is truncated"
    #expect(messages.count == 1 && messages[0].hasPrefix("Report 1, at byte 0, is skipped: "), "\(messages)")
    #expect(isCut || messages[0].includes(row.reason), "\(messages)")
    #expect(observations.map(\.reportID) == [9])
  }

  @Test func `a report cut short at the end of the input is skipped`() {
    let first = portsReport(1, [])
    let (observations, messages) = read([Array((first + #"{"header":{"repo"#).utf8)], table)
    let message = "Report 2, at byte \(first.utf8.count), is skipped: it is truncated."
    #expect(observations.count == 1 && messages == [message])
  }

  @Test func `stops at damaged CBOR, which has no place to continue`() throws {
    let good = try report(5).encoded(as: .cbor, names: .long)
    let (observations, messages) = read([good + [0xBF, 0x1C, 0x00] + good], table)
    #expect(observations.count == 1 && messages.count == 1)
    #expect(messages[0].hasSuffix("The rest of this input can't be read."))
  }

  @Test func `a name of the command line wins over the wrapper's`() {
    let input = #"{"thing":"a","report":\#(portsReport(1, []))}"#
    #expect(read([Array(input.utf8)], table).observations.map(\.thing) == ["a"])
    #expect(read([Array(input.utf8)], table, thing: "b").observations.map(\.thing) == ["b"])
  }

  @Test(arguments: [
    ("192.0.2.1:443", "192.0.2.1"), ("[2001:db8::1]:443", "2001:db8::1"), ("192.0.2.1", "192.0.2.1"),
    ("2001:db8::1:443", "2001:db8::1"), ("[fe80::1%eth0]:5", "fe80::1"),
    ("[::ffff:192.0.2.1]:5", "192.0.2.1"),
    ("::ffff:192.0.2.1:5", "192.0.2.1"), (#"192.0.2.1\u003a5"#, "192.0.2.1"),
  ])
  func `reads a remote address`(text: String, expected: String) throws {
    let (observations, messages) = read([Array(connectionsReport(1, [text]).utf8)], table)
    var list = AddressList()
    list.append(try #require(IPAddress(parsing: expected)))
    #expect(messages == [])
    #expect(observations.first?.datapoints[DeviceMetric.destinations.slot] == .addresses(list))
  }
}
