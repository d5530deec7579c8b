import Detection
import Testing

@testable import DetectionReport

struct PageTests {
  @Test func `shows the worst thing first, its counter with the threshold, and its ports`() throws {
    let history = try history(
      "\(onlySSH),\(littleTraffic)",
      [
        report("calm", 0, ports: [22]), report("calm", 300, ports: [22]), report("bad", 0, ports: [22]),
        report("bad", 300, ports: [22, 4444], out: 5_000, destinations: ["192.0.2.9:443"]),
        report("bad", 600, ports: [22], out: 50),
      ])
    let text = page(history)
    #expect(text.contains("<h1>1 of 2 things in alarm</h1>"))
    let bad = text.firstRange(of: #"<span class="rank">1</span> <bdi>bad</bdi>"#)
    let calm = text.firstRange(of: #"<span class="rank">2</span> <bdi>calm</bdi>"#)
    #expect(try #require(bad).lowerBound < #require(calm).lowerBound)
    #expect(text.contains("normal ≤ 100 B</text>") && text.contains("Highest 5,000 B at 24 Nov 00:05."))
    #expect(text.contains(#"<th scope="row">TCP 4444</th><td class="text">came and went</td>"#))
    #expect(text.contains("violates only-ssh") && text.contains("192.0.2.9"))
  }

  @Test func `what a report contains never becomes markup`() throws {
    let names =
      #"{"name":"users","metric":"users","criteria":{"comparisonOperator":"in-set","value":{"strings":["</style><script>a"]}}}"#
    let custom = #"{"users":[{"string_list":["</script><img src=x onerror=alert(1)>\u202e\u0000'\""]}]}"#
    var history = try history(names, [report("a", 0, custom: custom)])
    history.finish(skipped: 1, reasons: ["</bdi><script>x: \u{1B}[31m"], isComplete: false)
    let text = page(history)
    #expect(text.contains(#"&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;\u{202E}\u{0}&#39;&quot;"#))
    #expect(text.contains("&lt;/style&gt;&lt;script&gt;a"))
    #expect(text.contains(#"&lt;/bdi&gt;&lt;script&gt;x: \u{1B}[31m"#))
    for forbidden in ["<script", "<img", "\u{202E}", "\u{0}", "\u{1B}"] {
      #expect(!text.contains(forbidden), "\(forbidden.debugDescription)")
    }
  }

  @Test func `the same input gives the same bytes`() throws {
    let reports = (0..<200).map { step in
      report(
        "thing-\(step % 17)", UInt64(step) * 60, ports: [22, 1_000 + step * 7 % 90], out: UInt64(step),
        destinations: ["192.0.2.\(step % 90):1"])
    }
    let behaviors = "\(onlySSH),\(littleTraffic),\(someTraffic)"
    let first = DetectionPage.html(try history(behaviors, reports))
    #expect(first == DetectionPage.html(try history(behaviors, reports)))
  }

  @Test func `without reports it says so`() throws {
    let text = page(try history(onlySSH, []))
    #expect(text.contains("No report with a time.") && text.contains("0 reports of 0 things evaluated"))
    #expect(!text.contains("<figure"))
  }

  /// Long names, each thing in alarm of each behavior, and more things than have a row.
  @Test func `stays below 1 MB for any number of things, and says what it leaves out`() throws {
    let behaviors = (0..<16).map { number in
      #"{"name":"\#(String(repeating: "b", count: 120))-\#(number)","metric":"aws:listening-tcp-ports","criteria":{"comparisonOperator":"in-port-set","value":{"ports":[22]}}}"#
    }
    let long = String(repeating: "t", count: 120)
    var reports: [String] = []
    for thing in 0..<1_500 {
      for step in 0..<(thing < 15 ? 40 : 2) {
        let ports = step % 2 == 0 ? Array(1_000..<1_020) : []
        reports.append(report("\(long)-\(thing)", UInt64(step) * 300, ports: ports))
      }
    }
    let text = page(try history(behaviors.joined(separator: ","), reports))
    #expect(text.utf8.count < 1_000_000)
    #expect(text.contains(" more things</th>") && text.contains("things share the last row."))
    #expect(text.contains("The first ") && text.contains(" of 1,500 are shown in detail."))
  }

  /// Forty things whose alarm begins and ends with each report: each lane has as many bars as it can.
  @Test func `stays below 1 MB if alarms begin and end all the time, and shows the worst things`() throws {
    let behaviors = (0..<6).map { number in
      #"{"name":"\#(String(repeating: "b", count: 120))-\#(number)","metric":"aws:listening-tcp-ports","criteria":{"comparisonOperator":"in-port-set","value":{"ports":[22]}}}"#
    }
    let long = String(repeating: "t", count: 120)
    var reports: [String] = []
    for step in 0..<299 {
      for thing in 0..<40 {
        let ports = step % 2 == 0 ? Array(1_000..<1_020) : []
        reports.append(report("\(long)-\(thing)", UInt64(step) * 60, ports: ports))
      }
    }
    for thing in 0..<2_000 { reports.append(report("\(long)-later-\(thing)", 17_880, ports: [23])) }
    let text = page(try history(behaviors.joined(separator: ","), reports))
    #expect(text.utf8.count < 1_000_000)
    // With an element for each bar, only one thing would fit.
    #expect(text.contains(#"<article class="card" aria-labelledby="t3">"#))
    // One path for each lane, with all of its 150 bars.
    let lanes = text.split(separator: "<path class=\"alarm\" d=\"")
    let lane = try #require(lanes.last { $0.hasPrefix("M0 0h1v9h-1z") })
    let bars = lane.prefix { $0 != "\"" }.count { $0 == "z" }
    #expect(bars == 150)
    #expect(!text.contains("<rect class=\"alarm\""))
  }

  @Test func `the bars of a port that isn't in the profile are hatched and have an outline`() throws {
    let reports = [
      report("a", 0, ports: [22, 23]), report("a", 60), report("a", 120, ports: [23]),
    ]
    let text = page(try history(onlySSH, reports))
    let path = text.split(separator: "<defs><path id=\"p").first { $0.contains("clipPathUnits") }
    let markup = try #require(path)
    #expect(markup.contains(#"d="M0 0h1v10h-1zM2 0h1v10h-1z""#))
    #expect(markup.contains(#"transform="scale(0.3333333333333333 0.1)""#))
    #expect(markup.contains(#"<rect class="out" x="0" y="5" width="100%" height="10" clip-path="url(#k"#))
    #expect(markup.contains(##"<use class="out" fill-opacity="0" href="#p"##))
    #expect(text.contains(#"<path class="present" d="M0 0h1v10h-1z"/>"#))
  }

  @Test func `numbers beyond those of 32 bits have labels`() throws {
    let level =
      #"{"name":"level","metric":"level","criteria":{"comparisonOperator":"less-than","value":{"number":5}}}"#
    let reports = ["-1e308", "1e308"].enumerated().map { step, number in
      report("a", UInt64(step) * 60, custom: #"{"level":[{"number":\#(number)}]}"#)
    }
    let text = page(try history(level, reports))
    #expect(!text.contains("inf<") && !text.contains("nan<"))
    #expect(text.contains("&gt; 3.4e38</td>") && text.contains("Highest 1e+308"))
  }

  @Test(
    arguments: [(-1.7e308, 1.7e308, nil), (-3e38, 3e38, 1.7e308), (0, 1.7e308, 1)]
      as [(Double, Double, Double?)])
  func `a vertical axis of the largest numbers is finite`(
    row: (smallest: Double, largest: Double, bound: Double?)
  ) {
    let scale = ValueScale(smallest: row.smallest, largest: row.largest, bound: row.bound, height: 100)
    #expect(scale.ticks.count > 1 && scale.ticks.allSatisfy(\.isFinite))
    #expect(scale.y(scale.top) == 0 && scale.y(scale.bottom) == 100)
    #expect(scale.y(row.largest) <= scale.y(row.smallest))
  }

  @Test(
    arguments: [
      (0.0, 10.0, nil, [0.0, 5, 10], false), (0, 6_000, 4_096, [0, 2_000, 4_000, 6_000], false),
      (0, 0, nil, [0, 1], false), (-3, 5, nil, [-5, 0, 5], false),
      (0, 1_000_000, 100, [0, 1], true),
    ] as [(Double, Double, Double?, [Double], Bool)])
  func `a vertical axis has round numbers, and is logarithmic for values far beyond the bound`(
    row: (smallest: Double, largest: Double, bound: Double?, ticks: [Double], isLogarithmic: Bool)
  ) {
    let scale = ValueScale(smallest: row.smallest, largest: row.largest, bound: row.bound, height: 100)
    #expect(scale.isLogarithmic == row.isLogarithmic)
    if !row.isLogarithmic { #expect(scale.ticks == row.ticks) }
    #expect(scale.top >= row.largest && scale.y(scale.top) == 0 && scale.y(scale.bottom) == 100)
    #expect(scale.ticks.count <= 5)
  }
}
