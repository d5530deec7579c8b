import AgentTestSupport
import Glibc
import Detection
import Platform
import TestSupport
import Testing
import WireFormats

@testable import DefenderAgent

/// The evaluation of security profiles by the report loop.
@Suite struct `Detection by the report loop` {
  private static let ports = #"""
    {"securityProfileName":"p","behaviors":[{"name":"ports","metric":"aws:listening-tcp-ports",
      "criteria":{"comparisonOperator":"in-port-set","value":{"ports":[22]}}}]}
    """#

  private func listen(on ports: [Int], in tree: TemporaryDirectory) throws {
    let lines = ports.enumerated().map { index, port in
      let number = String(port, radix: 16, uppercase: true)
      let padded = String(repeating: "0", count: 4 - number.count) + number
      return
        "   \(index): 00000000:\(padded) 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 \(index + 1) 1\n"
    }
    let header = "  sl  local_address rem_address   st tx_queue rx_queue\n"
    try tree.write("net/tcp", header + lines.joined())
  }

  private func events(_ publisher: ScriptedPublisher) -> [JSONValue] {
    zip(publisher.topics, publisher.payloads).filter { $0.0 == "defender/thing/violations" }.map(\.1)
  }

  private func types(_ publisher: ScriptedPublisher) -> [String] {
    events(publisher).compactMap { $0["violationEventType"]?.string }
  }

  @Test func `publishes a violation after its report, logs it, and sees ports outside of the sample`() throws
  {
    var stage = try LoopStage(["DEFENDER_SECURITY_PROFILES": Self.ports, "DEFENDER_MAX_LIST_SIZE": "0"])
    try listen(on: [22, 8080], in: stage.procfs)
    let outcome = try stage.run()
    #expect(outcome.violations == 1 && outcome.published == 1)
    #expect(stage.publisher.topics == ["defender/thing/json", "defender/thing/violations"])
    let event = try #require(events(stage.publisher).first)
    #expect(event["thingName"]?.string == "thing" && event["violationEventTime"] == .number("1700000000"))
    #expect(event["metricValue"]?["ports"] == .array([.number("8080")]))
    #expect(
      stage.lines.text.contains("[WARN]") && stage.lines.text.contains("aws:listening-tcp-ports: 8080."))
    try listen(on: [22], in: stage.procfs)
    try stage.run()
    #expect(types(stage.publisher) == ["in-alarm", "alarm-cleared"])
    #expect(Set(events(stage.publisher).map { $0["violationId"]?.string }).count == 1)
  }

  @Test func `an alarm survives a restart`() throws {
    let tree = try TemporaryDirectory()
    var variables = try variables(ofStateIn: tree)
    variables["DEFENDER_SECURITY_PROFILES"] = Self.ports
    /// Raises the alarm in a separate process, which then ends.
    func first() throws -> String? {
      var stage = try LoopStage(variables, over: tree)
      try listen(on: [23], in: tree)
      try stage.run()
      return events(stage.publisher).first?["violationId"]?.string
    }
    let id = try first()
    var second = try LoopStage(variables, over: tree)
    try listen(on: [23], in: tree)
    try second.run()
    #expect(types(second.publisher) == [])
    try listen(on: [], in: tree)
    try second.run()
    #expect(types(second.publisher) == ["alarm-cleared"])
    #expect(id != nil && events(second.publisher).first?["violationId"]?.string == id)
  }

  @Test func `saved alarms don't replace those of this process, even if its counters can't be read`() throws {
    let tree = try TemporaryDirectory()
    let profiles = ["DEFENDER_SECURITY_PROFILES": Self.ports]
    let variables = try variables(ofStateIn: tree).merging(profiles) { $1 }
    /// Saves a state without an alarm.
    func first() throws {
      var stage = try LoopStage(variables, over: tree)
      try stage.run()
    }
    try first()
    var stage = try LoopStage(profiles, over: tree)
    let configuration = try LoopStage.configuration(variables, over: tree)
    try listen(on: [23], in: tree)
    // Without a heading, the file counts as unreadable.
    try tree.write("net/dev", "")
    try stage.run()
    #expect(types(stage.publisher) == ["in-alarm"] && stage.lines.text.contains("the file is empty"))
    stage.loop.resume(with: configuration, publisher: stage.publisher, time: stage.time)
    try stage.run()
    try listen(on: [], in: tree)
    try stage.run()
    #expect(types(stage.publisher) == ["in-alarm", "alarm-cleared"])
  }

  @Test func `keeps an event that can't be published, also over a restart`() throws {
    let tree = try TemporaryDirectory()
    var variables = try variables(ofStateIn: tree)
    variables["DEFENDER_SECURITY_PROFILES"] = Self.ports
    func first() throws -> String? {
      var stage = try LoopStage(variables, over: tree)
      try listen(on: [23], in: tree)
      // The report is acknowledged, the event isn't.
      stage.publisher.acknowledgements = [true, false]
      try stage.run()
      #expect(stage.lines.text.contains("it stays in the queue"))
      return events(stage.publisher).first?["violationId"]?.string
    }
    let id = try first()
    var stage = try LoopStage(variables, over: tree)
    try listen(on: [23], in: tree)
    // Nothing is attempted while reports don't get through either.
    stage.publisher.acknowledgements = [false]
    try stage.fail()
    #expect(events(stage.publisher) == [])
    try stage.run()
    #expect(types(stage.publisher) == ["in-alarm"])
    #expect(id != nil && events(stage.publisher).first?["violationId"]?.string == id)
    try stage.run()
    #expect(types(stage.publisher) == ["in-alarm"])
  }

  @Test func `a learned baseline survives a restart, and its alarm has the confidence level`() throws {
    let tree = try TemporaryDirectory()
    var variables = try variables(ofStateIn: tree)
    let text = #"""
      {"securityProfileName":"p","behaviors":[{"name":"learned","metric":"aws:num-listening-tcp-ports",
        "criteria":{"mlDetectionConfig":{"confidenceLevel":"HIGH"}}}]}
      """#
    variables["DEFENDER_SECURITY_PROFILES"] = text
    // Two weeks with one port, which end before the time of the loop.
    let profile = try #require(ProfileValidation(of: Array(text.utf8), name: "p").profile)
    var evaluator = Evaluator([profile], windowsEnd: .clock)
    for hour in UInt64(0)..<400 {
      let time = 1_698_000_000 + hour * 3_600
      var observation = Observation(
        thing: "thing", reportID: time, time: time * 1_000, table: evaluator.table)
      observation.set(.listeningTCPPortCount, .count(1))
      #expect(evaluator.evaluate(observation).isEmpty)
    }
    let state = String(decoding: evaluator.state.json, as: UTF8.self)
    try tree.write(
      "state/detection.json", #"{"version":1,"evaluator":\#(state),"events":[],"dropped":0}"#)
    func first() throws {
      var stage = try LoopStage(variables, over: tree)
      try listen(on: [22, 443], in: tree)
      try stage.run()
      #expect(types(stage.publisher) == [])
      #expect(stage.lines.text.contains("Learned baselines: 1. Each raises no alarm until"))
    }
    try first()
    var second = try LoopStage(variables, over: tree)
    try listen(on: Array(8_000..<8_030), in: tree)
    try second.run()
    let event = try #require(events(second.publisher).first)
    #expect(event["violationEventType"]?.string == "in-alarm")
    #expect(event["violationEventAdditionalInfo"]?["confidenceLevel"]?.string == "HIGH")
    #expect(event["metricValue"]?["count"] == .number("30"))
  }

  @Test func `a queue keeps the newest 100 events and counts the others`() throws {
    var queue = EventQueue()
    for number in 0..<103 { queue.append(Array("{\"n\":\(number)}".utf8)) }
    #expect(queue.events.count == 100 && queue.dropped == 3)
    #expect(queue.events.first == Array("{\"n\":3}".utf8))
    var document = JSONWriter()
    document.beginMap(count: 2)
    queue.write(to: &document)
    document.endMap()
    let saved = try EventQueue(try JSONValue(parsing: document.bytes))
    #expect(saved == queue)
    queue = EventQueue()
    queue.append(Array("{}".utf8))
    queue.prepend(saved)
    #expect(queue.events.count == 100 && queue.dropped == 4 && queue.events.last == Array("{}".utf8))
    #expect(queue.takeDropped() == 4 && queue.dropped == 0)
    #expect(throws: DetectionStateError.member("events")) { try EventQueue(.object([])) }
  }

  /// What a saved state has, the member that the warning names, and what it says is lost.
  @Test(arguments: [
    (
      #"{"version":2,"events":[],"dropped":0}"#, "it has version 2, but this program supports version 1",
      "The agent starts without alarms, and the unpublished events are lost."
    ),
    (#"{"events":[],"dropped":0}"#, "the member 'version' is", "starts without alarms, and the"),
    ("{", "can't be used: ", "starts without alarms, and the"),
    (
      #"{"version":1,"evaluator":{"version":1,"things":[]},"events":[1],"dropped":0}"#,
      "the member 'events[0]' is missing or malformed. The events", "are lost."
    ),
    (
      #"{"version":1,"evaluator":{"version":1,"things":[]},"events":[]}"#,
      "The saved events in detection.json can't be used: the member 'dropped' is", "are lost."
    ),
    (
      #"{"version":1,"events":[],"dropped":0}"#, "the member 'evaluator' is missing or malformed",
      "The agent starts without alarms."
    ),
    (
      #"{"version":1,"evaluator":{"version":1,"things":[{"thing":"a","behaviors":[]},{"thing":"b","behaviors":[{}]}]},"events":[],"dropped":0}"#,
      "the member 'evaluator.things[1].behaviors[0].profile' is", "The agent starts without alarms."
    ),
  ])
  func `a malformed state names the member and what is lost`(
    row: (state: String, reason: String, loss: String)
  ) throws {
    let tree = try TemporaryDirectory()
    var variables = try variables(ofStateIn: tree)
    variables["DEFENDER_SECURITY_PROFILES"] = Self.ports
    func first() throws {
      var stage = try LoopStage(variables, over: tree)
      try stage.run()
    }
    try first()
    try tree.write("state/detection.json", row.state)
    var stage = try LoopStage(variables, over: tree)
    try listen(on: [23], in: tree)
    try stage.run()
    let warnings = stage.lines.text.split(separator: "\n").filter { $0.contains("in detection.json") }
    #expect(warnings.count == 1 && warnings[0].contains(row.reason) && warnings[0].contains(row.loss))
    #expect(types(stage.publisher) == ["in-alarm"])
  }

  @Test func `a malformed half of the state doesn't cost the other half`() throws {
    let tree = try TemporaryDirectory()
    var variables = try variables(ofStateIn: tree)
    variables["DEFENDER_SECURITY_PROFILES"] = Self.ports
    func first() throws {
      var stage = try LoopStage(variables, over: tree)
      try listen(on: [23], in: tree)
      stage.publisher.acknowledgements = [true, false]
      try stage.run()
    }
    try first()
    let saved = String(
      decoding: try readFile("\(tree.path)/state/detection.json", limit: 65_536), as: UTF8.self)
    func types(after damage: (String, String)) throws -> [String] {
      try tree.write("state/detection.json", saved.replacing(damage.0, with: damage.1))
      var stage = try LoopStage(variables, over: tree)
      try listen(on: [23], in: tree)
      try stage.run()
      return self.types(stage.publisher)
    }
    // The event is lost, and the alarm isn't raised again.
    let withoutEvents = try types(after: (#""dropped":0"#, #""dropped":-1"#))
    #expect(withoutEvents == [])
    // The event is sent, and the forgotten alarm is raised again.
    let withoutAlarms = try types(after: (#""fingerprint":"#, #""print":"#))
    #expect(withoutAlarms == ["in-alarm", "in-alarm"])
  }

  @Test func `a damaged file of profiles leaves the former ones in use, and a corrected one is used`() throws
  {
    let tree = try TemporaryDirectory()
    let path = try tree.write("profile.json", Self.ports)
    var stage = try LoopStage(["DEFENDER_SECURITY_PROFILES": path], over: tree)
    try listen(on: [23], in: tree)
    try tree.write("profile.json", "{\"behaviors\":[{}]}")
    try stage.run()
    #expect(types(stage.publisher) == ["in-alarm"])
    #expect(
      stage.lines.text.contains(
        "The security profiles can't be used: \(path): line 1: behaviors[0]: 'name' is missing."))
    #expect(stage.lines.text.contains("The previous ones stay in use."))
    let text = stage.lines.text
    try stage.run()
    // The same mistake isn't logged again.
    #expect(stage.lines.text.components(of: "can't be used") == text.components(of: "can't be used"))
    try tree.write("profile.json", Self.ports.replacing("22", with: "23"))
    try stage.run()
    #expect(types(stage.publisher) == ["in-alarm", "alarm-invalidated"])
  }

  @Test func `the first report after a change of the profiles has the complete lists that they need`() throws
  {
    let tree = try TemporaryDirectory()
    let path = try tree.write(
      "profile.json",
      Self.ports.replacing("aws:listening-tcp-ports", with: "aws:num-listening-tcp-ports")
        .replacing("in-port-set", with: "less-than").replacing("\"ports\":[22]", with: "\"count\":9"))
    var stage = try LoopStage(
      ["DEFENDER_SECURITY_PROFILES": path, "DEFENDER_MAX_LIST_SIZE": "0"], over: tree)
    try listen(on: [22, 8080], in: tree)
    try stage.run()
    #expect(types(stage.publisher) == [])
    try tree.write("profile.json", Self.ports)
    try stage.run()
    #expect(types(stage.publisher) == ["in-alarm"])
    #expect(events(stage.publisher).first?["metricValue"]?["ports"] == .array([.number("8080")]))
  }

  @Test func `a file with another content is read again, even if its size and modification time stay`() throws
  {
    let tree = try TemporaryDirectory()
    let path = try tree.write("profile.json", Self.ports)
    func setModificationTime() throws {
      let times = [timespec(tv_sec: 1_000, tv_nsec: 0), timespec(tv_sec: 1_000, tv_nsec: 0)]
      guard unsafe utimensat(AT_FDCWD, path, times, 0) == 0 else { throw Errno.current }
    }
    try setModificationTime()
    var stage = try LoopStage(["DEFENDER_SECURITY_PROFILES": path], over: tree)
    try listen(on: [23], in: tree)
    try stage.run()
    #expect(types(stage.publisher) == ["in-alarm"])
    try tree.write("profile.json", Self.ports.replacing("22", with: "23"))
    try setModificationTime()
    try stage.run()
    #expect(types(stage.publisher) == ["in-alarm", "alarm-invalidated"])
  }

  @Test func `profiles that can't be read are read again for each report, and each reason is logged once`()
    throws
  {
    // The kernel changes the contents of this file without a change of its times: the name of the process.
    let path = "/proc/self/comm"
    let name = try readFile(path, limit: 64)
    func setName(_ text: [UInt8]) throws {
      let descriptor = unsafe open(path, O_WRONLY | O_CLOEXEC)
      guard descriptor >= 0 else { throw Errno.current }
      try FileDescriptor(owning: descriptor).writeAll(text)
    }
    defer { try? setName(name.filter { $0 != UInt8(ascii: "\n") }) }
    try setName(Array("{".utf8))
    var stage = try LoopStage(["DEFENDER_SECURITY_PROFILES": path])
    try stage.run()
    #expect(stage.lines.text.components(of: "The security profiles can't be used") == 1)
    try setName(Array("[{}]".utf8))
    try stage.run()
    #expect(stage.lines.text.components(of: "The security profiles can't be used") == 2)
    try stage.run()
    #expect(stage.lines.text.components(of: "The security profiles can't be used") == 2)
  }

  @Test func `missing profiles don't stop the reports`() throws {
    var stage = try LoopStage(["DEFENDER_SECURITY_PROFILES": "/nonexistent/profile.json"])
    try stage.run()
    #expect(stage.publisher.topics == ["defender/thing/json"])
    #expect(stage.lines.text.contains("/nonexistent/profile.json: It can't be read"))
    #expect(stage.lines.text.contains("Nothing is evaluated until they are corrected."))
  }

  @Test func `the traffic of a lost report counts once`() throws {
    let profile = #"""
      [{"name":"in","metric":"aws:all-bytes-in","criteria":{"comparisonOperator":"less-than","value":{"count":1500},
        "durationSeconds":300}}]
      """#
    var stage = try LoopStage(["DEFENDER_SECURITY_PROFILES": profile])
    try stage.run()
    stage.publisher.acknowledgements = [false]
    try setBytesIn(2_000, in: stage.procfs)
    try stage.fail()
    // The next report has the traffic of both, and all are in one window.
    try setBytesIn(2_400, in: stage.procfs)
    try stage.run()
    #expect(stage.publisher.bytesIn == [nil, 1_000, 1_400])
    #expect(types(stage.publisher) == [])
    try setBytesIn(2_500, in: stage.procfs)
    try stage.run()
    #expect(types(stage.publisher) == ["in-alarm"])
    #expect(events(stage.publisher).first?["metricValue"]?["count"] == .number("1500"))
  }

  @Test func `runs the command with the event on its standard input`() throws {
    let tree = try TemporaryDirectory()
    let command = try tree.writeProgram(
      "command", "#!/bin/sh\ncat >>\"${0%/*}/events\"\necho problem >&2\nexit 7\n")
    var stage = try LoopStage(
      [
        "DEFENDER_SECURITY_PROFILES": Self.ports, "DEFENDER_VIOLATION_COMMAND": command,
        "PATH": "/usr/bin:/bin",
      ],
      over: tree)
    try listen(on: [23], in: tree)
    try stage.run()
    try stage.run()
    let lines = String(decoding: try readFile("\(tree.path)/events", limit: 65_536), as: UTF8.self).split(
      separator: "\n")
    #expect(lines.count == 1)
    #expect(try JSONValue(parsing: Array(lines[0].utf8)) == events(stage.publisher).first)
    #expect(stage.lines.text.contains("command: it ended with status 7. The event is still published."))
    #expect(stage.lines.text.contains("to its standard error: problem"))
  }

  @Test(arguments: [
    ("DEFENDER_SECURITY_PROFILES", "a.json", "has the path 'a.json'; it must be an absolute path"),
    ("DEFENDER_SECURITY_PROFILES", ",", "has the path ','"),
    (
      "DEFENDER_SECURITY_PROFILES", "[{}]",
      "has profiles with mistakes: line 1: behaviors[0]: 'name' is missing."
    ),
    ("DEFENDER_VIOLATIONS_TOPIC", "$aws/things/{thing}/defender/metrics/json", "a reserved topic"),
    ("DEFENDER_VIOLATIONS_TOPIC", "a/{format}", "the only placeholder is {thing}"),
    ("DEFENDER_VIOLATIONS_TOPIC", "a/#", "the wildcard '#'"),
    ("DEFENDER_VIOLATION_COMMAND", "run", "it must be an absolute path"),
    ("DEFENDER_VIOLATION_COMMAND", "/nonexistent/run", "which can't be run"),
  ])
  func `rejects a wrong variable`(row: (variable: String, value: String, problem: String)) throws {
    let error = try #require(throws: ConfigurationError.self) {
      _ = try LoopStage(["DEFENDER_SECURITY_PROFILES": "/p"].merging([row.variable: row.value]) { $1 })
    }
    #expect(error.mistakes.map(\.variable) == [row.variable])
    let problem = "\(error.mistakes[0].problem)"
    #expect(problem.contains(row.problem), "\(problem)")
  }

  @Test func `reads inline profiles of a component's configuration`() throws {
    let profile = Self.ports.replacing("[22]", with: "[22.0]")
    for value in [profile, "[\(profile)]", "[\(profile),\(profile.replacing("\"p\"", with: "\"q\""))]"] {
      let json = #"{"SecurityProfiles":\#(value),"ViolationsTopic":"v/{thing}"}"#
      let component = ComponentConfiguration(try JSONValue(parsing: Array(json.utf8)))
      #expect(component.mistakes == [] && component.unknownKeys == [])
      var environment = component.variables
      environment["AWS_REGION"] = "eu-central-1"
      environment["AWS_IOT_THING_NAME"] = "thing"
      let detection = try #require(try Configuration(Environment(environment)).detection)
      #expect(detection.topic.name == "v/thing")
      guard case .inline(let profiles, _) = detection.source else {
        Issue.record("not inline")
        continue
      }
      #expect(profiles.map(\.name) == (value.contains("\"q\"") ? ["p", "q"] : ["p"]))
      #expect(profiles.first?.behaviors.count == 1)
    }
    let paths = ComponentConfiguration(
      try JSONValue(parsing: Array(#"{"SecurityProfiles":["/a","/b"]}"#.utf8)))
    #expect(paths.variables["DEFENDER_SECURITY_PROFILES"] == "/a,/b")
  }

  @Test func `logs the warnings about inline profiles`() throws {
    let behavior = #"""
      {"name":"none","metric":"aws:all-bytes-in","criteria":{"comparisonOperator":"less-than","value":{"count":0},"durationSeconds":300}}
      """#
    let stage = try LoopStage(["DEFENDER_SECURITY_PROFILES": "[\(behavior)]"])
    #expect(
      stage.lines.text.contains(
        "DEFENDER_SECURITY_PROFILES: line 1: behaviors[0].criteria.value: No count is less than 0, so every datapoint is a violation."
      ))
  }

  @Test func `another configuration replaces the profiles and invalidates their alarms`() throws {
    var stage = try LoopStage(["DEFENDER_SECURITY_PROFILES": Self.ports])
    try listen(on: [23], in: stage.procfs)
    try stage.run()
    let other = Self.ports.replacing("\"ports\",", with: "\"others\",")
    var configuration = try LoopStage.configuration(["DEFENDER_SECURITY_PROFILES": other], over: stage.procfs)
    try listen(on: [23], in: stage.procfs)
    stage.loop.resume(with: configuration, publisher: stage.publisher, time: stage.time)
    try stage.run()
    #expect(types(stage.publisher) == ["in-alarm", "alarm-invalidated", "in-alarm"])
    configuration = try LoopStage.configuration([:], over: stage.procfs)
    stage.loop.resume(with: configuration, publisher: stage.publisher, time: stage.time)
    try stage.run()
    #expect(types(stage.publisher).count == 3)
  }
}
