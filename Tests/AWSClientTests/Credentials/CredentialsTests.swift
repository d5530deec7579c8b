import AWSClient
import Platform
import Testing

private let now = WallTime(secondsSinceEpoch: 1_700_000_000)

struct `A secret` {
  @Test func `is hidden in every kind of output`() {
    let credentials = Credentials(
      accessKeyID: "AKID", secretAccessKey: Secret("hunter2"), sessionToken: Secret("hunter3"))
    var dumped = ""
    dump(credentials, to: &dumped)
    for text in ["\(credentials)", String(reflecting: credentials), dumped, "\(credentials.secretAccessKey)"]
    {
      #expect(!text.contains("hunter"))
      #expect(text.contains("•••") || text == dumped)
    }
  }
}

struct `Credentials from the environment` {
  @Test(arguments: [
    [:], ["AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": " \t"], ["AWS_SESSION_TOKEN": "t"],
  ])
  func `are nil if no key is set`(variables: [String: String]) throws {
    #expect(try EnvironmentCredentials(Environment(variables)).credentials(at: now) == nil)
  }

  @Test(arguments: [
    (["AWS_ACCESS_KEY_ID": "a"], "AWS_ACCESS_KEY_ID is set, but AWS_SECRET_ACCESS_KEY isn't"),
    (["AWS_SECRET_ACCESS_KEY": "hunter2"], "AWS_SECRET_ACCESS_KEY is set, but AWS_ACCESS_KEY_ID isn't"),
    (
      ["AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "hunter2"],
      "AWS_SECRET_ACCESS_KEY is set, but AWS_ACCESS_KEY_ID isn't"
    ),
    (
      ["AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": " \t"],
      "AWS_ACCESS_KEY_ID is set, but AWS_SECRET_ACCESS_KEY isn't"
    ),
  ])
  func `are an error that names the missing half of a key pair`(
    variables: [String: String], reason: String
  ) throws {
    let error = try #require(throws: CredentialError.self) {
      try EnvironmentCredentials(Environment(variables)).credentials(at: now)
    }
    #expect("\(error)".contains(reason))
    #expect(!"\(error)".contains("hunter2"))
  }

  @Test func `are those of the four variables, without blanks around them`() throws {
    let environment = Environment([
      "AWS_ACCESS_KEY_ID": "a\n", "AWS_SECRET_ACCESS_KEY": " s ", "AWS_SESSION_TOKEN": "t",
      "AWS_CREDENTIAL_EXPIRATION": "2026-01-02T03:04:05Z",
    ])
    let credentials = try EnvironmentCredentials(environment).credentials(at: now)
    #expect(
      credentials
        == Credentials(
          accessKeyID: "a", secretAccessKey: Secret("s"), sessionToken: Secret("t"),
          expiration: WallTime(iso8601: "2026-01-02T03:04:05Z")))
  }

  @Test func `are an error if the expiration can't be parsed`() {
    let environment = Environment([
      "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "s", "AWS_CREDENTIAL_EXPIRATION": "tomorrow",
    ])
    #expect {
      try EnvironmentCredentials(environment).credentials(at: now)
    } throws: { error in
      "\(error)".contains("AWS_CREDENTIAL_EXPIRATION is 'tomorrow'")
    }
  }
}
