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
    let timestamp = CivilTime(time).basicFormat
    let scope = SigningScope(date: String(timestamp.prefix(8)), region: region, service: service)
    let credential = percentEncoding("\(credentials.accessKeyID)/\(scope.text)".utf8)
    let query =
      "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=\(credential)&X-Amz-Date=\(timestamp)"
      + "&X-Amz-SignedHeaders=host"
    let canonicalRequest = CanonicalRequest(
      method: "GET", path: "/mqtt", query: query, headers: [("host", host)], payloadHash: try Digest(of: []))
    let signature = try signature(
      of: canonicalRequest, at: timestamp, secretAccessKey: credentials.secretAccessKey)
    let token = credentials.sessionToken.map { "&X-Amz-Security-Token=\(percentEncoding($0.revealed.utf8))" }
    return "/mqtt?\(query)&X-Amz-Signature=\(signature.code.hex)\(token ?? "")"
  }
}
