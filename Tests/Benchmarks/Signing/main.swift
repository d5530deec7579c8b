// Signs the same publish repeatedly: a body of 5,120 bytes, a session token, one core.
//
//   signing-benchmark [SECONDS]          prints lines of JSON: the operation, microseconds (median of five parts)
//   signing-benchmark repeat COUNT       only signs, for counting with valgrind

import AWSClient
import DefenderAgent
import Glibc
import HTTPClient
import Platform
import WireFormats

let body = (0..<5_120).map { UInt8($0 % 251) }
let credentials = Credentials(
  accessKeyID: "AKIDEXAMPLE", secretAccessKey: Secret("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
  sessionToken: Secret("IQoJb3JpZ2luX2VjEXAMPLE//////////wEaCXVzLWVhc3QtMSJHMEUCIQ+/abc+def=="))
let topic = try Topic(validating: "$aws/things/My Thing:1/defender/metrics/json")
let endpoint = try ServiceEndpoint(iotDataPlaneOf: "us-east-1")
// The date of the example whose signature is known.
let example = WallTime(iso8601: "2024-05-01T12:34:56Z") ?? WallTime(secondsSinceEpoch: 0)
let expected = "f5451ce1c81428a5174d243b8da51b3bf79981be4b08199e9dc1b4b770e6d58c"

func request() -> HTTPRequest {
  HTTPRequest(method: "POST", url: endpoint.url(topic.path, query: "qos=1"), body: body)
}

/// Runs `sign` for `seconds` in five parts, and prints the median of the time per signature.
func measure(_ name: String, seconds: Double, _ sign: () throws -> Void) rethrows {
  var times: [Double] = []
  for _ in 1...5 {
    let start = ContinuousClock.now
    var count = 0.0
    var time = 0.0
    while time < seconds / 5 {
      for _ in 1...64 { try sign() }
      count += 64
      time = start.duration(to: .now).inSeconds
    }
    times.append(time / count * 1e6)
  }
  print("{\"name\":\"\(name)\",\"us\":\(times.sorted()[2])}")
}

var signer = try RequestSigner(region: "us-east-1", service: "iotdata")
var first = request()
try signer.sign(&first, with: credentials, at: example)
guard first.headers.last?.value.hasSuffix("Signature=\(expected)") == true else {
  throw SigningError.cryptography(CryptographyError(operation: "the signature of the example"))
}
let arguments = CommandLine.arguments.dropFirst()
if arguments.first == "repeat" {
  for _ in 0..<(arguments.last.flatMap { Int($0) } ?? 1) {
    var request = request()
    try signer.sign(&request, with: credentials, at: example)
  }
  exit(0)
}
let seconds = arguments.first.flatMap { Double($0) } ?? 1
try measure("key cached", seconds: seconds) {
  var request = request()
  try signer.sign(&request, with: credentials, at: example)
}
let payloadHash = try signer.payloadHash(body)
try measure("key and body hash cached", seconds: seconds) {
  var request = request()
  try signer.sign(&request, with: credentials, at: example, payloadHash: payloadHash)
}
let days = [example, example.advanced(by: .seconds(86_400))]
var day = 0
try measure("key derived each time", seconds: seconds) {
  var request = request()
  day = 1 - day
  try signer.sign(&request, with: credentials, at: days[day])
}
