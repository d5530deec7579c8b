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

/// Returns the CPU time that this process has used, in user mode and in the kernel, in microseconds.
func cpuMicroseconds() -> Double {
  var time = timespec()
  _ = unsafe clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
  return Double(time.tv_sec) * 1e6 + Double(time.tv_nsec) / 1e3
}

func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }

/// An upper bound of the process's peak anonymous memory, in KiB.
///
/// The kernel only records the peak of all resident memory, `VmHWM` (proc_pid_status(5)), and file pages stay resident
/// unless something evicts them. The result is that peak without the file pages that were resident at the beginning. It
/// is too high by the file pages that were loaded since.
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

/// A path other than `/proc` to the files of this process's network namespace. With it, the collector reads the files.
let filesRoot = "/proc/self"

func makeCollector(root: String = "/proc") throws -> Collector {
  let log = Log(level: .warn) { _, line in try? writeAll(line, to: STDERR_FILENO) }
  // The other root has no `stat` file of the processors.
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
    // They alternate, and each of them is first equally often.
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

/// Repeats one operation `count` times. The difference of two runs is the number of instructions or allocations per
/// operation.
func repeatOnly(_ what: String, count: Int) throws {
  var collector = try makeCollector(root: what == "files" ? filesRoot : "/proc")
  var counts = reference_counts()
  let report = sampleReport()
  for _ in 0..<count {
    switch what {
    case "netlink", "files": _ = collector.snapshot()
    case "reference": _ = unsafe reference_collect(&counts)
    case "json", "cbor": unsafe sink = report.encoded(as: what == "json" ? .json : .cbor, names: .long).count
    default: return try repeatDetection(what, count: count)
    }
  }
}

/// Receives results, so that the compiler can't remove their computation.
nonisolated(unsafe) var sink = 0
