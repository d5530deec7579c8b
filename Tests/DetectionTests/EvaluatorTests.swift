import Detection
import DeviceDefender
import Testing
import WireFormats

/// The semantics that AWS documents, and this project's decisions for what AWS doesn't document.
struct EvaluatorTests {
  private let ports = profile(
    #"[{"name":"ports","metric":"aws:listening-tcp-ports","criteria":{"comparisonOperator":"in-port-set","value":{"ports":[22,443]}}}]"#
  )
  private func bytesOut(_ comparison: String, toAlarm: Int = 1, toClear: Int = 1) -> SecurityProfile {
    profile(
      #"[{"name":"out","metric":"aws:all-bytes-out","criteria":{"comparisonOperator":"\#(comparison)","value":{"count":4096},"durationSeconds":300,"consecutiveDatapointsToAlarm":\#(toAlarm),"consecutiveDatapointsToClear":\#(toClear)}}]"#
    )
  }

  @Test func `lists the ports outside of the set and clears when all are inside`() {
    let reports =
      portsReport(1, [22, 8080]) + portsReport(2, [443]) + portsReport(3, [1]) + portsReport(4, [])
    #expect(
      events([ports], reports) == [
        #"1 in-alarm ports {"ports":[8080]}"#, #"2 alarm-cleared ports {"ports":[443]}"#,
        #"3 in-alarm ports {"ports":[1]}"#, #"4 alarm-cleared ports {"ports":[]}"#,
      ])
  }

  @Test func `closes a window when a report of a later window arrives`() {
    let values: [UInt64] = [4000, 5000, 6000, 100, 50]
    let reports = values.enumerated().map { bytesOutReport(3_000_000 + 300 * UInt64($0.offset), $0.element) }
    // An upper bound: the sum so far decides.
    #expect(
      events([bytesOut("less-than-equals", toAlarm: 2)], reports.joined()) == [
        #"3000600 in-alarm out {"count":6000}"#, #"3001200 alarm-cleared out {"count":100}"#,
      ])
    // A lower bound: only the whole window decides.
    #expect(
      events([bytesOut("greater-than")], reports.joined()) == [
        #"3000300 in-alarm out {"count":4000}"#, #"3000600 alarm-cleared out {"count":5000}"#,
        #"3001200 in-alarm out {"count":100}"#,
      ])
  }

  @Test func `adds up a window and reports the sum that violates first`() {
    let reports = [(3_000_000, 3000), (3_000_100, 1097), (3_000_200, 9999), (3_000_300, 1)]
      .map { bytesOutReport(UInt64($0.0), UInt64($0.1)) }.joined()
    #expect(events([bytesOut("less-than")], reports) == [#"3000100 in-alarm out {"count":4097}"#])
  }

  @Test func `a report without the metric closes a window but isn't a datapoint`() {
    let reports = bytesOutReport(3_000_000, 1) + portsReport(3_000_300, []) + portsReport(3_000_600, [])
    #expect(events([bytesOut("greater-than")], reports) == [#"3000300 in-alarm out {"count":1}"#])
  }

  @Test func `one report from the future doesn't stop the evaluation of windows`() {
    func report(_ id: UInt64, _ second: UInt64, _ bytes: UInt64) -> String {
      #"{"thing":"t","timestamp":\#(second * 1_000),"report":\#(bytesOutReport(id, bytes))}"# + "\n"
    }
    let year: UInt64 = 31_536_000
    let reports = [
      report(1, 3_000_000, 1), report(2, 3_000_000 + year, 9), report(3, 3_000_300, 5000),
      // One window back is late, not a clock that was set back.
      report(4, 3_000_000, 9000), report(5, 3_000_600, 2), report(6, 3_000_900, 2),
    ].joined()
    #expect(
      events([bytesOut("less-than")], reports) == [
        #"3000300 in-alarm out {"count":5000}"#, #"3000900 alarm-cleared out {"count":2}"#,
      ])
    // The window in the future doesn't become a datapoint: 9 would be the second violation in a row.
    #expect(events([bytesOut("greater-than", toAlarm: 2)], reports) == [])
  }

  @Test func `a sum beyond 64 bits stays at the largest number`() {
    let reports =
      bytesOutReport(3_000_000, .max) + bytesOutReport(3_000_001, .max) + bytesOutReport(3_000_300, 1)
    #expect(
      events([bytesOut("less-than", toAlarm: 1)], reports) == [
        #"3000000 in-alarm out {"count":9223372036854775807}"#
      ])
  }

  @Test func `matches addresses of each family with networks of that family`() {
    let networks = profile(
      #"[{"name":"net","metric":"aws:destination-ip-addresses","criteria":{"comparisonOperator":"in-cidr-set","value":{"cidrs":["10.0.0.0/8","fd00::/8"]}}}]"#
    )
    let reports =
      connectionsReport(1, ["10.1.2.3:443", "[::ffff:10.0.0.1]:1", "[fd12::1]:5"])
      + connectionsReport(
        2, ["[2001:db8::1]:443", "10.1.2.3:1", "192.0.2.9:1", "192.0.2.9:2", "9.255.255.255:1"])
      + connectionsReport(3, ["11.0.0.0:1", "10.255.255.255:1"]) + connectionsReport(4, [])
    #expect(
      events([networks], reports) == [
        #"2 in-alarm net {"cidrs":["9.255.255.255","192.0.2.9","2001:db8::1"]}"#,
        #"4 alarm-cleared net {"cidrs":[]}"#,
      ])
  }

  @Test(arguments: [
    ("in-set", #"{"strings":["a","b"]}"#, #"{"string_list":["c","a","B","c"]}"#, #"{"strings":["B","c"]}"#),
    ("not-in-set", #"{"strings":["a","b"]}"#, #"{"string_list":["c","a","a"]}"#, #"{"strings":["a"]}"#),
    // Equivalent for Unicode, but not the same bytes.
    (
      "in-set", #"{"strings":["\u00e9"]}"#, #"{"string_list":["\u00e9","e\u0301"]}"#,
      "{\"strings\":[\"e\u{301}\"]}"
    ),
    (
      "not-in-set", #"{"strings":["\u00e9","e\u0301"]}"#, #"{"string_list":["\u00e9","e\u0301"]}"#,
      "{\"strings\":[\"e\u{301}\",\"\u{E9}\"]}"
    ),
    ("in-set", #"{"numbers":[1,2.5]}"#, #"{"number_list":[10,-3,2.5]}"#, #"{"numbers":[-3.0,10.0]}"#),
    ("not-in-set", #"{"numbers":[1]}"#, #"{"number_list":[10,1.0]}"#, #"{"numbers":[1.0]}"#),
    ("less-than", #"{"number":-1.5}"#, #"{"number":-1.5}"#, #"{"number":-1.5}"#),
    ("greater-than-equals", #"{"number":3}"#, #"{"number":2.5}"#, #"{"number":2.5}"#),
    (
      "not-in-cidr-set", #"{"cidrs":["192.0.2.0/24"]}"#, #"{"ip_list":["192.0.2.7","::1"]}"#,
      #"{"cidrs":["192.0.2.7"]}"#
    ),
  ])
  func `evaluates custom metrics`(row: (comparison: String, value: String, metric: String, found: String)) {
    let custom = profile(
      #"[{"name":"c","metric":"mine","criteria":{"comparisonOperator":"\#(row.comparison)","value":\#(row.value)}}]"#
    )
    // A value of another type isn't a datapoint of the behavior.
    let other = row.metric.hasPrefix(#"{"number":"#) ? #"{"string_list":[]}"# : #"{"number":0}"#
    let reports = customReport(1, #"{"mine":[\#(row.metric)]}"#) + customReport(2, #"{"mine":[\#(other)]}"#)
    #expect(events([custom], reports) == ["1 in-alarm c \(row.found)"])
  }

  @Test(arguments: [
    ("less-than", [true, false, false]), ("less-than-equals", [true, true, false]),
    ("greater-than", [false, false, true]), ("greater-than-equals", [false, true, true]),
  ])
  func `compares counts`(comparison: String, conforms: [Bool]) {
    let behavior = profile(
      #"[{"name":"n","metric":"aws:num-established-tcp-connections","criteria":{"comparisonOperator":"\#(comparison)","value":{"count":2}}}]"#
    )
    for (total, conforms) in zip([1, 2, 3], conforms) {
      let report = connectionsReport(1, Array(repeating: "10.0.0.1:1", count: total))
      #expect(events([behavior], report).isEmpty == conforms)
    }
  }

  @Test func `missing datapoints don't break a run`() {
    let behavior = profile(
      #"[{"name":"p","metric":"aws:listening-tcp-ports","criteria":{"comparisonOperator":"not-in-port-set","value":{"ports":[23]},"consecutiveDatapointsToAlarm":3,"consecutiveDatapointsToClear":2}}]"#
    )
    let bad = [23]
    let reports =
      portsReport(1, bad) + portsReport(2, bad) + bytesOutReport(3, 1) + portsReport(4, bad)
      + portsReport(5, [])
      + portsReport(6, bad) + portsReport(7, []) + portsReport(8, [])
    #expect(
      events([behavior], reports) == [
        #"4 in-alarm p {"ports":[23]}"#, #"8 alarm-cleared p {"ports":[]}"#,
      ])
  }

  @Test func `ignores duplicate and older reports`() {
    let reports = portsReport(5, [1]) + portsReport(5, []) + portsReport(4, []) + portsReport(6, [22])
    #expect(
      events([ports], reports) == [
        #"5 in-alarm ports {"ports":[1]}"#, #"6 alarm-cleared ports {"ports":[22]}"#,
      ])
  }

  @Test func `lists at most 50 elements, the smallest ones`() {
    let event = events([ports], portsReport(1, Array((1000...1099).reversed()))).first ?? ""
    #expect(event.hasPrefix(#"1 in-alarm ports {"ports":[1000,1001,"#) && event.hasSuffix(",1048,1049]}"))
  }

  @Test func `invalidates an alarm after more than two days without the metric`() {
    let day: UInt64 = 86_400
    let reports =
      portsReport(day, [1]) + bytesOutReport(3 * day, 1) + bytesOutReport(3 * day + 1, 1)
      + portsReport(4 * day, [1])
    #expect(
      events([ports], reports) == [
        #"86400 in-alarm ports {"ports":[1]}"#, "259201 alarm-invalidated ports ",
        #"345600 in-alarm ports {"ports":[1]}"#,
      ])
  }

  @Test func `invalidates the alarm of a changed and of a removed behavior`() {
    var evaluator = Evaluator([ports])
    let reports = read(
      [Array((portsReport(1, [1]) + portsReport(2, [1]) + portsReport(3, [1])).utf8)], evaluator.table)
    let first = evaluator.evaluate(reports.observations[0])
    var changed = ports
    changed.behaviors[0].criteria.consecutiveDatapointsToClear = 2
    var second = Evaluator([changed], state: evaluator.state)
    let events = second.evaluate(reports.observations[1])
    #expect(events.map(summary) == ["2 alarm-invalidated ports ", #"2 in-alarm ports {"ports":[1]}"#])
    #expect(events[0].id == first[0].id && events[1].id != first[0].id)
    var third = Evaluator([SecurityProfile(name: "test", behaviors: [])], state: second.state)
    // Without the profile, its metric isn't read; the observation still ends the alarm.
    let last = read([Array(portsReport(3, [1]).utf8)], third.table)
    #expect(third.evaluate(last.observations[0]).map(summary) == ["3 alarm-invalidated ports "])
    #expect(third.activeAlarms == 0)
  }

  @Test func `a violation keeps its id, and the next one has another`() {
    var evaluator = Evaluator([ports])
    let reports = [portsReport(1, [1]), portsReport(2, [22]), portsReport(3, [1])].joined()
    let ids = read([Array(reports.utf8)], evaluator.table).observations.flatMap { evaluator.evaluate($0) }
      .map(\.id)
    #expect(ids.count == 3 && ids.first == ids.dropFirst().first && ids.first != ids.last)
    let isValid = ids.allSatisfy {
      (1...128).contains($0.utf8.count) && $0.allSatisfy { $0.isHexDigit || $0 == "-" }
    }
    #expect(isValid)
  }

  @Test func `an event has the shape of AWS's ViolationEvent`() {
    var evaluator = Evaluator([ports])
    let report = #"{"thing":"sensor-1","timestamp":1700000000999,"report":\#(portsReport(7, [8080]))}"#
    let event = read([Array(report.utf8)], evaluator.table).observations.flatMap { evaluator.evaluate($0) }
      .first
    #expect(
      text(event?.json ?? []) == #"{"violationId":"\#(event?.id ?? "")","thingName":"sensor-1","#
        + #""securityProfileName":"test","behavior":{"name":"ports","metric":"aws:listening-tcp-ports","#
        + #""criteria":{"comparisonOperator":"in-port-set","value":{"ports":[22,443]}}},"metricValue":{"ports":[8080]},"#
        + #""violationEventType":"in-alarm","violationEventTime":1700000000}"#)
  }

  @Test func `on the device the clock closes windows at their ends`() {
    var evaluator = Evaluator([bytesOut("greater-than")], windowsEnd: .clock)
    var observation = Observation(thing: "t", reportID: 1, time: 3_000_010_000, table: evaluator.table)
    observation.set(.bytesOut, .count(10))
    #expect(evaluator.evaluate(observation).isEmpty)
    #expect(evaluator.advance(to: 3_000_299_999, thing: "t").isEmpty)
    #expect(
      evaluator.advance(to: 3_000_500_000, thing: "t").map(summary) == [#"3000300 in-alarm out {"count":10}"#]
    )
    // A late part of the closed window can't change it.
    observation.reportID = 2
    observation.time = 3_000_020_000
    #expect(evaluator.evaluate(observation).isEmpty)
    #expect(evaluator.advance(to: 3_000_500_000, thing: "t").isEmpty)
    #expect(
      evaluator.advance(to: 3_000_010_000 + 3 * 86_400_000, thing: "t").map(summary) == [
        "3259210 alarm-invalidated out "
      ])
  }

  @Test func `on the device a saved report id in the future doesn't end the evaluation`() throws {
    let state = #"{"version":1,"things":[{"thing":"t","last_report_id":1800000000,"behaviors":[]}]}"#
    let saved = try DetectionState(parsingJSON: Array(state.utf8))
    var onDevice = Evaluator([ports], state: saved, windowsEnd: .clock)
    var recorded = Evaluator([ports], state: saved)
    var observation = Observation(
      thing: "t", reportID: 1_700_000_000, time: 1_700_000_000_000, table: onDevice.table)
    observation.set(.listeningTCPPorts, .ports([1]))
    #expect(onDevice.evaluate(observation).map(\.type) == [.inAlarm] && onDevice.ignoredReports == 0)
    #expect(recorded.evaluate(observation).isEmpty && recorded.ignoredReports == 1)
  }

  @Test func `evaluates more behaviors than a word has bits`() {
    let behaviors = (0..<100).map { index in
      #"{"name":"p\#(index)","metric":"aws:listening-tcp-ports","criteria":{"comparisonOperator":"not-in-port-set","value":{"ports":[\#(index)]}}}"#
    }
    let many = profile("[\(behaviors.joined(separator: ","))]")
    #expect(
      events([many], portsReport(1, [3, 64, 99, 1000])) == [
        #"1 in-alarm p3 {"ports":[3]}"#, #"1 in-alarm p64 {"ports":[64]}"#, #"1 in-alarm p99 {"ports":[99]}"#,
      ])
  }

  @Test func `keeps things apart and continues from a saved state`() throws {
    let reports = [
      #"{"thing":"a","timestamp":1000,"report":\#(portsReport(1, [1]))}"#,
      #"{"thing":"b","timestamp":2000,"report":\#(portsReport(1, [22]))}"#,
      #"{"thing":"a","timestamp":3000,"report":\#(portsReport(1, [22]))}"#,
      #"{"thing":"a","timestamp":4000,"report":\#(portsReport(2, [22]))}"#,
    ]
    var evaluator = Evaluator([ports])
    let observations = read([Array(reports.joined(separator: "\n").utf8)], evaluator.table).observations
    var found: [String] = []
    for (index, observation) in observations.enumerated() {
      found += evaluator.evaluate(observation).map { "\($0.thing) \(summary($0))" }
      let state =
        index % 2 == 0
        ? try DetectionState(parsingJSON: evaluator.state.json)
        : try DetectionState(parsingCBOR: evaluator.state.cbor)
      #expect(state == evaluator.state)
      evaluator = Evaluator([ports], state: state)
    }
    #expect(
      found == [#"a 1 in-alarm ports {"ports":[1]}"#, #"a 4 alarm-cleared ports {"ports":[22]}"#])
  }

  @Test func `reads the states of different profiles with the same names`() throws {
    // A profile with one behavior, one with other names, and one with more names than are remembered.
    let states = [["a"], ["b"], (0..<100).map { "behavior-\($0)" }].map { behaviors in
      let text = behaviors.map {
        #"{"name":"\#($0)","metric":"aws:num-established-tcp-connections","criteria":{"comparisonOperator":"less-than","value":{"count":1}}}"#
      }
      let profile = profile("[\(text.joined(separator: ","))]", name: behaviors[0])
      var evaluator = Evaluator([profile])
      for observation in read([Array(connectionsReport(1, ["10.0.0.1:1"]).utf8)], evaluator.table)
        .observations
      {
        _ = evaluator.evaluate(observation)
      }
      return evaluator.state
    }
    var names = StateNames()
    for index in [0, 0, 1, 0, 2, 2, 1, 0] {
      #expect(states[index].hasAlarms)
      let state = try DetectionState(parsingCBOR: states[index].cbor, &names)
      #expect(state == states[index])
      // A malformed state doesn't change what is read after it.
      #expect(throws: DetectionStateError.self) {
        try DetectionState(parsingCBOR: Array(states[index].cbor.dropLast()), &names)
      }
    }
  }

  @Test(arguments: [
    "", "[]", "{}", #"{"version":2,"things":[]}"#, #"{"version":"1","things":[]}"#, #"{"version":1}"#,
    #"{"version":1,"things":[{"thing":"a"}]}"#, #"{"version":1,"things":[{"thing":1,"behaviors":[]}]}"#,
    #"{"version":1,"things":[{"thing":"a","behaviors":[{}]}]}"#,
    #"{"version":1,"things":[{"thing":"a","last_report_id":-1,"behaviors":[]}]}"#,
    #"{"version":1,"things":[{"thing":"a","behaviors":[]},{"thing":"a","behaviors":[]}]}"#,
    #"{"version":1,"things":[{"thing":"a","behaviors":[{"profile":"p","behavior":"b","metric":"m","fingerprint":1,"violating":11,"conforming":0,"last_metric":0}]}]}"#,
    #"{"version":1,"things":[{"thing":"a","behaviors":[{"profile":"p","behavior":"b","metric":"m","fingerprint":1,"violating":1,"conforming":0,"last_metric":0,"window":18446744073709551615,"open":true,"decided":false,"count":0,"number":0}]}]}"#,
  ])
  func `rejects a damaged state`(json: String) {
    #expect(throws: DetectionStateError.self) { try DetectionState(parsingJSON: Array(json.utf8)) }
  }
}
