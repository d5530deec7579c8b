package import Platform
import WireFormats

extension RequestSigner {
  /// Returns the path and query that open a WebSocket for MQTT at `host`, signed in the query. The signer's service
  /// must be `iotdevicegateway`.
  ///
  /// `host` is the value of the `Host` header: in lower case, with the port unless it is 443. Unlike with every other
  /// service, the session token follows the signature and isn't part of it ("Device communication protocols", AWS IoT
  /// developer guide). The returned text contains the token, so it must not be logged.
  package mutating func mqttWebSocketTarget(
    host: String, with credentials: Credentials, at time: WallTime
  ) throws(CryptographyError) -> String {
    let request = PresignableRequest(
      method: "GET", path: "/mqtt", query: "", headers: [HeaderField(.host, host)],
      payloadHash: try Digest(of: []))
    let terms = PresigningTerms(at: time, lifetime: nil, signsSessionToken: false)
    return try presign(request, with: credentials, terms).target
  }
}
