import LambdaEvents
import Testing
import WireFormats

@Suite struct `A trigger of Cognito` {
  /// Checks that a response is the event of a file with another `response`, and returns that.
  private func decisions(_ response: Response, to file: String) throws -> JSONValue? {
    let event = try JSONValue(parsing: SampleEvent(file, IoTRuleEvent.self, required: []).bytes())
    let sent = try document(response)
    #expect(sent.members?.filter { $0.name != "response" } == event.members?.filter { $0.name != "response" })
    return sent["response"]
  }

  @Test func `before a sign-up`() throws {
    let event: CognitoPreSignUpEvent = try sample("cognito-pre-sign-up")
    #expect(event.triggerSource == "PreSignUp_SignUp" && event.userName == "mara" && event.version == "1")
    #expect(
      event.userAttributes["email"] == "mara@example.com" && event.validationData == ["invitation": "abc"])
    #expect(event.clientMetadata == ["campaign": "autumn"] && event.clientID == "1example23456789")
    #expect(event.userPoolID == "eu-west-1_ExaMPle12" && event.region == "eu-west-1")
    let sent = try decisions(
      event.response(with: .init(confirmsUser: true, verifiesEmail: true)), to: "cognito-pre-sign-up")
    #expect(
      sent?.members?.filter { $0.value.boolean == true }.map(\.name) == [
        "autoConfirmUser", "autoVerifyEmail",
      ])
    #expect(sent?["autoVerifyPhone"]?.boolean == false)
  }

  @Test func `after a confirmation`() throws {
    let event: CognitoPostConfirmationEvent = try sample("cognito-post-confirmation")
    #expect(try decisions(event.response(with: ()), to: "cognito-post-confirmation") == .object([]))
  }

  @Test func `before a message`() throws {
    let event: CognitoCustomMessageEvent = try sample("cognito-custom-message")
    #expect(event.codePlaceholder == "{####}" && event.linkPlaceholder == "{##Click Here##}")
    #expect(event.userNamePlaceholder == nil)
    let sent = try decisions(
      event.response(with: .init(emailSubject: "Welcome", emailMessage: "Your code is {####}")),
      to: "cognito-custom-message")
    #expect(sent?["emailSubject"]?.string == "Welcome" && sent?["smsMessage"] == .null)
  }

  @Test func `before tokens of version 1`() throws {
    let event: CognitoPreTokenGenerationEvent = try sample("cognito-token-1")
    #expect(event.groups == ["readers", "writers"] && event.scopes.isEmpty)
    var answer = CognitoPreTokenGenerationEvent.Answer(
      idToken: .init(claims: [("tenant", "t-7")], suppressedClaims: ["email"]),
      groups: .init(groups: ["admins"]))
    let sent = try decisions(event.response(with: answer), to: "cognito-token-1")?["claimsOverrideDetails"]
    #expect(sent?["claimsToAddOrOverride"]?["tenant"]?.string == "t-7")
    #expect(sent?["claimsToSuppress"]?.array?.map(\.string) == ["email"])
    #expect(sent?["groupOverrideDetails"]?["groupsToOverride"]?.array?.map(\.string) == ["admins"])
    #expect(sent?["groupOverrideDetails"]?["preferredRole"] == nil)
    answer.addedScopes = ["a"]
    let failure = #expect(throws: InvocationFailure.self) { try event.response(with: answer) }
    #expect(failure?.type == "Function.BadResponse" && failure?.message.contains("V2_0 or V3_0") == true)
  }

  @Test func `before tokens of version 2`() throws {
    let event: CognitoPreTokenGenerationEvent = try sample("cognito-token-2")
    #expect(event.scopes == ["openid", "orders/read"])
    var answer = CognitoPreTokenGenerationEvent.Answer(
      idToken: .init(claims: [("address", ["city": "Kyiv"])]), accessToken: .init(suppressedClaims: ["x"]),
      groups: .init(groups: [], roles: ["r"], preferredRole: "r"))
    answer.addedScopes = ["orders/write"]
    answer.suppressedScopes = ["openid"]
    let sent = try decisions(event.response(with: answer), to: "cognito-token-2")?[
      "claimsAndScopeOverrideDetails"]
    #expect(sent?["idTokenGeneration"]?["claimsToAddOrOverride"]?["address"]?["city"]?.string == "Kyiv")
    #expect(sent?["accessTokenGeneration"]?["claimsToSuppress"]?.array?.map(\.string) == ["x"])
    #expect(sent?["accessTokenGeneration"]?["scopesToAdd"]?.array?.map(\.string) == ["orders/write"])
    #expect(sent?["accessTokenGeneration"]?["scopesToSuppress"]?.array?.map(\.string) == ["openid"])
    #expect(sent?["groupOverrideDetails"]?["preferredRole"]?.string == "r")
  }

  @Test func `for another operation is rejected`() throws {
    let failure = #expect(throws: InvocationFailure.self) {
      try sample("cognito-token-1", as: CognitoPreSignUpEvent.self)
    }
    let (wanted, found) = (CognitoPreSignUpEvent.eventName, CognitoPreTokenGenerationEvent.eventName)
    #expect(
      failure?.message
        == "The event isn't \(wanted): 'triggerSource' must begin with 'PreSignUp_'. It looks like \(found).")
  }

  @Test func `keeps members that were duplicate, escaped or odd`() throws {
    let text =
      #"{"triggerSource":"PostConfirmation_X","userPoolId":"p","n":1.50,"odd":"\ud800","n":2,"response":{},"response":7}"#
    let sent = LambdaEventsTests.text(try CognitoPostConfirmationEvent(text).response(with: ()))
    #expect(
      sent
        == #"{"triggerSource":"PostConfirmation_X","userPoolId":"p","n":1.50,"odd":"\ud800","n":2,"response":{}}"#
    )
  }
}
