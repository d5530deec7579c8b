import CLinux
import CollectorReference
import DeviceDefender
import Glibc
import Platform

enum BenchmarkError: Error {
  case reference(Errno)
  case collection(CollectionError)
  case differs(String)
}

/// The CPU time that this process has used, user's and system's, in microseconds.
func cpuMicroseconds() -> Double {
  var time = timespec()
  _ = unsafe clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
  return Double(time.tv_sec) * 1e6 + Double(time.tv_nsec) / 1e3
}

func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }

/// The most anonymous memory that was resident at once, in KiB, or a little more.
///
/// The kernel notes the most of all resident memory, `VmHWM` (proc_pid_status(5)), and pages of files stay where nothing
/// presses them out: without those that were there at the beginning, it is an upper bound. The pages of files that came
/// in meanwhile are what it is too high by.
struct PeakMemory {
  private let filePages: Int

  init() { filePages = residentKiB("RssFile:") }

  var anonymousKiB: Int { residentKiB("VmHWM:") - filePages }
}

private func residentKiB(_ field: String) -> Int {
  let text =
    (try? readFile("/proc/self/status", limit: 65_536)).map { String(decoding: $0, as: UTF8.self) } ?? ""
  for line in text.split(separator: "\n") where line.hasPrefix(field) {
    return Int(line.split(separator: " ").dropLast().last ?? "") ?? 0
  }
  return 0
}

/// Shows the files of this process's network namespace under a name that isn't `/proc`, so that they are read.
let filesRoot = "/proc/self"

func makeCollector(root: String = "/proc") throws -> Collector {
  let log = Log(level: .warn) { _, line in try? writeAll(line, to: STDERR_FILENO) }
  // There is no `stat` of the processors under the other root.
  let choices = root == "/proc" ? "cpu_usage" : ""
  return Collector(procfs: ProcRoot(root), log: log, systemMetrics: try SystemMetric.list(parsing: choices))
}

func benchmarkCollection(rounds: Int) throws {
  var collector = try makeCollector()
  var counts = reference_counts()
  var swift: [Double] = []
  var reference: [Double] = []
  let peak = PeakMemory()
  var snapshot = collector.snapshot()
  let memory = peak.anonymousKiB
  for round in 0..<rounds {
    // In turn, and each first as often as the other.
    for step in 0..<2 {
      let start = cpuMicroseconds()
      if (step + round) % 2 == 0 {
        snapshot = collector.snapshot()
        swift.append(cpuMicroseconds() - start)
      } else {
        let error = unsafe reference_collect(&counts)
        reference.append(cpuMicroseconds() - start)
        if error != 0 { throw BenchmarkError.reference(Errno(rawValue: error)) }
      }
    }
  }
  let established = try snapshot.establishedConnections.get().total
  print(
    """
    {"established":\(established),"reference_established":\(counts.established),\
    "swift_us":\(median(swift)),"reference_us":\(median(reference)),\
    "anonymous_kib":\(memory)}
    """)
}

func benchmarkFiles(rounds: Int) throws {
  var collector = try makeCollector(root: filesRoot)
  var times: [Double] = []
  let peak = PeakMemory()
  var snapshot = collector.snapshot()
  let memory = peak.anonymousKiB
  for _ in 0..<rounds {
    let start = cpuMicroseconds()
    snapshot = collector.snapshot()
    times.append(cpuMicroseconds() - start)
  }
  let established = try snapshot.establishedConnections.get().total
  print(
    """
    {"established":\(established),"files_us":\(median(times)),"anonymous_kib":\(memory)}
    """)
}

/// Does one thing `count` times, for a count of instructions or allocations by the difference of two runs.
func repeatOnly(_ what: String, count: Int) throws {
  var collector = try makeCollector(root: what == "files" ? filesRoot : "/proc")
  var counts = reference_counts()
  let report = sampleReport()
  for _ in 0..<count {
    switch what {
    case "netlink", "files": _ = collector.snapshot()
    case "reference": _ = unsafe reference_collect(&counts)
    case "json", "cbor": unsafe sink = report.encoded(as: what == "json" ? .json : .cbor, names: .long).count
    default: throw BenchmarkError.differs("no such thing to repeat: \(what)")
    }
  }
}

/// Where results go, so that they are made.
nonisolated(unsafe) var sink = 0
