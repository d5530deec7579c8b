import Platform
import WireFormats

/// The names of the members of a document that holds credentials; each service has its own spelling.
struct CredentialKeys {
  let accessKeyID: String
  let secretAccessKey: String
  let sessionToken: String
  let expiration: String
  /// Whether the credentials are always temporary: a document without a session token is then rejected. An expiration is
  /// optional in either case.
  let areTemporary: Bool

  static let container = CredentialKeys(
    accessKeyID: "AccessKeyId", secretAccessKey: "SecretAccessKey", sessionToken: "Token",
    expiration: "Expiration", areTemporary: false)
  static let process = CredentialKeys(
    accessKeyID: "AccessKeyId", secretAccessKey: "SecretAccessKey", sessionToken: "SessionToken",
    expiration: "Expiration", areTemporary: false)
  static let iot = CredentialKeys(
    accessKeyID: "accessKeyId", secretAccessKey: "secretAccessKey", sessionToken: "sessionToken",
    expiration: "expiration", areTemporary: true)
}

extension Credentials {
  /// Parses credentials from the members of a JSON object.
  ///
  /// No message shows a value: it may be a secret in the wrong place.
  init(_ document: JSONValue, _ keys: CredentialKeys) throws(CredentialFailure) {
    func text(_ key: String) throws(CredentialFailure) -> String? {
      guard let value = document[key], value != .null else { return nil }
      guard let text = value.string, !text.isEmpty else {
        throw CredentialFailure("the answer's \(key) is \(value.kind == "a string" ? "empty" : value.kind)")
      }
      return text
    }
    guard case .object = document else {
      // Greengrass answers this while it has no credentials; the next attempt may succeed.
      throw CredentialFailure("the answer is \(document.kind), not an object", isTransient: true)
    }
    guard let accessKeyID = try text(keys.accessKeyID) else {
      throw CredentialFailure("the answer has no \(keys.accessKeyID)")
    }
    guard let secretAccessKey = try text(keys.secretAccessKey) else {
      throw CredentialFailure("the answer has no \(keys.secretAccessKey)")
    }
    let sessionToken = try text(keys.sessionToken)
    if keys.areTemporary && sessionToken == nil {
      throw CredentialFailure("the answer has no \(keys.sessionToken)")
    }
    var expiration: WallTime?
    if let text = try text(keys.expiration) {
      guard let time = WallTime(iso8601: text) else {
        throw CredentialFailure("the answer's \(keys.expiration) isn't a time like 2026-01-02T03:04:05Z")
      }
      expiration = time
    }
    self.init(
      accessKeyID: accessKeyID, secretAccessKey: Secret(secretAccessKey),
      sessionToken: sessionToken.map { Secret($0) }, expiration: expiration)
  }

  /// Parses credentials from a JSON document.
  init(parsing bytes: [UInt8], _ keys: CredentialKeys) throws(CredentialFailure) {
    let document: JSONValue
    do throws(JSONError) {
      document = try JSONValue(parsing: bytes)
    } catch {
      // The response may have been truncated on the way. The parser's message may contain a member's name.
      throw CredentialFailure("the answer is not JSON at byte \(error.offset)", isTransient: true)
    }
    try self.init(document, keys)
  }
}
