import Detection
import DeviceDefender
import Platform

/// Returns a profile of `orders` behaviors with a bound, `ports` with a set of 100 ports, `networks` with a set of 100
/// networks, and `texts` with a set of 100 texts.
private func manyBehaviors(orders: Int, ports: Int, networks: Int, texts: Int) throws -> SecurityProfile {
  var behaviors: [String] = []
  for index in 0..<orders {
    behaviors.append(
      behavior(
        "order-\(index)", "aws:num-established-tcp-connections", "less-than", #""count":\#(1_000 + index)"#))
  }
  for index in 0..<ports {
    let set = (0..<100).map { String(60_000 + index * 100 + $0) }
    let metric = index % 2 == 0 ? "aws:listening-tcp-ports" : "aws:listening-udp-ports"
    behaviors.append(
      behavior("ports-\(index)", metric, "not-in-port-set", #""ports":[\#(set.joined(separator: ","))]"#))
  }
  for index in 0..<networks {
    behaviors.append(
      behavior(
        "networks-\(index)", "aws:destination-ip-addresses", "not-in-cidr-set",
        networkSet(100, first: index * 100)))
  }
  for index in 0..<texts {
    let set = (0..<100).map { "\"text-\(index)-\($0)\"" }
    behaviors.append(
      behavior("texts-\(index)", "texts", "not-in-set", #""strings":[\#(set.joined(separator: ","))]"#))
  }
  return try profile(behaviors)
}

private func behavior(_ name: String, _ metric: String, _ comparison: String, _ value: String) -> String {
  #"{"name":"\#(name)","metric":"\#(metric)","criteria":{"comparisonOperator":"\#(comparison)","value":{\#(value)}}}"#
}

private func profile(_ behaviors: [String]) throws -> SecurityProfile {
  let validation = ProfileValidation(
    of: Array("[\(behaviors.joined(separator: ","))]".utf8), name: "benchmark")
  guard let profile = validation.profile else { throw BenchmarkError.differs("\(validation.mistakes)") }
  return profile
}

/// Returns networks of 256 addresses in 10.0.0.0/8, which no benchmark connects to.
private func networkSet(_ count: Int, first: Int) -> String {
  let networks = (first..<first + count).map { "\"10.\($0 >> 8 & 0xFF).\($0 & 0xFF).0/24\"" }
  return #""cidrs":[\#(networks.joined(separator: ","))]"#
}

/// The CPU time of evaluating one report against 100 behaviors, next to that of encoding the report as JSON.
func benchmarkDetection(rounds: Int) throws {
  var snapshot = sampleSnapshot()
  let texts = CustomMetricValue.stringList((0..<50).map { "value-\($0)" })
  snapshot.customMetrics = [CustomMetric(name: try CustomMetricName(validating: "texts"), value: texts)]
  let report = Report(id: 1, snapshot: snapshot, baseline: nil)
  var evaluator = Evaluator(
    [try manyBehaviors(orders: 40, ports: 30, networks: 20, texts: 10)], windowsEnd: .clock)
  var id: UInt64 = 0
  var evaluation: [Double] = []
  var encoding: [Double] = []
  let repetitions = 200
  for _ in 0..<rounds {
    var start = cpuMicroseconds()
    for _ in 0..<repetitions {
      id += 1
      let observation = Observation(
        of: snapshot, traffic: report.networkStatistics, customMetrics: report.customMetrics, thing: "thing",
        reportID: id, time: id * 1_000, table: evaluator.table)
      guard evaluator.evaluate(observation).isEmpty else {
        throw BenchmarkError.differs("there is a violation")
      }
    }
    evaluation.append((cpuMicroseconds() - start) / Double(repetitions))
    start = cpuMicroseconds()
    for _ in 0..<repetitions { unsafe sink &+= report.encoded(as: .json, names: .long).count }
    encoding.append((cpuMicroseconds() - start) / Double(repetitions))
  }
  print(#"{"evaluation_us":\#(median(evaluation)),"encoding_us":\#(median(encoding))}"#)
}

/// Evaluates a report against 100 behaviors `count` times, for counting with valgrind: `snapshot-50` a snapshot with 50 entries in
/// each list, `recorded-5` a recorded report in JSON with 5.
func repeatDetection(_ what: String, count: Int) throws {
  let parts = what.split(separator: "-")
  guard parts.count == 2, let entries = Int(parts[1]), ["snapshot", "recorded"].contains(parts[0]) else {
    throw BenchmarkError.differs("no such thing to repeat: \(what)")
  }
  var snapshot = sampleSnapshot(entries: entries)
  let texts = CustomMetricValue.stringList((0..<entries).map { "value-\($0)" })
  snapshot.customMetrics = [CustomMetric(name: try CustomMetricName(validating: "texts"), value: texts)]
  let report = Report(id: 1, snapshot: snapshot, baseline: nil)
  let bytes = report.encoded(as: .json, names: .long) + [0x0A]
  var evaluator = Evaluator([try manyBehaviors(orders: 40, ports: 30, networks: 20, texts: 10)])
  var stream = ReportStream(evaluator.table)
  for id in 1...UInt64(count) {
    var observation: Observation
    if parts[0] == "snapshot" {
      observation = Observation(
        of: snapshot, traffic: report.networkStatistics, customMetrics: report.customMetrics, thing: "local",
        reportID: id, time: id * 1_000, table: evaluator.table)
    } else {
      stream.append(bytes)
      guard case .observation(let found) = stream.next() else {
        throw BenchmarkError.differs("the report can't be read")
      }
      observation = found
      observation.reportID = id
    }
    guard evaluator.evaluate(observation).isEmpty else {
      throw BenchmarkError.differs("there is a violation")
    }
  }
}

/// The CPU time of a collection whose destinations are evaluated against a set of 1,000 networks, next to that of the
/// collection alone.
func benchmarkCollectionWithDetection(rounds: Int) throws {
  let networks = behavior(
    "networks", "aws:destination-ip-addresses", "not-in-cidr-set", networkSet(1_000, first: 0))
  var evaluator = Evaluator([try profile([networks])], windowsEnd: .clock)
  var plain = try makeCollector()
  var complete = try makeCollector()
  complete.completeSets = CompleteSets.Selection(neededBy: evaluator)
  var alone: [Double] = []
  var evaluated: [Double] = []
  var addresses = 0
  for round in 0...rounds {
    var start = cpuMicroseconds()
    _ = plain.snapshot()
    // The first round only fills the caches.
    if round > 0 { alone.append(cpuMicroseconds() - start) }
    start = cpuMicroseconds()
    let snapshot = complete.snapshot()
    let id = UInt64(round) + 1
    let observation = Observation(
      of: snapshot, traffic: nil, customMetrics: [], thing: "thing", reportID: id, time: id * 1_000,
      table: evaluator.table)
    guard evaluator.evaluate(observation).isEmpty else {
      throw BenchmarkError.differs("there is a violation")
    }
    if round > 0 { evaluated.append(cpuMicroseconds() - start) }
    addresses = snapshot.completeSets?.destinations?.v4.count ?? 0
  }
  print(#"{"alone_us":\#(median(alone)),"evaluated_us":\#(median(evaluated)),"addresses":\#(addresses)}"#)
}
