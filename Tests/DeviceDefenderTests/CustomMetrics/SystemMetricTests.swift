import Glibc
import Platform
import TestSupport
import Testing
import WireFormats

@testable import DeviceDefender

@Suite struct `A kind of system metric` {
  @Test(arguments: SystemMetric.kinds.map(\.name))
  func `has a unique name, which selects it`(name: String) throws {
    #expect(SystemMetric.names.count { $0 == name } == 1)
    #expect(try SystemMetric(parsing: name).name.text == name)
  }
}

@Suite struct `A system metric` {
  private func tree(_ files: [String: String]) throws -> TemporaryDirectory {
    let tree = try TemporaryDirectory()
    for (name, text) in files { try tree.write(name, text) }
    return tree
  }

  @Test(
    arguments: [
      ("memory_usage", "meminfo", "MemTotal: 1000 kB\nMemFree: 1 kB\nMemAvailable:  250 kB\n", 75),
      ("memory_usage", "meminfo", "MemTotal: 1000 kB\nMemFree: 100 kB\nBuffers: 50 kB\nCached: 50 kB\n", 80),
      ("memory_usage", "meminfo", "MemTotal: 1000 kB\nMemAvailable: 2000 kB\n", 0),
      ("load_1m", "loadavg", "0.52 0.58 0.59 1/467 12345\n", 0.52),
      ("load_5m", "loadavg", "0.52 0.58 0.59 1/467 12345\n", 0.58),
      ("load_15m", "loadavg", "0.52 0.58 0.59", 0.59),
      ("open_files", "sys/fs/file-nr", "1984\t0\t9223372036854775807\n", 1_984),
      ("uptime", "uptime", "350735.47 234388.90\n", 350_735.47), ("process_count", "1/stat", "", 1),
    ])
  func `reads a value`(name: String, file: String, text: String, value: Double) throws {
    let tree = try tree([file: text])
    #expect(try SystemMetric(parsing: name).value(in: SystemFiles(procfs: ProcRoot(tree.path))) == value)
  }

  @Test(
    arguments: [
      ("memory_usage", "meminfo", ""), ("memory_usage", "meminfo", "MemTotal: 0 kB\nMemAvailable: 0 kB\n"),
      ("memory_usage", "meminfo", "MemTotal: -1 kB\nMemAvailable: 1 kB\n"),
      ("memory_usage", "meminfo", "MemTotal: 9 kB\n"),
      ("load_1m", "loadavg", ""), ("load_1m", "loadavg", "x 1 2"), ("load_15m", "loadavg", "1 2"),
      ("load_1m", "loadavg", "-1 2 3"), ("load_1m", "loadavg", "nan 2 3"), ("uptime", "uptime", "inf 1"),
      ("open_files", "elsewhere", ""), ("uptime", "elsewhere", ""),
    ])
  func `has no value if its file is damaged or missing`(name: String, file: String, text: String) throws {
    let tree = try tree([file: text])
    let files = SystemFiles(procfs: ProcRoot(tree.path))
    #expect(throws: CustomMetricError.self) { try SystemMetric(parsing: name).value(in: files) }
  }

  @Test func `reports the hottest readable sensor`() throws {
    let tree = try tree([
      "thermal_zone0/temp": "41250\n", "thermal_zone1/temp": "garbage", "thermal_zone7/temp": "-5000\n",
    ])
    let metric = try SystemMetric(parsing: "temperature")
    #expect(try metric.value(in: SystemFiles(procfs: ProcRoot(), thermalZones: tree.path)) == 41.3)
    #expect(throws: CustomMetricError.noSensor(metric.name)) {
      try metric.value(
        in: SystemFiles(procfs: ProcRoot(), thermalZones: tree.path + "/thermal_zone0"))
    }
  }

  // Values of drivers for a sensor that is off: THERMAL_TEMP_INVALID, the limits of an int, and below
  // absolute zero.
  @Test(arguments: ["-274000", "-273151", "2147483647", "-2147483648", "1000000", "9223372036854775807"])
  func `ignores a zone without a plausible temperature, and warns once`(value: String) throws {
    let tree = try tree(["thermal_zone0/temp": "\(value)\n", "thermal_zone1/temp": "41250\n"])
    let metric = try SystemMetric(parsing: "temperature")
    var warnings: [String] = []
    var files = SystemFiles(procfs: ProcRoot(), thermalZones: tree.path)
    files.warnOnce = { warnings.append("\($0): \($1)") }
    #expect(try metric.value(in: files) == 41.3)
    #expect(warnings.count == 1 && warnings.first?.contains("thermal_zone0/temp is \(value)") == true)
    try tree.write("thermal_zone1/temp", value)
    #expect(throws: CustomMetricError.noSensor(metric.name)) { try metric.value(in: files) }
  }

  @Test(arguments: [("-273150", -273.2), ("999999", 1_000), ("0", 0), ("-40000", -40)])
  func `accepts an extreme temperature`(text: String, value: Double) throws {
    let tree = try tree(["thermal_zone0/temp": "\(text)\n"])
    let files = SystemFiles(procfs: ProcRoot(), thermalZones: tree.path)
    #expect(try SystemMetric(parsing: "temperature").value(in: files) == value)
  }

  @Test(
    arguments: [
      ("load_1m", "loadavg", "0.00 0.00 0.00 0/0 0\n"), ("uptime", "uptime", "0.00 0.00\n"),
      ("open_files", "sys/fs/file-nr", "0\t0\t0\n"), ("process_count", "27/stat", ""),
    ])
  func `has no value if the kernel doesn't measure it`(name: String, file: String, text: String) throws {
    let tree = try tree([file: text])
    let error = try #require(throws: CustomMetricError.self) {
      try SystemMetric(parsing: name).value(in: SystemFiles(procfs: ProcRoot(tree.path)))
    }
    guard case .unreadable(_, .notMeasured) = error else {
      Issue.record("\(error)")
      return
    }
  }

  // The same as df(1) prints. 2^64 - 10 is how a file system reports that root uses ten of the reserved
  // blocks.
  @Test(
    arguments: [
      (100, 50, 50, 50), (100, 50, 40, 55.6), (100, 100, 90, 0), (100, 0, 0, 100), (1, 0, 5, 16.7),
      (100, 0, .max - 9, 100),
    ] as [(UInt64, UInt64, UInt64, Double)])
  func `computes the usage of a file system`(blocks: UInt64, free: UInt64, available: UInt64, percent: Double)
    throws
  {
    let value = try diskUsagePercent(blocks: blocks, free: free, available: available, directory: "/x")
    #expect(value == percent)
  }

  @Test(
    arguments: [(0, 0, 0), (0, 0, 7), (10, 11, 5), (10, 10, 0), (10, 10, .max)]
      as [(UInt64, UInt64, UInt64)])
  func `reports no usage of a file system without blocks`(blocks: UInt64, free: UInt64, available: UInt64)
    throws
  {
    let error = try #require(throws: CollectionError.self) {
      try diskUsagePercent(blocks: blocks, free: free, available: available, directory: "/x")
    }
    #expect(error.description.hasPrefix("/x: "))
  }

  @Test(arguments: ["disk_usage:/proc", "open_files", "temperature", "cpu_usage"])
  func `warns once about a metric that this machine doesn't measure, and omits it`(choice: String) throws {
    let tree = try tree(["sys/fs/file-nr": "0 0 0\n", "stat": "cpu  0 0 0 0 0 0 0 0 0 0\n"])
    let log = RecordedLog()
    var collector = Collector(
      procfs: ProcRoot(tree.path), kernel: KernelTables(log: log.log()), log: log.log(),
      systemMetrics: try SystemMetric.list(parsing: choice), interfaceNames: InterfaceNames(),
      thermalZones: tree.path)
    var baseline = Baseline()
    for _ in 0..<3 {
      let snapshot = collector.snapshot()
      #expect(Report(id: 1, snapshot: snapshot, baseline: baseline).customMetrics.isEmpty)
      baseline.advance(to: snapshot)
    }
    let name = String(choice.prefix { $0 != ":" })
    let word = name == "cpu_usage" ? "\(tree.path)/stat" : name
    #expect(log.lines.count { $0.contains(word) } == 1, "\(log.lines)")
  }

  @Test(arguments: ["memory_usage", "load_1m", "open_files", "disk_usage", "uptime", "process_count"])
  func `reads this machine`(name: String) throws {
    let value = try #require(try SystemMetric(parsing: name).value(in: SystemFiles(procfs: ProcRoot())))
    #expect(value >= 0)
    if name == "memory_usage" || name == "disk_usage" { #expect((0...100).contains(value)) }
    if name == "process_count" || name == "open_files" || name == "uptime" { #expect(value >= 1) }
  }

  @Test func `names a directory that doesn't exist`() throws {
    let metric = try SystemMetric(parsing: "disk_usage:/no/such/directory")
    let error = try #require(throws: CustomMetricError.self) {
      try metric.value(in: SystemFiles(procfs: ProcRoot()))
    }
    #expect(
      error.description
        == "disk_usage_no_such_directory: /no/such/directory: No such file or directory (errno 2)")
  }
}

@Suite struct `The processor metric` {
  @Test func `omits the first sample, then reports the difference`() throws {
    let choices = try SystemMetric.list(parsing: "cpu_usage")
    var baseline: Baseline?
    var reports: [JSONValue] = []
    for moment in ["t0", "t1"] {
      var collector = Collector(
        procfs: ProcRoot(fixturePath("proc/basic/\(moment)")), log: RecordedLog().log(),
        systemMetrics: choices)
      let snapshot = collector.snapshot()
      let report = Report(id: 1, snapshot: snapshot, baseline: baseline)
      reports.append(try JSONValue(parsing: report.encoded(as: .json, names: .long)))
      baseline = Baseline(snapshot)
    }
    #expect(reports[0]["custom_metrics"] == nil)
    #expect(reports[1]["custom_metrics"]?["cpu_usage"]?.array?.first?["number"]?.double == 73.6)
  }
}
