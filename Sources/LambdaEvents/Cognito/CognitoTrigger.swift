import WireFormats

/// An event of a trigger of an Amazon Cognito user pool.
///
/// Cognito expects the event back, with the function's decisions in its member `response`. The answer has those decisions; everything
/// else is sent back as received. To deny the operation, throw an error: the user sees its message.
public protocol CognitoTrigger: LambdaEvent {
  /// The operation, such as `PreSignUp_SignUp`.
  var triggerSource: String { get }
  /// The ID of the user pool.
  var userPoolID: String { get }
}

extension CognitoTrigger {
  /// The version of the event's format, such as `1`.
  public var version: String? { json["version"]?.string ?? json["version"]?.digits }
  /// The region of the user pool.
  public var region: String? { json["region"]?.string }
  /// The name of the user; nil if an application asks for its own token.
  public var userName: String? { json["userName"]?.string }
  /// The ID of the application.
  public var clientID: String? { json["callerContext"]?["clientId"]?.string }
  /// The attributes of the user, such as `email`.
  public var userAttributes: [String: String] { json["request"]?["userAttributes"]?.texts ?? [:] }
  /// What the application passes to the functions of the user pool.
  public var clientMetadata: [String: String] { json["request"]?["clientMetadata"]?.texts ?? [:] }

  /// Returns the event with another member `response`, which `write` writes.
  func response(_ write: (inout JSONWriter) -> Void) -> Response {
    let members = (json.members ?? []).filter { $0.name != "response" }
    var document = JSONWriter(capacity: json.bytes.count + 512)
    document.beginMap(count: members.count + 1)
    for member in members {
      document.key(member.name)
      document.literal(member.value.description)
    }
    document.key("response")
    write(&document)
    document.endMap()
    return Response(json: document.bytes)
  }
}

/// Reads the operation of a trigger, whose name must begin with `prefix`.
func triggerSource(_ json: JSON, _ prefix: String) throws(EventError) -> String {
  let source: String = try json.read("triggerSource")
  guard source.hasPrefix(prefix) else {
    throw EventError(path: "triggerSource", problem: "must begin with '\(prefix)'")
  }
  return source
}

func cognitoEventName(_ triggerSource: String) -> String? {
  let names = [
    (CognitoPreSignUpEvent.prefix, CognitoPreSignUpEvent.eventName),
    (CognitoPostConfirmationEvent.prefix, CognitoPostConfirmationEvent.eventName),
    (CognitoPreTokenGenerationEvent.prefix, CognitoPreTokenGenerationEvent.eventName),
    (CognitoCustomMessageEvent.prefix, CognitoCustomMessageEvent.eventName),
  ]
  return names.first { triggerSource.hasPrefix($0.0) }?.1 ?? "an event of another trigger of Amazon Cognito"
}
