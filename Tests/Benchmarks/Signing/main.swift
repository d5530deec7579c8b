// Signatures a second of one publish: 5,120 bytes of body, a session token, one core.
//
//   swift run -c release signing-benchmark [seconds for each measurement]

import AWSClient
import HTTPClient
import Platform

let seconds = CommandLine.arguments.dropFirst().first.flatMap { Double($0) } ?? 1
let body = (0..<5_120).map { UInt8($0 % 251) }
let credentials = Credentials(
  accessKeyID: "AKIDEXAMPLE", secretAccessKey: Secret("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
  sessionToken: Secret("IQoJb3JpZ2luX2VjEXAMPLE//////////wEaCXVzLWVhc3QtMSJHMEUCIQ+/abc+def=="))
let topic = try Topic(validating: "$aws/things/My Thing:1/defender/metrics/json")
let endpoint = try Endpoint(iotDataPlaneOf: "us-east-1")
// The date of the example whose signature is known.
let example = WallTime(iso8601: "2024-05-01T12:34:56Z") ?? WallTime(secondsSinceEpoch: 0)
let expected = "f5451ce1c81428a5174d243b8da51b3bf79981be4b08199e9dc1b4b770e6d58c"

func request() -> HTTPRequest {
  HTTPRequest(method: "POST", url: endpoint.url(topic.path, query: "qos=1"), body: body)
}

/// Runs `sign` for `seconds` in five parts and prints the median and the best of the five rates.
func measure(_ name: String, _ sign: () throws -> Void) rethrows {
  var rates: [Double] = []
  for _ in 1...5 {
    let start = ContinuousClock.now
    var count = 0.0
    var time = 0.0
    while time < seconds / 5 {
      for _ in 1...64 { try sign() }
      count += 64
      time = start.duration(to: .now).inSeconds
    }
    rates.append(count / time)
  }
  rates.sort()
  let padding = String(repeating: " ", count: max(1, 40 - name.count))
  print("\(name)\(padding)median \(Int(rates[2])) /s, best \(Int(rates[4])) /s")
}

var signer = try RequestSigner(region: "us-east-1", service: "iotdata")
var first = request()
try signer.sign(&first, with: credentials, at: example)
guard first.headers.last?.value.hasSuffix("Signature=\(expected)") == true else {
  throw SigningError.cryptography(CryptographyError(operation: "the signature of the example"))
}

try measure("key cached") {
  var request = request()
  try signer.sign(&request, with: credentials, at: example)
}
let payloadHash = try signer.payloadHash(body)
try measure("key and body hash cached (a retry)") {
  var request = request()
  try signer.sign(&request, with: credentials, at: example, payloadHash: payloadHash)
}
let days = [example, example.advanced(by: .seconds(86_400))]
var day = 0
try measure("key derived each time") {
  var request = request()
  day = 1 - day
  try signer.sign(&request, with: credentials, at: days[day])
}
