// Publishes to an endpoint again and again, as fast as it answers, and says how fast that was and how the memory went.
//
//   swift run -c release publishing-benchmark COUNT [BYTES]
//
// The endpoint, the credentials and the certificate authorities come from the environment, as for `bootstrap`.

import AWSClient
import Glibc
import HTTPClient
import Platform

/// The memory in use that isn't of files, in KiB (`Anonymous` of proc_pid_smaps_rollup(5)).
func anonymousMemory() throws -> Int {
  let text = String(decoding: try readFile("/proc/self/smaps_rollup", limit: 1 << 20), as: UTF8.self)
  let line = text.split(separator: "\n").first { $0.hasPrefix("Anonymous:") }
  return line.flatMap { Int($0.split(separator: " ")[1]) } ?? 0
}

let arguments = CommandLine.arguments.dropFirst().compactMap { Int($0) }
let count = arguments.first ?? 10_000
let payload = (0..<(arguments.dropFirst().first ?? 1_000)).map { UInt8($0 % 251) }
let environment = Environment.ofThisProcess
let log = Log(environment)
let region = environment.value("AWS_REGION") ?? "us-east-1"
let time = SystemTime(shutdown: nil)
let publisher = try HTTPSPublisher(
  endpoint: Endpoint(environment, region: region), region: region,
  credentials: CredentialChain(environment, time: time, log: log),
  exchange: CurlExchange(CurlExchange.Configuration(environment)), time: time, log: log)
let topic = try Topic(validating: "$aws/things/benchmark/defender/metrics/json")

var failures = 0
var part = ContinuousClock.now
for number in 1...count {
  do throws(PublishError) {
    _ = try publisher.publish(
      payload, to: topic, qos: .atLeastOnce, until: time.bootTime.advanced(by: .seconds(20)))
  } catch {
    failures += 1
    log.error("\(error)")
  }
  if number % max(1, count / 10) == 0 {
    let rate = Double(max(1, count / 10)) / part.duration(to: .now).inSeconds
    print("\(number) publishes, \(failures) failed, \(Int(rate)) /s, \(try anonymousMemory()) KiB anonymous")
    part = .now
  }
}
exit(failures == 0 ? 0 : 1)
