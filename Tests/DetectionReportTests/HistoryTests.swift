import Testing

@testable import DetectionReport

struct HistoryTests {
  @Test func `counts alarms and the time in them`() throws {
    let history = try history(
      onlySSH,
      [
        report("a", 0, ports: [22]), report("a", 300, ports: [23]), report("a", 600, ports: [23]),
        report("a", 900, ports: [22]), report("a", 1_200, ports: [24]), report("a", 1_500, ports: [24]),
        report("b", 1_500, ports: [22]),
      ])
    let thing = try #require(history.things.first)
    let alarm = try #require(thing.alarms[0])
    #expect(alarm.count == 2 && alarm.value == "24" && alarm.latest == midnight + 1_200)
    // 600 s until it was cleared, and 300 s until the end of the input.
    #expect(alarm.seconds == 900 && alarm.since == midnight + 1_200)
    #expect(thing.activeAlarms == 1 && history.things[1].activeAlarms == 0)
    #expect(history.axis.width == 60)
    let first = Int(midnight / 60)
    #expect(alarm.buckets.runs == [first + 5..<first + 15, first + 20..<first + 26])
  }

  @Test func `ranks by active alarms, time in alarm, number of alarms and name`() throws {
    let bad = [23]
    let history = try history(
      onlySSH,
      [
        report("calm", 0), report("also-calm", 0),
        // Active, but short.
        report("active", 0), report("active", 900, ports: bad),
        report("long", 0, ports: bad), report("long", 800),
        report("short", 0, ports: bad), report("short", 100),
        report("twice", 0, ports: bad), report("twice", 50), report("twice", 60, ports: bad),
        report("twice", 110),
      ])
    let ranking = history.things.sorted { $0.isWorse(than: $1) }.map(\.name)
    #expect(ranking == ["active", "long", "twice", "short", "also-calm", "calm"])
  }

  @Test func `adds up windows as the evaluator does`() throws {
    let history = try history(
      "\(littleTraffic),\(someTraffic)",
      [(0, 40), (200, 50), (300, 500), (650, 10), (1_300, 7)].map { report("a", $0.0, out: $0.1) })
    let counters = try #require(history.things.first?.counters)
    func shown(_ counter: Int, _ seconds: UInt64) -> Float? {
      counters[counter].values[Int((midnight + seconds) / history.axis.width)]
    }
    // Windows of 300 s: 90, 500, 10 and, still open, 7.
    #expect([0, 299, 300, 600, 900, 1_300].map { shown(0, $0) } == [90, 90, 500, 10, nil, 7])
    #expect(counters[0].extreme?.value == 500 && counters[0].extreme?.time == midnight + 300)
    // Windows of 600 s: 590, 10; the open one isn't a datapoint of a lower bound.
    #expect([0, 300, 600, 1_199, 1_300].map { shown(1, $0) } == [590, 590, 10, 10, nil])
    #expect(counters[1].extreme?.value == 10)
  }

  @Test func `records when ports came and went`() throws {
    let history = try history(
      onlySSH,
      [
        report("a", 0, ports: [22, 80]), report("a", 300, ports: [22, 8080, 8080]),
        report("a", 600, ports: [22, 443], total: 9),
      ])
    let list = try #require(history.things.first?.tcpPorts)
    let found = list.presences.mapValues { [list.came($0), list.went($0)] }
    #expect(
      found == [22: [false, false], 80: [false, true], 8080: [true, true], 443: [true, false]])
    #expect(list.presences[8080]?.reports == 1 && list.presences[22]?.reports == 3)
    #expect(list.reports == 3 && list.sampledReports == 1)
  }

  @Test func `what is in two reports in a row was there between them, but not during a gap`() throws {
    let connections =
      #"{"name":"few","metric":"aws:num-established-tcp-connections","criteria":{"comparisonOperator":"less-than","value":{"count":9}}}"#
    let history = try history(
      connections,
      [0, 300, 600, 1_500, 1_800, 1_700].map {
        report("a", $0, ports: [22], destinations: ["192.0.2.1:1"])
      } + [report("a", 2_100, ports: [80])])
    let thing = try #require(history.things.first)
    let first = Int(midnight / 60)
    #expect(thing.tcpPorts.presences[22]?.buckets.runs == [first..<first + 11, first + 25..<first + 31])
    let shown = (first..<first + 36).map { thing.counters[0].values[$0] }
    #expect(shown == (0..<36).map { $0 == 35 ? 0 : $0 < 11 || $0 >= 25 ? 1 : nil })
  }

  @Test func `keeps a limited number of ports, and drops those absent for the longest time`() {
    var axis = TimeAxis()
    var list = ElementHistory<UInt16>()
    for step in 0..<1_000 {
      let time = midnight + UInt64(step) * 60
      let factor = axis.include(time)
      if factor > 1 { list.merge(by: factor) }
      list.add([22, UInt16(1_000 + step)], total: nil, at: time, previous: nil, axis)
    }
    #expect(list.presences.count == ElementHistory<UInt16>.maximumElements)
    #expect(list.presences[22]?.reports == 1_000)
    #expect(list.presences.keys.min() == 22 && list.presences.keys.sorted()[1] == 1_937)
    #expect(list.dropped == 937)
    // One report that has more elements than are kept.
    list.add(Array(UInt16(20_000)..<21_000), total: nil, at: midnight + 90_000, previous: nil, axis)
    #expect(list.presences.count == 64 && list.presences.keys.allSatisfy { $0 >= 20_000 })
  }

  @Test func `a clock that isn't set doesn't stretch the charts`() throws {
    let history = try history(
      onlySSH,
      [
        report("a", 5, ports: [23], start: 0), report("a", 0, ports: [23]), report("a", 300, ports: [22]),
      ])
    #expect(history.reports == 3 && history.reportsWithoutTime == 1)
    #expect(history.period == midnight...(midnight + 300) && history.axis.width == 60)
    let alarm = try #require(history.things.first?.alarms[0])
    // The first alarm began in 1970, so its duration is unknown. It became invalid.
    #expect(alarm.count == 2 && alarm.seconds == 300 && alarm.since == nil)
    #expect(page(history).contains("1 report with a time before 2018"))
  }

  @Test func `a report from the future doesn't stretch the charts, or prolong an alarm`() throws {
    let later: UInt64 = 2_000_000_000
    let ahead = report("a", 0, ports: [22], start: 253_402_300_799)
    let reports = [
      report("a", 0, ports: [23], start: later), report("a", 600, ports: [23], start: later), ahead,
      report("b", 0, ports: [23], start: 253_402_300_799),
    ]
    let history = try history(onlySSH, reports, now: later)
    #expect(history.reports == 4 && history.reportsFromFuture == 2 && history.reportsWithoutTime == 0)
    #expect(history.period == later...(later + 600) && history.axis.width == 60)
    let alarm = try #require(history.things.first?.alarms[0])
    #expect(alarm.count == 1 && alarm.seconds == 600 && alarm.since == nil)
    #expect(history.things.map(\.lastReport) == [later + 600, 0])
    #expect(history.things.last?.alarms[0]?.seconds == 0)
    let text = page(history)
    #expect(text.contains("2 reports with a time more than a day in the future"))
    #expect(text.contains("<td>unknown</td></tr>"))
  }

  @Test func `a report may be a day ahead, and none before 2028 is from the future`() throws {
    let limit: UInt64 = 1_830_297_600 + 86_400
    let reports = [0, 1].map { report("a", $0, start: limit) }
    #expect(try history(onlySSH, reports, now: 0).reportsFromFuture == 1)
    #expect(try history(onlySSH, reports, now: limit).reportsFromFuture == 0)
    #expect(try history(onlySSH, reports, now: .max).reportsFromFuture == 0)
  }

  @Test func `counts repeated and late reports apart`() throws {
    let history = try history(
      onlySSH, [report("a", 300), report("a", 300), report("a", 0, ports: [23]), report("b", 0), "{"])
    #expect(history.reports == 2 && history.ignoredReports == 2 && history.skippedReports == 1)
    #expect(history.things.map(\.ignoredReports) == [2, 0])
    #expect(history.things[0].alarms.isEmpty)
  }

  @Test func `widening the buckets keeps what was recorded`() throws {
    let reports = (0..<400).map { step in
      report("a", UInt64(step) * 300, ports: step % 100 < 10 ? [22, 23] : [22], out: UInt64(step))
    }
    let history = try history("\(onlySSH),\(littleTraffic)", reports)
    #expect(history.axis.width == 600)
    let thing = try #require(history.things.first)
    #expect(thing.alarms[0]?.count == 4 && thing.alarms[0]?.seconds == 4 * 3_000)
    #expect(thing.alarms[0]?.buckets.runs.map(\.count) == [5, 5, 5, 5])
    #expect(thing.tcpPorts.presences[23]?.buckets.runs.map(\.count) == [5, 5, 5, 5])
    #expect(thing.counters[0].values[Int((midnight + 600) / 600)] == 3)
    #expect(thing.counters[0].extreme?.value == 399)
  }
}
