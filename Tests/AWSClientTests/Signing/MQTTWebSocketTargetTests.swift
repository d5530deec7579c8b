import AWSClient
import Platform
import Testing

struct `The target of a WebSocket for MQTT` {
  // Signed by AWS's own signer (awscrt, called as in the AWS IoT Device SDK for Python).
  static let signed =
    "/mqtt?X-Amz-Algorithm=AWS4-HMAC-SHA256"
    + "&X-Amz-Credential=AKIDEXAMPLE%2F20260102%2Fus-east-1%2Fiotdevicegateway%2Faws4_request"
    + "&X-Amz-Date=20260102T030405Z&X-Amz-SignedHeaders=host"
    + "&X-Amz-Signature=4946afbadd2a77a31ef381ab59d62ae6704721d40f1b65f25dded2f437df0c4a"

  @Test(arguments: [(nil, ""), ("TOKEN/+=", "&X-Amz-Security-Token=TOKEN%2F%2B%3D")] as [(String?, String)])
  func `is signed like AWS's own signer, with the token after the signature`(
    token: String?, ending: String
  ) throws {
    var signer = try RequestSigner(region: "us-east-1", service: "iotdevicegateway")
    let credentials = Credentials(
      accessKeyID: "AKIDEXAMPLE", secretAccessKey: Secret("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
      sessionToken: token.map { Secret($0) })
    let time = try #require(WallTime(iso8601: "2026-01-02T03:04:05Z"))
    let target = try signer.mqttWebSocketTarget(
      host: "abc123-ats.iot.us-east-1.amazonaws.com", with: credentials, at: time)
    #expect(target == Self.signed + ending)
  }
}
