import WireFormats

/// The event before Amazon Cognito registers a user. The answer can confirm the user.
public struct CognitoPreSignUpEvent: CognitoTrigger {
  public static let eventName = "an event of Amazon Cognito before a sign-up"
  static let prefix = "PreSignUp_"

  public let json: JSON
  public let triggerSource: String
  public let userPoolID: String

  public init(json: JSON) throws(EventError) {
    triggerSource = try LambdaEvents.triggerSource(json, Self.prefix)
    userPoolID = try json.read("userPoolId")
    self.json = json
  }

  /// What the application sent for validation only.
  public var validationData: [String: String] { json["request"]?["validationData"]?.texts ?? [:] }

  /// What happens to the new user.
  public struct Answer: Equatable, Sendable {
    /// Whether to confirm the user without a code.
    public var confirmsUser: Bool
    /// Whether to mark the email address as verified. The user must have one.
    public var verifiesEmail: Bool
    /// Whether to mark the phone number as verified. The user must have one.
    public var verifiesPhone: Bool

    public init(confirmsUser: Bool = false, verifiesEmail: Bool = false, verifiesPhone: Bool = false) {
      self.confirmsUser = confirmsUser
      self.verifiesEmail = verifiesEmail
      self.verifiesPhone = verifiesPhone
    }
  }

  public func response(with answer: Answer) -> Response {
    response { document in
      document.beginMap(count: 3)
      document.key("autoConfirmUser")
      document.boolean(answer.confirmsUser)
      document.key("autoVerifyEmail")
      document.boolean(answer.verifiesEmail)
      document.key("autoVerifyPhone")
      document.boolean(answer.verifiesPhone)
      document.endMap()
    }
  }
}

/// The event after a user of Amazon Cognito was confirmed, or set a new password.
public struct CognitoPostConfirmationEvent: CognitoTrigger {
  public typealias Answer = Void
  public static let eventName = "an event of Amazon Cognito after a confirmation"
  static let prefix = "PostConfirmation_"

  public let json: JSON
  public let triggerSource: String
  public let userPoolID: String

  public init(json: JSON) throws(EventError) {
    triggerSource = try LambdaEvents.triggerSource(json, Self.prefix)
    userPoolID = try json.read("userPoolId")
    self.json = json
  }

  public func response(with answer: Void) -> Response {
    response { document in
      document.beginMap(count: 0)
      document.endMap()
    }
  }
}

/// The event before Amazon Cognito sends a code or an invitation. The answer can replace the texts.
public struct CognitoCustomMessageEvent: CognitoTrigger {
  public static let eventName = "an event of Amazon Cognito before a message"
  static let prefix = "CustomMessage_"

  public let json: JSON
  public let triggerSource: String
  public let userPoolID: String

  public init(json: JSON) throws(EventError) {
    triggerSource = try LambdaEvents.triggerSource(json, Self.prefix)
    userPoolID = try json.read("userPoolId")
    self.json = json
  }

  /// The placeholder for the code, which the texts must contain; nil if the message has no code.
  public var codePlaceholder: String? { json["request"]?["codeParameter"]?.string }
  /// The placeholder for the user's name, which an invitation must contain; nil in other messages.
  public var userNamePlaceholder: String? { json["request"]?["usernameParameter"]?.string }
  /// The placeholder for a link that verifies the address; nil if the message has no link.
  public var linkPlaceholder: String? { json["request"]?["linkParameter"]?.string }

  /// The texts of the message. Cognito uses its own text instead of one that is nil.
  public struct Answer: Equatable, Sendable {
    public var smsMessage: String?
    public var emailSubject: String?
    /// The text of the email, as HTML.
    public var emailMessage: String?

    public init(smsMessage: String? = nil, emailSubject: String? = nil, emailMessage: String? = nil) {
      self.smsMessage = smsMessage
      self.emailSubject = emailSubject
      self.emailMessage = emailMessage
    }
  }

  public func response(with answer: Answer) -> Response {
    let texts = [
      ("smsMessage", answer.smsMessage), ("emailSubject", answer.emailSubject),
      ("emailMessage", answer.emailMessage),
    ]
    return response { document in
      document.beginMap(count: texts.count)
      for (name, text) in texts {
        document.key(name)
        if let text { document.string(text) } else { document.null() }
      }
      document.endMap()
    }
  }
}
