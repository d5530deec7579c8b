import WireFormats

/// The event before Amazon Cognito issues tokens. The answer can change their claims, scopes and groups.
public struct CognitoPreTokenGenerationEvent: CognitoTrigger {
  /// What error messages call an event before tokens are issued.
  public static let eventName = "an event of Amazon Cognito before tokens are issued"
  static let prefix = "TokenGeneration_"

  /// The event exactly as received. The response sends it back to Cognito, with the answer in its member `response`.
  public let json: JSON
  /// Why Cognito issues tokens: for example `TokenGeneration_HostedAuth` (sign-in on Cognito's pages), `TokenGeneration_Authentication`
  /// (sign-in through the API) or `TokenGeneration_RefreshTokens`.
  public let triggerSource: String
  /// The ID of the user pool, such as `eu-west-1_ExaMPle12` (`userPoolId`).
  public let userPoolID: String

  /// Reads an event. Throws an error if `userPoolId` is missing, or if `triggerSource` doesn't begin with `TokenGeneration_`.
  public init(json: JSON) throws(EventError) {
    triggerSource = try LambdaEvents.triggerSource(json, Self.prefix)
    userPoolID = try json.read("userPoolId")
    self.json = json
  }

  /// The groups of the user.
  public var groups: [String] { strings(json["request"]?["groupConfiguration"]?["groupsToOverride"]) }
  /// The scopes that the application asks for; empty in version 1.
  public var scopes: [String] { strings(json["request"]?["scopes"]) }

  private func strings(_ json: JSON?) -> [String] { json?.elements?.compactMap(\.string) ?? [] }

  /// What changes in a token.
  public struct TokenChanges: Sendable {
    /// The claims to add or replace. In version 1 of the event, values must be strings.
    public var claims: [(name: String, value: JSONLiteral)]
    /// The names of the claims to leave out.
    public var suppressedClaims: [String]

    /// Creates changes. Without arguments, the token stays as it is.
    public init(claims: [(name: String, value: JSONLiteral)] = [], suppressedClaims: [String] = []) {
      self.claims = claims
      self.suppressedClaims = suppressedClaims
    }

    fileprivate var isEmpty: Bool { claims.isEmpty && suppressedClaims.isEmpty }
  }

  /// The groups and roles that the tokens name, instead of those of the user.
  public struct GroupOverride: Equatable, Sendable {
    /// The names of the groups, which the tokens contain as the claim `cognito:groups`.
    public var groups: [String]
    /// The ARNs of the roles.
    public var roles: [String]
    /// The ARN of the preferred role.
    public var preferredRole: String?

    /// Creates an override. It replaces both lists: one that isn't passed becomes empty in the tokens.
    public init(groups: [String] = [], roles: [String] = [], preferredRole: String? = nil) {
      self.groups = groups
      self.roles = roles
      self.preferredRole = preferredRole
    }
  }

  /// What changes in the tokens.
  public struct Answer: Sendable {
    /// The changes of the ID token. Every version of the event allows them.
    public var idToken: TokenChanges
    /// The changes of the access token, for which the user pool must send version 2 or 3 of the event.
    public var accessToken: TokenChanges
    /// The scopes to add to the access token, also from version 2.
    public var addedScopes: [String] = []
    /// The scopes to remove from the access token, also from version 2.
    public var suppressedScopes: [String] = []
    /// The groups and roles in the tokens; nil if they stay as they are.
    public var groups: GroupOverride?

    /// Creates an answer; without arguments, it changes nothing.
    public init(
      idToken: TokenChanges = TokenChanges(), accessToken: TokenChanges = TokenChanges(),
      groups: GroupOverride? = nil
    ) {
      self.idToken = idToken
      self.accessToken = accessToken
      self.groups = groups
    }

    fileprivate var changesAccessToken: Bool {
      !accessToken.isEmpty || !addedScopes.isEmpty || !suppressedScopes.isEmpty
    }
  }

  /// Returns the event with the answer, in the format of its version.
  ///
  /// Fails with `Function.BadResponse` if the answer changes the access token, but the event has version 1.
  public func response(with answer: Answer) throws(InvocationFailure) -> Response {
    guard version == "1" || version == nil else {
      return response { document in
        document.beginMap(count: 1)
        document.key("claimsAndScopeOverrideDetails")
        writeVersion2(answer, to: &document)
        document.endMap()
      }
    }
    guard !answer.changesAccessToken else {
      throw InvocationFailure(
        type: "Function.BadResponse",
        message: "The event has version 1, which can't change the access token."
          + " Set the version of the user pool's trigger to V2_0 or V3_0.")
    }
    return response { document in
      document.beginMap(count: 1)
      document.key("claimsOverrideDetails")
      document.beginMap(count: 3)
      write(answer.idToken, to: &document)
      write(answer.groups, to: &document)
      document.endMap()
      document.endMap()
    }
  }

  private func writeVersion2(_ answer: Answer, to document: inout JSONWriter) {
    document.beginMap(count: 3)
    document.key("idTokenGeneration")
    document.beginMap(count: 2)
    write(answer.idToken, to: &document)
    document.endMap()
    document.key("accessTokenGeneration")
    document.beginMap(count: 4)
    write(answer.accessToken, to: &document)
    document.key("scopesToAdd")
    LambdaEvents.write(answer.addedScopes, to: &document)
    document.key("scopesToSuppress")
    LambdaEvents.write(answer.suppressedScopes, to: &document)
    document.endMap()
    write(answer.groups, to: &document)
    document.endMap()
  }

  private func write(_ changes: TokenChanges, to document: inout JSONWriter) {
    document.key("claimsToAddOrOverride")
    document.beginMap(count: changes.claims.count)
    for claim in changes.claims {
      document.key(claim.name)
      claim.value.write(to: &document)
    }
    document.endMap()
    document.key("claimsToSuppress")
    LambdaEvents.write(changes.suppressedClaims, to: &document)
  }

  /// Writes the groups. Nothing is written if they stay as they are.
  private func write(_ groups: GroupOverride?, to document: inout JSONWriter) {
    guard let groups else { return }
    document.key("groupOverrideDetails")
    document.beginMap(count: groups.preferredRole == nil ? 2 : 3)
    document.key("groupsToOverride")
    LambdaEvents.write(groups.groups, to: &document)
    document.key("iamRolesToOverride")
    LambdaEvents.write(groups.roles, to: &document)
    if let role = groups.preferredRole { document.member("preferredRole", role) }
    document.endMap()
  }
}
