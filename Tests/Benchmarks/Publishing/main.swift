// Publishes to an endpoint repeatedly, as fast as it answers, and prints the cost.
//
//   publishing-benchmark COUNT [BYTES]
//
// The endpoint, the credentials and the certificate authorities come from the environment, as for `bootstrap`. Prints a
// line of JSON: the processor time from the program's start to the first acknowledgement; for the COUNT publishes after it
// the median time and the mean processor time, in microseconds; the memory at the end, and how much of it was added since
// the first publish.

import AWSClient
import DefenderAgent
import Glibc
import HTTPClient
import Platform
import WireFormats

/// Returns the memory in use that isn't file-backed, in KiB (`Anonymous` of proc_pid_smaps_rollup(5)).
func anonymousMemory() throws -> Int {
  let text = String(decoding: try readFile("/proc/self/smaps_rollup", limit: 1 << 20), as: UTF8.self)
  let line = text.split(separator: "\n").first { $0.hasPrefix("Anonymous:") }
  return line.flatMap { Int($0.split(separator: " ")[1]) } ?? 0
}

func processorMicroseconds() -> Double {
  var time = timespec()
  _ = unsafe clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
  return Double(time.tv_sec) * 1e6 + Double(time.tv_nsec) / 1e3
}

let arguments = CommandLine.arguments.dropFirst().compactMap { Int($0) }
let count = max(1, arguments.first ?? 10_000)
let payload = (0..<(arguments.dropFirst().first ?? 1_000)).map { UInt8($0 % 251) }
let environment = Environment.ofThisProcess
let log = Log(environment)
let region = environment.value("AWS_REGION") ?? "us-east-1"
let time = SystemWaiter(shutdown: nil)
let publisher = try HTTPSPublisher(
  endpoint: ServiceEndpoint(environment, region: region), region: region,
  credentials: Access(environment).credentials(time: time, log: log),
  exchange: CurlExchange(ConnectionConfiguration(environment)), time: time, log: log)
let topic = try Topic(validating: "$aws/things/benchmark/defender/metrics/json")

@MainActor func publish() throws {
  let deadline = time.bootTime.advanced(by: .seconds(20))
  _ = try publisher.publish(payload, to: topic, qos: .atLeastOnce, until: deadline)
}

do {
  // Allocated first, so that it doesn't count as memory that the publishes add.
  var times = [Double](repeating: .nan, count: count)
  try publish()
  let first = processorMicroseconds()
  let early = try anonymousMemory()
  for index in times.indices {
    let start = ContinuousClock.now
    try publish()
    times[index] = start.duration(to: .now).inSeconds * 1e6
  }
  let processor = (processorMicroseconds() - first) / Double(count)
  let late = try anonymousMemory()
  print(
    """
    {"first_cpu_us":\(first),"later_us":\(times.sorted()[count / 2]),"later_cpu_us":\(processor),\
    "anonymous_kib":\(late),"grown_kib":\(late - early)}
    """)
} catch {
  log.error("\(error)")
  exit(1)
}
