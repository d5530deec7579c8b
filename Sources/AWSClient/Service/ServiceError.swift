package import HTTPClient
import Platform
import WireFormats

/// An error response of an AWS service: JSON, or XML with the query protocol.
package struct ServiceError: Error, Equatable, Sendable, CustomStringConvertible {
  package let status: Int
  /// AWS's name for the error, such as `ForbiddenException`; nil if the response has none.
  package let code: String?
  package let message: String?
  package let requestID: String?
  package let traceID: String?

  /// The number of bytes of an error document that are searched for XML elements.
  private static let xmlLimit = 16_384

  /// Parses an error response, whose body may be anything, and masks `secrets`, which the response may repeat.
  package init(_ response: HTTPResponse, hiding secrets: [String] = []) {
    let texts = ServerText(hiding: secrets)
    let shortened = { texts.shown($0) }
    let shortCode = { (text: String) in serviceErrorCode(text).map(shortened) }
    // A body that isn't JSON adds nothing to the status.
    let body = try? JSONValue(parsing: response.body)
    let xml = body == nil ? String(decoding: response.body.prefix(Self.xmlLimit), as: UTF8.self) : ""
    status = response.status
    code =
      response.header(.amznErrorType).flatMap(shortCode)
      ?? ["code", "Code", "__type"].lazy.compactMap { body?[$0]?.string.flatMap(shortCode) }.first
      ?? xmlText("Code", in: xml).map(shortened)
    let messages = ["message", "Message", "errorMessage"].lazy
    message = (messages.compactMap { body?[$0]?.string }.first ?? xmlText("Message", in: xml)).map(shortened)
    requestID = (response.header(.amznRequestID) ?? response.header(.amzRequestID)).map(shortened)
    traceID = (body?["traceId"]?.string).map(shortened)
  }

  /// Whether the service rejected the credentials as invalid or expired, so that new temporary ones may be accepted.
  ///
  /// AWS IoT uses one code for every refusal, so the message decides.
  package var saysCredentialsAreStale: Bool {
    guard [400, 401, 403].contains(status) else { return false }
    if let code, staleCodes.contains(code) { return true }
    let words = message?.lowercased() ?? ""
    return words.includes("security token")
  }

  /// Why AWS rejects the identity of a request.
  package enum IdentityProblem: Equatable, Sendable {
    case wrongSecret, wrongClock, wrongScope, badCredentials
  }

  /// Why AWS rejected our identity; nil if the response isn't a refusal or is about permissions.
  ///
  /// AWS IoT uses one code for every refusal, so the message decides.
  package var identityProblem: IdentityProblem? {
    guard [401, 403].contains(status) else { return nil }
    let words = message?.lowercased() ?? ""
    if words.includes("signature we calculated") { return .wrongSecret }
    if words.includes("signature expired") || words.includes("signature not yet current") {
      return .wrongClock
    }
    if words.includes("scoped to") { return .wrongScope }
    return words.includes("security token") || words.includes("expired") ? .badCredentials : nil
  }

  /// Whether the response comes from AWS rather than from something on the way: it has a code, a request ID or a trace
  /// ID. A message alone proves nothing, because any proxy that answers in JSON sends one.
  package var isOfAWS: Bool {
    code != nil || requestID != nil || traceID != nil
  }

  package var description: String {
    var text = "status \(status)"
    if let code { text += " \(code)" }
    if let message { text += ": \(message)" }
    if let requestID { text += " (request id \(requestID))" }
    return text
  }
}

private let staleCodes: Set<String> = [
  "ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException",
]

/// Returns the name in `ForbiddenException:http://internal.amazon.com/…` or `com.amazonaws.iot#ForbiddenException`.
private func serviceErrorCode(_ text: String) -> String? {
  let name = text.split(separator: ":", omittingEmptySubsequences: false)[0]
  let last = name.split(separator: "#").last.map { trimmingBlanks($0) } ?? ""
  return last.isEmpty ? nil : last
}
