package import Platform
import WireFormats

extension RequestSigner {
  /// The path and query that open a WebSocket for MQTT at `host`, signed in the query; the service is
  /// `iotdevicegateway`.
  ///
  /// `host` is what the `Host` header says: in lower case, with the port where that isn't 443. The session token comes
  /// after the signature and isn't part of it, unlike with every other service ("Device communication protocols", AWS
  /// IoT developer guide). The text holds the token: it is no text for a log.
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
