import FleetDetection
import Glibc
import Platform
import TestSupport
import Testing
import WireFormats

struct `A pattern of things` {
  @Test(arguments: [
    ("*", "pump-1", true), ("pump-*", "pump-1", true), ("pump-*", "pump-", true), ("pump-*", "valve", false),
    ("pump-?", "pump-1", true), ("pump-?", "pump-12", false), ("*-1", "pump-1", true),
    ("*a*b", "xaybzb", true),
    ("*a*b", "xayc", false), ("pump", "pump-1", false), ("a*", "", false), ("**", "x", true),
    (String(repeating: "*a", count: 60), String(repeating: "a", count: 59) + "b", false),
  ])
  func `matches whole names`(pattern: String, name: String, expected: Bool) throws {
    #expect(try #require(ThingPattern(pattern)).matches(name) == expected)
  }

  @Test(arguments: ["", "a/b", "[a]", "ä", String(repeating: "a", count: 129)])
  func `rejects what is in no name`(text: String) { #expect(ThingPattern(text) == nil) }
}

struct `A profile's document` {
  @Test func `applies to all things if it is a profile alone`() throws {
    let text = #"{"securityProfileName":"x","behaviors":[]}"#
    let profile = try FleetProfile(parsing: Array(text.utf8), name: "file")
    #expect(profile.name == "x" && profile.applies(to: "anything") && profile.targets == [])
  }

  @Test(arguments: [
    (#"{"things":[],"profile":{"behaviors":[]}}"#, "one or more patterns"),
    (#"{"things":["a/b"],"profile":{"behaviors":[]}}"#, "'a/b'"),
    (#"{"thing":["a"],"profile":{"behaviors":[]}}"#, "'thing' is an unknown key"),
    (#"{"profile":{"behaviors":[{"name":"a"}]}}"#, "'metric' is missing"), ("{", "not JSON"),
  ])
  func `is rejected with a reason`(text: String, reason: String) {
    let error = #expect(throws: FleetProfileError.self) {
      try FleetProfile(parsing: Array(text.utf8), name: "file")
    }
    #expect(error?.description.includes(reason) == true, "\(error?.description ?? "")")
  }
}

struct `The files of profiles` {
  @Test func `may be in directories, of which only missing ones are ignored`() throws {
    let directory = try TemporaryDirectory()
    _ = try directory.write("profiles/a.json", FleetFixture.ports)
    _ = try directory.write("profiles/.b.json", "x")
    let link = "\(directory.path)/link"
    #expect(unsafe symlink(link, link) == 0)
    let found = ProfileFolder.documents(at: [
      "\(directory.path)/none", "\(directory.path)/profiles", link, "\(directory.path)/none.json",
    ])
    #expect(found.count == 3)
    #expect(try found[0].get().name == "a")
    #expect(try found[0].get().source == "\(directory.path)/profiles/a.json")
    let failures = found.dropFirst().compactMap { if case .failure(let error) = $0 { error } else { nil } }
    #expect(failures.map(\.source) == [link, "\(directory.path)/none.json"])
  }

  @Test func `keep the alarms of a directory that can't be read`() throws {
    let fleet = FleetFixture()
    try fleet.process([report(1, [8080])])
    fleet.files = [.failure(ProfileSourceError(source: "/opt/profiles", reason: "It can't be read."))]
    try fleet.sweep()
    #expect(fleet.delivery.types == ["in-alarm"])
    #expect(fleet.log.lines.contains { $0.includes("ERROR") && $0.includes("/opt/profiles") })
  }

  @Test func `of the same name are warned of, and the last one is used`() throws {
    let fleet = FleetFixture()
    let other = FleetFixture.ports.replacing("[22,443]", with: "[8080]")
    fleet.files = [(FleetFixture.ports, "/a.json"), (other, "/b.json")].map { text, source in
      .success(ProfileDocument(name: "p", text: Array(text.utf8), source: source))
    }
    try fleet.process([report(1, [8080])])
    #expect(fleet.delivery.types == [])
    #expect(
      fleet.log.lines.contains {
        $0.includes("WARN") && $0.includes("'ports'") && $0.includes("/b.json is used, and /a.json isn't")
      })
  }
}

struct `The configuration of a fleet` {
  @Test(arguments: [(86_400, true), (86_401, false)])
  func `limits the time of silence by the retention`(seconds: Int, isValid: Bool) throws {
    let configuration = try? FleetConfiguration(
      Environment([
        "DETECT_TABLE": "fleet", "DETECT_RETENTION_DAYS": "3", "DETECT_SILENT_AFTER_SECONDS": String(seconds),
      ]))
    #expect((configuration != nil) == isValid)
  }

  @Test func `lists all mistakes`() {
    let error = #expect(throws: FleetConfigurationError.self) {
      try FleetConfiguration(
        Environment([
          "DETECT_TABLE": "a b", "DETECT_PROFILES": "profiles", "DETECT_ALARMS_TOPIC": "$aws/x",
          "DETECT_RETENTION_DAYS": "1", "DETECT_SILENT_AFTER_SECONDS": "-1", "DETECT_TABEL": "x",
        ]))
    }
    #expect(error?.mistakes.count == 6)
  }

  @Test func `has defaults`() throws {
    let configuration = try FleetConfiguration(
      Environment(["DETECT_TABLE": "fleet", "LAMBDA_TASK_ROOT": "/var/task", "DETECT_PROFILES": "/a.json"]))
    #expect(configuration.profilePaths == ["/var/task/profiles", "/opt/profiles", "/a.json"])
    #expect(configuration.retention == .seconds(30 * 86_400) && configuration.alarmsTopic == nil)
  }
}

struct `The place of a fleet's state` {
  @Test(
    arguments: [
      (["DETECT_STATE_FILE": "/var/lib/x"], nil),
      (["DETECT_STATE_FILE": "x"], "DETECT_STATE_FILE is 'x'; it must be an absolute path."),
      (["DETECT_STATE_FILE": "/x", "DETECT_TABLE": "fleet"], "are both set"),
      ([:], "DETECT_TABLE isn't set"),
    ] as [([String: String], String?)])
  func `is a table or a file`(variables: [String: String], mistake: String?) throws {
    guard let mistake else {
      #expect(try FleetConfiguration(Environment(variables)).stateFile == "/var/lib/x")
      return
    }
    let error = #expect(throws: FleetConfigurationError.self) {
      try FleetConfiguration(Environment(variables))
    }
    #expect(error?.description.includes(mistake) == true && error?.mistakes.count == 1)
  }
}

struct `Metrics of a fleet` {
  @Test func `are lines in CloudWatch's embedded format`() throws {
    let fleet = FleetFixture()
    let counts = try fleet.process([report(1, [8080]), report(2, [22]), "{"]).counts
    let lines = FleetMetrics(function: "f", at: WallTime(secondsSinceEpoch: 1_700_000_000)).lines(
      counts, latency: .milliseconds(7))
    let first = try JSONValue(parsing: lines[0])
    #expect(first["_aws"]?["Timestamp"]?.integer() == 1_700_000_000_000)
    let directive = first["_aws"]?["CloudWatchMetrics"]?.array?.first
    #expect(directive?["Namespace"]?.string == "DeviceDefender/Detect")
    for metric in directive?["Metrics"]?.array ?? [] {
      #expect(first[metric["Name"]?.string ?? ""] != nil)
    }
    #expect(first["ReportsEvaluated"]?.integer() == 2 && first["ReportsMalformed"]?.integer() == 1)
    #expect(first["BatchLatency"]?.integer() == 7)
    let rest = try lines.dropFirst().map { try JSONValue(parsing: $0) }
    #expect(rest.map { $0["Behavior"]?.string } == ["open", "open"])
    #expect(rest.contains { $0["Violations"]?.integer() == 1 })
  }
}
