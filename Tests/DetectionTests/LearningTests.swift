@testable import Detection
import DeviceDefender
import Testing
import WireFormats

/// Tests of learned profiles.
struct LearningTests {
  private func learned(_ reports: String, margin: UInt64 = 50) throws -> LearnedProfile {
    var learner = Learner()
    for observation in read([Array(reports.utf8)], learner.table).observations {
      learner.observe(observation)
    }
    return try #require(LearnedProfile(learner, name: "learned", margin: margin))
  }

  @Test func `notes that a profile has no behaviors`() throws {
    let empty = try learned(#"{"header":{"report_id":1,"version":"1.0"},"metrics":{}}"#)
    #expect(empty.profile.behaviors.isEmpty)
    #expect(
      empty.notes.contains { $0.hasPrefix("The profile has no behaviors, so it never raises an alarm") })
    let full = try learned(portsReport(1, [22]))
    #expect(!full.profile.behaviors.isEmpty)
    #expect(!full.notes.contains { $0.hasPrefix("The profile has no behaviors") })
  }

  private func json(_ profile: LearnedProfile) -> [UInt8] {
    var document = JSONWriter()
    profile.write(to: &document)
    return document.bytes
  }

  private func values(_ profile: LearnedProfile) -> [String: String] {
    Dictionary(
      uniqueKeysWithValues: profile.profile.behaviors.map { behavior in
        var document = JSONWriter()
        behavior.criteria.write(to: &document)
        return (behavior.name, text(document.bytes))
      })
  }

  /// Random reports: gaps, restarts, duplicates, lists that are samples, times that go backwards, metrics of changing types.
  private func randomReports(_ random: inout SeededGenerator) -> String {
    var reports = ""
    var ids: [Int: UInt64] = [:]
    var time: UInt64 = 1_000_000_000
    for _ in 0..<Int.random(in: 1...120, using: &random) {
      let thing = Int.random(in: 0..<4, using: &random)
      ids[thing, default: 0] += .random(in: 0...2, using: &random)
      time += [0, 1, 60_000, 299_000, 300_000, 3_600_000].randomElement(using: &random) ?? 0
      let shown = time - (Int.random(in: 0..<8, using: &random) == 0 ? 400_000 : 0)
      func chance() -> Bool { Int.random(in: 0..<4, using: &random) > 0 }
      func number(_ most: UInt64) -> UInt64 { .random(in: 0...most, using: &random) }
      var blocks: [String] = []
      if chance() {
        let huge = Int.random(in: 0..<50, using: &random) == 0 ? UInt64.max - 1 : number(10_000)
        blocks.append(
          #""network_stats":{"bytes_in":\#(number(9)),"bytes_out":\#(huge),"packets_in":\#(number(99)),"packets_out":0}"#
        )
      }
      if chance() {
        let ports = (0..<number(3)).map { _ in
          #"{"port":\#([0, 22, 443, 65_535].randomElement(using: &random) ?? 1)}"#
        }
        blocks.append(
          #""listening_tcp_ports":{"ports":[\#(ports.joined(separator: ","))],"total":\#(ports.count + Int(number(2)))}"#
        )
      }
      if chance() {
        let peers = (0..<number(6)).map { _ in
          let address = chance() ? "10.\(number(255)).\(number(3)).1" : "[fd00:\(number(9))::1]"
          return #"{"remote_addr":"\#(address):443"}"#
        }
        blocks.append(
          #""tcp_connections":{"established_connections":{"connections":[\#(peers.joined(separator: ","))],"total":\#(peers.count)}}"#
        )
      }
      var custom: [String] = []
      if chance() { custom.append(#""load":[{"number":\#(Double(number(80)) / 8 - 3)}]"#) }
      if chance() { custom.append(#""load:most":[{"number_list":[\#(number(5)),-0.0]}]"#) }
      if chance() { custom.append(#""users":[{"string_list":["u\#(number(7))","é\#(number(2))"]}]"#) }
      if chance() { custom.append(#""peers":[{"ip_list":["192.0.2.\#(number(255))","::ffff:10.0.0.1"]}]"#) }
      if chance() { custom.append(#""mixed":[{\#(chance() ? #""number":1"# : #""string_list":["a"]"#)}]"#) }
      reports +=
        #"{"thing":"t\#(thing)","timestamp":\#(shown),"report":{"header":{"report_id":\#(ids[thing] ?? 0),"version":"1.0"},"#
      reports +=
        #""metrics":{\#(blocks.joined(separator: ","))},"custom_metrics":{\#(custom.joined(separator: ","))}}}"#
        + "\n"
    }
    return reports
  }

  @Test(arguments: 0..<12)
  func `a learned profile is valid and raises no alarm over the same reports`(seed: Int) throws {
    var random = SeededGenerator(seed: UInt64(seed) &* 31 &+ 5)
    for _ in 0..<6 {
      let reports = randomReports(&random)
      for margin: UInt64 in [0, 50] {
        let profile = try learned(reports, margin: margin)
        let validation = ProfileValidation(of: json(profile), name: "x")
        #expect(validation.profile == profile.profile, "\(validation.mistakes)")
        #expect(events([profile.profile], reports) == [])
        #expect(json(try learned(reports, margin: margin)) == json(profile))
      }
    }
  }

  @Test func `a learner that has seen nothing has no profile`() {
    #expect(LearnedProfile(Learner(), name: "learned", margin: 0) == nil)
  }

  @Test func `bounds are the largest value and the margin, in a short and a long duration`() throws {
    let reports = (0..<30).map { bytesOutReport(1_800_000_000 + 300 * UInt64($0), 1_000 + 10 * UInt64($0)) }
      .joined()
    let values = values(try learned(reports, margin: 10))
    // Windows of 600 s have two reports: the largest is 1280 + 1290.
    #expect(
      values["bytes-out-600s"]
        == #"{"comparisonOperator":"less-than-equals","value":{"count":2827},"durationSeconds":600}"#)
    // 13 reports of the last hour begin at a multiple of 3600: 12 are in one window.
    #expect(values["bytes-out-3600s"]?.contains(#""durationSeconds":3600"#) == true)
    #expect(values["packets-in-600s"]?.contains(#""count":3}"#) == true)
    #expect(values["listening-tcp-ports"] == nil)
  }

  @Test(arguments: [
    (UInt64(5), UInt64(300)), (60, 300), (150, 300), (151, 600), (300, 600), (301, 900), (900, 1_800),
    (1_800, 3_600),
    (3_600, 3_600), (86_400, 3_600),
  ])
  func `the duration fits two reports`(row: (interval: UInt64, duration: UInt64)) {
    var windows = TrafficWindows()
    for _ in 0..<5 { windows.addGap(milliseconds: row.interval * 1_000) }
    windows.addGap(milliseconds: 1)
    windows.addGap(milliseconds: 86_400_000)
    #expect(windows.interval == min(row.interval, 3_600) && windows.shortDuration == row.duration)
  }

  @Test func `networks don't depend on the order of the addresses`() {
    var random = SeededGenerator(seed: 3)
    for count in [1, 2, 60, 5_000, 20_000] {
      let addresses = (0..<count).map { _ in
        0x0A00_0000 | UInt32.random(in: 0..<0x100_0000, using: &random)
      }
      var (forward, backward) = (
        NetworkSet<UInt32>(longest: 24, shortest: 8), NetworkSet<UInt32>(longest: 24, shortest: 8)
      )
      for address in addresses { forward.insert(address) }
      for address in addresses.reversed() { backward.insert(address) }
      let networks = forward.networks(atMost: 50)
      #expect(networks == backward.networks(atMost: 50) && (1...50).contains(networks?.count ?? 0))
      #expect(
        addresses.allSatisfy { address in
          networks?.contains { address & prefixMask($0.length) == $0.first } == true
        })
    }
  }

  @Test(arguments: [
    ([], "[]"), (["10.0.0.1"], "[10.0.0.0/24]"), (["10.0.0.1", "10.0.1.7"], "[10.0.0.0/23]"),
    (["10.0.1.1", "10.0.2.7"], "[10.0.1.0/24, 10.0.2.0/24]"),
    (["::ffff:192.0.2.1", "2001:db8::1", "2001:db8:0:1::2"], "[192.0.2.0/24, 2001:db8::/63]"),
    (
      ["255.255.255.255", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
      "[255.255.255.0/24, ffff:ffff:ffff:ffff::/64]"
    ),
  ])
  func `aggregates addresses`(row: (addresses: [String], cidrs: String)) throws {
    var networks = LearnedNetworks()
    var list = AddressList()
    for address in row.addresses { list.append(try #require(IPAddress(parsing: address))) }
    networks.insert(list)
    #expect("\(networks.cidrs ?? [])" == row.cidrs)
  }

  @Test func `addresses all over the world have no set`() {
    var networks = LearnedNetworks()
    var list = AddressList()
    for first in 1...100 { list.append(v4: UInt32(first * 2) << 24) }
    networks.insert(list)
    #expect(networks.cidrs == nil)
  }

  @Test func `says what isn't learned, and stays within AWS's limits`() throws {
    let ports = (1...101).map { #"{"port":\#($0)}"# }.joined(separator: ",")
    let custom = (0..<90).map { metric in
      #""list\#(metric)":[{"string_list":[\#((0..<40).map { "\"\(metric)-\($0)\"" }.joined(separator: ","))]}]"#
    }
    let numbers = (0..<60).map { #""n\#($0)":[{"number":5}]"# }
    let long = String(repeating: "x", count: 1_025)
    let other = [#""a b":[{"number":1}]"#, #""long":[{"string_list":["\#(long)"]}]"#]
    let report =
      #"{"header":{"report_id":1800000000,"version":"1.0"},"metrics":{"listening_udp_ports":{"ports":[\#(ports)],"total":102}},"#
      + #""custom_metrics":{\#((other + custom + numbers).joined(separator: ","))}}"# + "\n"
    let profile = try learned(report)
    #expect(profile.profile.behaviors.count <= 100)
    let elements = profile.profile.behaviors.reduce(0) { sum, behavior in
      if case .value(.strings(let list)) = behavior.criteria.threshold { sum + list.count } else { sum + 1 }
    }
    #expect(elements <= 1_000 && elements > 900)
    #expect(events([profile.profile], report) == [])
    for part in [
      "No report has network_stats", "No behavior 'listening-udp-ports' was learned",
      "No behavior 'custom:long' was learned",
      "The behavior 'custom:list", "Reports with incomplete lists: 1.",
      "Values of custom metrics that were not learned: ", "Record at least a day",
    ] {
      #expect(profile.notes.contains { $0.contains(part) }, "\(part): \(profile.notes)")
    }
  }

  @Test func `says that a bound is beyond the range of a double`() throws {
    let profile = try learned(
      customReport(1_800_000_000, #"{"load":[{"number":1.7e308}]}"#)
        + customReport(1_800_000_300, #"{"load":[{"number":-1.7e308}]}"#))
    for name in ["custom:load:most", "custom:load:least"] {
      #expect(
        profile.notes.contains(
          "No behavior '\(name)' was learned: the bound is beyond the range of a double."),
        "\(profile.notes)")
    }
  }

  @Test func `a custom metric named like the behavior of another one keeps its own`() throws {
    let name = String(repeating: "m", count: 128)
    let profile = try learned(
      customReport(
        1,
        #"{"a":[{"number":2}],"a:most":[{"number_list":[1]}],"\#(name)":[{"number_list":[1]}],"\#(name.dropLast())":[{"number_list":[1]}]}"#
      ))
    #expect(Set(profile.profile.behaviors.map(\.name)).count == 5)
    #expect(ProfileValidation(of: json(profile), name: "x").profile == profile.profile)
    #expect(values(profile)["custom:a:least"]?.contains(#""number":1"#) == true)
  }

  @Test func `a short recording has no bounds of traffic`() throws {
    let profile = try learned(bytesOutReport(1_800_000_000, 5) + bytesOutReport(1_800_000_300, 5))
    #expect(
      values(profile).isEmpty
        && profile.notes.contains { $0.contains("No traffic bounds for windows of 600 s") })
  }
}
