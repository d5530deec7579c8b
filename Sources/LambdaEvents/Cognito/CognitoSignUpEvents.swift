import WireFormats

/// The event before Amazon Cognito registers a user. The answer can confirm the user.
public struct CognitoPreSignUpEvent: CognitoTrigger {
  /// What error messages call an event before a sign-up.
  public static let eventName = "an event of Amazon Cognito before a sign-up"
  static let prefix = "PreSignUp_"

  /// The event exactly as received. The response sends it back to Cognito, with the answer in its member `response`.
  public let json: JSON
  /// Who creates the user: `PreSignUp_SignUp` (the user), `PreSignUp_AdminCreateUser` (an administrator) or `PreSignUp_ExternalProvider`
  /// (Cognito, at the first sign-in through another identity provider).
  public let triggerSource: String
  /// The ID of the user pool, such as `eu-west-1_ExaMPle12` (`userPoolId`).
  public let userPoolID: String

  /// Reads an event. Throws an error if `userPoolId` is missing, or if `triggerSource` doesn't begin with `PreSignUp_`.
  public init(json: JSON) throws(EventError) {
    triggerSource = try LambdaEvents.triggerSource(json, Self.prefix)
    userPoolID = try json.read("userPoolId")
    self.json = json
  }

  /// What the application sent for validation only.
  public var validationData: [String: String] { json["request"]?["validationData"]?.texts ?? [:] }

  /// What happens to the new user.
  public struct Answer: Equatable, Sendable {
    /// Whether to confirm the user without a code (`autoConfirmUser`).
    public var confirmsUser: Bool
    /// Whether to mark the email address as verified (`autoVerifyEmail`). The user must have one.
    public var verifiesEmail: Bool
    /// Whether to mark the phone number as verified (`autoVerifyPhone`). The user must have one.
    public var verifiesPhone: Bool

    /// Creates an answer. Without arguments, the user has to confirm the sign-up, and no address counts as verified.
    public init(confirmsUser: Bool = false, verifiesEmail: Bool = false, verifiesPhone: Bool = false) {
      self.confirmsUser = confirmsUser
      self.verifiesEmail = verifiesEmail
      self.verifiesPhone = verifiesPhone
    }
  }

  /// Returns the event with `autoConfirmUser`, `autoVerifyEmail` and `autoVerifyPhone` in its member `response`.
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
  /// Cognito expects the event back, but no decisions.
  public typealias Answer = Void
  /// What error messages call an event after a confirmation.
  public static let eventName = "an event of Amazon Cognito after a confirmation"
  static let prefix = "PostConfirmation_"

  /// The event exactly as received. The response sends it back to Cognito.
  public let json: JSON
  /// What happened: `PostConfirmation_ConfirmSignUp` (a user was confirmed) or `PostConfirmation_ConfirmForgotPassword` (a user set a new
  /// password after forgetting the old one).
  public let triggerSource: String
  /// The ID of the user pool, such as `eu-west-1_ExaMPle12` (`userPoolId`).
  public let userPoolID: String

  /// Reads an event. Throws an error if `userPoolId` is missing, or if `triggerSource` doesn't begin with `PostConfirmation_`.
  public init(json: JSON) throws(EventError) {
    triggerSource = try LambdaEvents.triggerSource(json, Self.prefix)
    userPoolID = try json.read("userPoolId")
    self.json = json
  }

  /// Returns the event with an empty object as its member `response`.
  public func response(with answer: Void) -> Response {
    response { document in
      document.beginMap(count: 0)
      document.endMap()
    }
  }
}

/// The event before Amazon Cognito sends a code or an invitation. The answer can replace the texts.
public struct CognitoCustomMessageEvent: CognitoTrigger {
  /// What error messages call an event before a message.
  public static let eventName = "an event of Amazon Cognito before a message"
  static let prefix = "CustomMessage_"

  /// The event exactly as received. The response sends it back to Cognito, with the answer in its member `response`.
  public let json: JSON
  /// Why Cognito sends the message: for example `CustomMessage_SignUp`, `CustomMessage_ForgotPassword`, or `CustomMessage_Authentication`
  /// for the code of a multi-factor authentication.
  public let triggerSource: String
  /// The ID of the user pool, such as `eu-west-1_ExaMPle12` (`userPoolId`).
  public let userPoolID: String

  /// Reads an event. Throws an error if `userPoolId` is missing, or if `triggerSource` doesn't begin with `CustomMessage_`.
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
    /// The text of the SMS message.
    public var smsMessage: String?
    /// The subject of the email. Cognito accepts it and ``emailMessage`` only from a user pool that sends email through your Amazon SES
    /// account (its `EmailSendingAccount` is `DEVELOPER`).
    public var emailSubject: String?
    /// The text of the email, as HTML.
    public var emailMessage: String?

    /// Creates an answer. Without arguments, Cognito sends its own texts.
    public init(smsMessage: String? = nil, emailSubject: String? = nil, emailMessage: String? = nil) {
      self.smsMessage = smsMessage
      self.emailSubject = emailSubject
      self.emailMessage = emailMessage
    }
  }

  /// Returns the event with `smsMessage`, `emailSubject` and `emailMessage` in its member `response`; null for those that are nil.
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
