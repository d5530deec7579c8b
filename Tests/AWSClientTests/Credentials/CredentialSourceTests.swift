import Glibc
import HTTPClient
import Platform
import TestSupport
import Testing
import WireFormats

@testable import AWSClient

private let now = WallTime(secondsSinceEpoch: 1_767_225_600)  // 2026-01-01T00:00:00Z

private func json(_ text: String, status: Int = 200) -> Result<HTTPResponse, HTTPError> {
  .success(HTTPResponse(status: status, body: Array(text.utf8)))
}

private func containerAnswer(_ number: Int, expiration: String) -> Result<HTTPResponse, HTTPError> {
  json(
    #"{"AccessKeyId":"A\#(number)","SecretAccessKey":"hunter2","Token":"T","Expiration":"\#(expiration)"}"#)
}

/// What a credential source under test works with: a manual clock, scripted responses, a recorded log and given files.
private final class Surroundings {
  let time = ManualTime(wallTime: now)
  let exchange: ScriptedExchange
  var warnings: [String] = []
  var files: [String: String] = [:]

  init(_ answers: [Result<HTTPResponse, HTTPError>] = []) {
    exchange = ScriptedExchange(answers)
  }

  func context(_ variables: [String: String]) -> CredentialContext {
    let log = Log { level, line in
      if level == .warn { self.warnings.append(String(decoding: line, as: UTF8.self)) }
    }
    var context = CredentialContext(Environment(variables), exchange: exchange, time: time, log: log)
    context.readFile = { (path, _) throws(Errno) in
      guard let text = self.files[path] else { throw .noSuchFile }
      return Array(text.utf8)
    }
    return context
  }

  /// Returns the error with which `source` fails.
  func reason(_ source: any CredentialSource) throws -> String {
    "\(try #require(throws: CredentialError.self) { try source.credentials(at: now) })"
  }
}

private let container = [
  "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://localhost:8080/2016-11-01/credentialprovider/"
]

struct `Credentials of a container` {
  @Test(arguments: ["null", "[]", "", "{", #"{"AccessKeyId":"A""#])
  func `are requested again if the response doesn't contain any yet`(body: String) throws {
    let surroundings = Surroundings([
      json(body), json(body), containerAnswer(1, expiration: "2026-01-01T01:00:00Z"),
    ])
    let source = ContainerCredentials(surroundings.context(container))
    #expect(try source.credentials(at: now)?.accessKeyID == "A1")
    #expect(surroundings.exchange.requests.count == 3)
    #expect(surroundings.time.sleeps.count == 2)
  }

  @Test(arguments: [
    (#"{"SecretAccessKey":"hunter2"}"#, "has no AccessKeyId"),
    (#"{"AccessKeyId":"A"}"#, "has no SecretAccessKey"),
    (#"{"AccessKeyId":"","SecretAccessKey":"hunter2"}"#, "AccessKeyId is empty"),
    (#"{"AccessKeyId":"A","SecretAccessKey":["hunter2"]}"#, "SecretAccessKey is an array"),
    (#"{"AccessKeyId":"A","SecretAccessKey":"hunter2","Expiration":"hunter2"}"#, "Expiration isn't a time"),
  ])
  func `are an error without secrets if the response is malformed`(body: String, reason: String) throws {
    let surroundings = Surroundings(Array(repeating: json(body), count: 3))
    let message = try surroundings.reason(ContainerCredentials(surroundings.context(container)))
    #expect(message.contains(reason))
    #expect(!message.contains("hunter2"))
    #expect(surroundings.exchange.requests.count == 1)
  }

  @Test(arguments: [(400, 1), (403, 1), (404, 1), (429, 3), (500, 3), (504, 3)])
  func `are requested again only if a retry may help`(status: Int, requests: Int) throws {
    let surroundings = Surroundings(Array(repeating: json("upstream says no", status: status), count: 3))
    let message = try surroundings.reason(ContainerCredentials(surroundings.context(container)))
    #expect(message.contains("status \(status)"))
    #expect(message.contains("upstream says no"))
    #expect(surroundings.exchange.requests.count == requests)
  }

  @Test func `are requested with the token from the file, which is read each time`() throws {
    let answer = containerAnswer(1, expiration: "2026-01-01T00:04:00Z")
    let surroundings = Surroundings([answer, answer])
    surroundings.files["/token"] = "one"
    let source = ContainerCredentials(
      surroundings.context(
        container.merging([
          "AWS_CONTAINER_AUTHORIZATION_TOKEN": "other", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "/token",
        ]) { $1 }))
    _ = try source.credentials(at: now)
    surroundings.files["/token"] = "two"
    surroundings.time.advance(by: .seconds(60))
    _ = try source.credentials(at: now.advanced(by: .seconds(60)))
    let tokens = surroundings.exchange.requests.map {
      HTTPResponse(status: 0, headers: $0.headers).header("Authorization")
    }
    #expect(tokens == ["one", "two"])
  }

  @Test(arguments: ["one\n", "one\r\nX-Evil: 1", "\u{0}"])
  func `are never requested with a token that contains a line end`(token: String) throws {
    let surroundings = Surroundings()
    let variables = container.merging(["AWS_CONTAINER_AUTHORIZATION_TOKEN": token]) { $1 }
    let message = try surroundings.reason(ContainerCredentials(surroundings.context(variables)))
    #expect(message.contains("AWS_CONTAINER_AUTHORIZATION_TOKEN contains a line end"))
    #expect(surroundings.exchange.requests.isEmpty)
  }

  @Test(arguments: [("http", 1), ("HTTP", 1), ("hTTp", 1), ("https", 0), ("HTTPS", 0)])
  func `are fetched without TLS from allowed addresses only, in any spelling of the scheme`(
    scheme: String, requests: Int
  ) throws {
    let answer = containerAnswer(1, expiration: "2026-01-01T01:00:00Z")
    let allowed = ScriptedExchange([answer])
    var context = Surroundings([answer]).context([
      "AWS_CONTAINER_CREDENTIALS_FULL_URI": "\(scheme)://localhost/creds"
    ])
    context.credentialHostExchange = allowed
    #expect(try ContainerCredentials(context).credentials(at: now)?.accessKeyID == "A1")
    #expect(allowed.requests.count == requests)
  }

  @Test func `over a real socket never go through a proxy`() throws {
    let body = #"{"AccessKeyId":"A","SecretAccessKey":"s"}"#
    let server = try ScriptedServer([
      .close("null"), .keep(httpResponse(body: "null")), .keep(httpResponse(body: body)),
    ])
    defer { server.stop() }
    let environment = Environment([
      "AWS_CONTAINER_CREDENTIALS_FULL_URI": server.url + "/creds", "HTTP_PROXY": "http://127.0.0.1:1",
      "HTTPS_PROXY": "http://127.0.0.1:1", "AWS_CONTAINER_AUTHORIZATION_TOKEN": "t",
    ])
    let log = Log { _, _ in }
    let context = try CredentialContext(
      environment, ConnectionConfiguration(environment), time: ManualTime(wallTime: now), log: log)
    #expect(try ContainerCredentials(context).credentials(at: now)?.accessKeyID == "A")
    #expect(server.received.count == 3)
    #expect(server.received.last?.header("Authorization") == "t")
  }
}

struct `Cached credentials` {
  /// Checks which response is in use at a number of seconds from the start; the first one expires after an hour.
  @Test func `are refreshed five minutes early, at most once a minute, and stay in use while that fails`()
    throws
  {
    let surroundings = Surroundings([containerAnswer(1, expiration: "2026-01-01T01:00:00Z")])
    let source = ContainerCredentials(surroundings.context(container))
    func key(after seconds: Int) throws -> String? {
      let time = now.advanced(by: .seconds(seconds))
      surroundings.time.advance(by: surroundings.time.wallTime.duration(to: time))
      return try source.credentials(at: time)?.accessKeyID
    }
    let requests = { surroundings.exchange.requests.count }
    #expect(try key(after: 0) == "A1")
    #expect(try key(after: 3_299) == "A1")
    #expect(requests() == 1)
    surroundings.exchange.answers = Array(repeating: json("no", status: 403), count: 20)
    #expect(try key(after: 3_300) == "A1")
    #expect(requests() == 2)
    #expect(try key(after: 3_359) == "A1")
    #expect(requests() == 2)
    #expect(try key(after: 3_361) == "A1")
    #expect(requests() == 3)
    // In the last minute: at each use.
    #expect(try key(after: 3_550) == "A1")
    #expect(try key(after: 3_551) == "A1")
    #expect(requests() == 5)
    #expect(surroundings.warnings.count == 4)
    #expect(throws: CredentialError.self) { try key(after: 3_600) }
    surroundings.exchange.answers = [containerAnswer(2, expiration: "2026-01-01T03:00:00Z")]
    #expect(try key(after: 3_601) == "A2")
  }

  @Test func `are kept if newer ones have expired, and expired ones are used if there are no others`() throws
  {
    let expired = containerAnswer(2, expiration: "2025-12-31T23:59:59Z")
    let surroundings = Surroundings([
      containerAnswer(1, expiration: "2026-01-01T00:01:00Z"), expired, expired,
    ])
    let source = ContainerCredentials(surroundings.context(container))
    #expect(try source.credentials(at: now)?.accessKeyID == "A1")
    #expect(try source.credentials(at: now)?.accessKeyID == "A1")
    #expect(surroundings.warnings.last?.contains("The current ones are valid for another 60 s") == true)
    #expect(try source.credentials(at: now.advanced(by: .seconds(60)))?.accessKeyID == "A2")
    #expect(
      surroundings.warnings.last?.contains(
        "container: its credentials expired at 2025-12-31T23:59:59.000Z by this machine's clock")
        == true)
  }

  @Test func `are forgotten after AWS rejects them`() throws {
    let surroundings = Surroundings([
      containerAnswer(1, expiration: "2026-01-01T06:00:00Z"),
      containerAnswer(2, expiration: "2026-01-01T06:00:00Z"),
    ])
    let chain = CredentialChain([ContainerCredentials(surroundings.context(container))])
    let first = try #require(try chain.credentials(at: now))
    #expect(chain.forget(first))
    #expect(!chain.forget(first))
    #expect(try chain.credentials(at: now)?.accessKeyID == "A2")
    #expect(chain.lastSource == "container")
  }
}

struct `The credential chain` {
  @Test func `names the sources that it tried if nothing is configured`() throws {
    let surroundings = Surroundings([.failure(.notConnected("x"))])
    let message = try surroundings.reason(CredentialChain(surroundings.context([:]), roleAlias: nil))
    for name in ["environment", "AWS IoT role alias", "profile", "web identity", "container", "EC2"] {
      #expect(message.contains(name))
    }
  }

  @Test func `stops at a configured source that fails`() throws {
    let surroundings = Surroundings([json("no", status: 403)])
    let variables = container.merging(["AWS_EC2_METADATA_DISABLED": "false"]) { $1 }
    let message = try surroundings.reason(CredentialChain(surroundings.context(variables), roleAlias: nil))
    #expect(message.contains("container"))
    #expect(surroundings.exchange.requests.count == 1)
  }

  @Test(arguments: [
    ["AWS_EC2_METADATA_DISABLED": "True"], ["AWS_LAMBDA_FUNCTION_NAME": "f"], ["SVCUID": "x"],
  ])
  func `doesn't look for EC2 on other platforms`(variables: [String: String]) throws {
    let surroundings = Surroundings()
    _ = try surroundings.reason(CredentialChain(surroundings.context(variables), roleAlias: nil))
    #expect(surroundings.exchange.requests.isEmpty)
  }
}

struct `Credentials of EC2` {
  @Test(arguments: [
    ([json("no", status: 403)], "status 403", 1),
    ([json("token"), json("", status: 404)], "has no role", 2),
    ([json("token"), json("")], "has no role", 2),
    ([json("token"), json("role"), json(#"{"Code":"Failed","Message":"why"}"#)], "Failed: why", 3),
    ([json("token"), json("", status: 401)], "session token", 2),
  ])
  func `are an error with the service's reason`(
    answers: [Result<HTTPResponse, HTTPError>], reason: String, requests: Int
  ) throws {
    let surroundings = Surroundings(answers)
    #expect(try surroundings.reason(InstanceMetadataCredentials(surroundings.context([:]))).contains(reason))
    #expect(surroundings.exchange.requests.count == requests)
  }

  @Test func `are nil if nothing answers`() throws {
    let surroundings = Surroundings([.failure(.timedOut(.connecting, "x"))])
    #expect(try InstanceMetadataCredentials(surroundings.context([:])).credentials(at: now) == nil)
    #expect(surroundings.exchange.timeouts == [.seconds(1)])
  }

  @Test func `aren't reported as missing if the process is asked to stop meanwhile`() throws {
    let surroundings = Surroundings([.failure(.stopped)])
    let message = try surroundings.reason(InstanceMetadataCredentials(surroundings.context([:])))
    #expect(message.contains("EC2 instance metadata: the process was asked to stop"))
  }
}

private let stsAnswer = """
  <AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIA</AccessKeyId>
  <SecretAccessKey>a&amp;b</SecretAccessKey><SessionToken>t</SessionToken><Expiration>2026-01-01T01:00:00Z</Expiration>
  </Credentials></AssumeRoleResult></AssumeRoleResponse>
  """

struct `Credentials of a web identity` {
  private let variables = [
    "AWS_WEB_IDENTITY_TOKEN_FILE": "/jwt", "AWS_ROLE_ARN": "arn:aws:iam::1:role/r",
    "AWS_REGION": "cn-north-1",
  ]

  @Test func `are requested with the token, unsigned, in the region`() throws {
    let surroundings = Surroundings([json(stsAnswer)])
    surroundings.files["/jwt"] = "ey.J+/\n"
    let credentials = try WebIdentityCredentials(surroundings.context(variables)).credentials(at: now)
    #expect(credentials?.secretAccessKey.revealed == "a&b")
    let request = try #require(surroundings.exchange.requests.first)
    #expect(request.url == "https://sts.cn-north-1.amazonaws.com.cn/")
    #expect(request.headers.map(\.name) == ["Content-Type"])
    let body = String(decoding: request.body, as: UTF8.self)
    #expect(
      body.contains(
        "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr"))
    #expect(body.hasSuffix("WebIdentityToken=ey.J%2B%2F"))
  }

  @Test func `are an error with STS's reason`() throws {
    let body =
      "<ErrorResponse><Error><Code>ExpiredTokenException</Code><Message>Token &lt;old&gt;</Message></Error>"
    let surroundings = Surroundings([json(body, status: 400)])
    surroundings.files["/jwt"] = "x"
    let source = WebIdentityCredentials(surroundings.context(variables))
    #expect(try surroundings.reason(source).contains("ExpiredTokenException: Token <old>"))
    surroundings.files = [:]
    #expect(try surroundings.reason(source).contains("/jwt: No such file"))
    let incomplete = WebIdentityCredentials(surroundings.context(["AWS_WEB_IDENTITY_TOKEN_FILE": "/jwt"]))
    #expect(try surroundings.reason(incomplete).contains("AWS_ROLE_ARN isn't. Set both"))
  }

  @Test(arguments: [
    "", "<AccessKeyId>A</AccessKeyId>", "<AccessKeyId>", "<AccessKeyId>&bogus;</AccessKeyId>", "{}",
  ])
  func `are an error if the response contains none`(body: String) throws {
    let surroundings = Surroundings([json(body)])
    surroundings.files["/jwt"] = "x"
    let source = WebIdentityCredentials(surroundings.context(variables))
    #expect(try surroundings.reason(source).contains("contains no credentials"))
  }
}

struct `Credentials of a profile` {
  private func source(_ config: String, _ variables: [String: String] = [:]) -> (
    Surroundings, ProfileCredentials
  ) {
    let surroundings = Surroundings([json(stsAnswer)])
    surroundings.files["/home/.aws/config"] = config
    let all = ["HOME": "/home", "AWS_EC2_METADATA_DISABLED": "true"].merging(variables) { $1 }
    return (surroundings, ProfileCredentials(surroundings.context(all)))
  }

  @Test(arguments: [
    ("[default]\naws_access_key_id = A\n", [:], "no aws_secret_access_key"),
    ("[default]\naws_secret_access_key = hunter2\n", [:], "no aws_access_key_id"),
    ("[default]\naws_access_key_id =\naws_secret_access_key = hunter2\n", [:], "empty key"),
    ("", ["AWS_PROFILE": "x"], "there is no profile 'x' in /home/.aws/config and /home/.aws/credentials"),
    ("[profile x]\nregion = y\n", ["AWS_PROFILE": "x"], "has no credentials"),
    ("[default\n", [:], "the config file, line 1"),
    ("[default]\nrole_arn = r\n", [:], "neither source_profile nor credential_source"),
    ("[default]\nrole_arn = r\nsource_profile = a\ncredential_source = Environment\n", [:], "both"),
    ("[default]\nrole_arn = r\nsource_profile = a\n", [:], "there is no profile 'a'"),
    (
      "[default]\nrole_arn = r\nsource_profile = a\n[profile a]\nrole_arn = s\nsource_profile = default\n",
      [:], "circle"
    ),
    ("[default]\nrole_arn = r\ncredential_source = Moon\n", [:], "Use Environment"),
    ("[default]\nrole_arn = r\ncredential_source = Environment\n", [:], "which has none"),
    ("[default]\nrole_arn = r\nmfa_serial = s\nsource_profile = a\n", [:], "mfa_serial"),
    ("[default]\nsso_session = s\n", [:], "SSO"),
  ])
  func `are an error that says what is missing`(
    config: String, variables: [String: String], reason: String
  ) throws {
    let (surroundings, source) = source(config, variables)
    let message = try surroundings.reason(source)
    #expect(message.contains(reason), "\(message)")
    #expect(!message.contains("hunter2"))
    #expect(surroundings.exchange.requests.isEmpty)
  }

  @Test func `are an error without a quoted line if a file doesn't end`() throws {
    let surroundings = Surroundings()
    var context = surroundings.context(["HOME": "/home", "AWS_SHARED_CREDENTIALS_FILE": "/pipe"])
    context.readFile = { (path, _) throws(Errno) in throw path == "/pipe" ? .wouldBlock : .noSuchFile }
    let message = try surroundings.reason(ProfileCredentials(context))
    #expect(message.contains(": /pipe: it isn't a regular file"), "\(message)")
    #expect(!message.contains(", line ") && !message.contains("unavailable"))
  }

  @Test(arguments: [
    ("login_session = s", "(login_session)"), ("sso_session = s", "(sso_session)"),
    ("sso_account_id = 1", "(sso_account_id)"), ("source_profile = a", "has source_profile, but no role_arn"),
    ("credential_source = Environment", "has credential_source, but no role_arn"),
    ("web_identity_token_file = /t", "has web_identity_token_file, but no role_arn"),
    ("aws_session_token = hunter2", "has aws_session_token, but neither aws_access_key_id"),
    ("aws_security_token = hunter2", "has aws_security_token, but neither aws_access_key_id"),
    ("aws_secret_access_key = hunter2", "has no aws_access_key_id"),
    ("credential_process = exit 3", "credential_process"),
    ("credential_process =", "credential_process is empty"),
    ("credential_process:\t", "credential_process is empty"),
    ("credential_process: echo --profile=x", "credential_process: the output is not JSON"),
    ("sso_start_url: https://example.test/?a=b", "(sso_start_url)"),
    ("aws_access_key_id:AKIA=", "has no aws_secret_access_key"),
    ("login_session\u{a0}=\u{2003}l", "(login_session)"),
    ("\u{a0}login_session = l\nlogin_session = l", "(login_session)"),
    ("login_session\u{200b} = l", "line 3"),
    ("\u{feff}login_session = l", "line 3"), ("login session = l", "line 3"),
    ("role_arn = r", "neither source_profile nor credential_source"),
  ])
  func `end the chain before the container if they are configured but unavailable`(
    property: String, reason: String
  ) throws {
    for (header, chosen) in [("[default]", [:]), ("[profile x]", ["AWS_PROFILE": "x"])] {
      let surroundings = Surroundings([containerAnswer(1, expiration: "2026-01-01T06:00:00Z")])
      surroundings.files["/home/.aws/config"] = "\(header)\nregion = eu-west-1\n\(property)\n"
      let variables = container.merging(["HOME": "/home"]) { $1 }.merging(chosen) { $1 }
      let message = try surroundings.reason(CredentialChain(surroundings.context(variables), roleAlias: nil))
      #expect(message.contains(reason), "\(message)")
      #expect(message.hasPrefix("credentials from profile \(chosen["AWS_PROFILE"] ?? "default")"))
      #expect(!message.contains("hunter2"))
      #expect(surroundings.exchange.requests.isEmpty)
    }
  }

  @Test(arguments: [
    "", "[default]\nregion = x\nmfa_serial = m\n", "[profile other]\naws_access_key_id = A\n",
    "[Default]\naws_access_key_id = A\n",
  ])
  func `are nil if the default profile has none`(config: String) throws {
    #expect(try source(config).1.credentials(at: now) == nil)
  }

  @Test func `assume roles one after another`() throws {
    let (surroundings, source) = source(
      """
      [profile top]
      role_arn = arn:top
      source_profile = middle
      external_id = e/x
      role_session_name = me
      [profile middle]
      role_arn = arn:middle
      source_profile = middle
      aws_access_key_id = AKID
      aws_secret_access_key = s
      """, ["AWS_PROFILE": "top", "AWS_REGION": "eu-west-1"])
    surroundings.exchange.answers = [json(stsAnswer), json(stsAnswer)]
    #expect(try source.credentials(at: now)?.accessKeyID == "ASIA")
    let bodies = surroundings.exchange.requests.map { String(decoding: $0.body, as: UTF8.self) }
    #expect(bodies.count == 2)
    #expect(bodies[0].contains("RoleArn=arn%3Amiddle&RoleSessionName=device-defender-swift"))
    #expect(bodies[1].hasSuffix("RoleArn=arn%3Atop&RoleSessionName=me&ExternalId=e%2Fx"))
    let signers = surroundings.exchange.requests.map {
      HTTPResponse(status: 0, headers: $0.headers).header("Authorization")?.prefix(38)
    }
    #expect(signers == ["AWS4-HMAC-SHA256 Credential=AKID/20260", "AWS4-HMAC-SHA256 Credential=ASIA/20260"])
    // The credentials are cached for as long as they are valid.
    _ = try source.credentials(at: now)
    #expect(surroundings.exchange.requests.count == 2)
  }
}

struct `A credential process` {
  private func result(_ command: String, within timeout: Duration = .seconds(10)) throws -> Credentials? {
    let surroundings = Surroundings()
    surroundings.files["/home/.aws/config"] = "[default]\ncredential_process = \(command)\n"
    let source = ProfileCredentials(surroundings.context(["HOME": "/home", "WORD": "s"]))
    return try source.credentials(at: now, until: surroundings.time.bootTime.advanced(by: timeout))
  }

  @Test func `prints credentials`() throws {
    let json = #"{"Version":1,"AccessKeyId":"A","SecretAccessKey":"s","SessionToken":"t","Expiration":null}"#
    let credentials = try result("printf '%s' '\(json)'; echo ignored >&2")
    #expect(
      credentials == Credentials(accessKeyID: "A", secretAccessKey: Secret("s"), sessionToken: Secret("t")))
  }

  @Test func `gets the environment in which the chain looks for credentials`() throws {
    let command = #"printf '{"Version":1,"AccessKeyId":"A","SecretAccessKey":"%s"}' "$WORD""#
    #expect(try result(command)?.secretAccessKey == Secret("s"))
  }

  @Test(arguments: [
    "echo hunter2 >&2; exit 3", "echo hunter2", #"printf '{"hunter2":1,"hunter2":2}'"#, ": hunter2; exit 3",
    #"printf '{"Version":1,"AccessKeyId":"A","SecretAccessKey":"s","Expiration":"hunter2"}'"#,
  ])
  func `hides its output and command line if it fails`(command: String) throws {
    let error = try #require(throws: CredentialError.self) { try result(command) }
    #expect(!"\(error)".contains("hunter2"), "\(error)")
  }

  @Test func `has its standard error discarded`() throws {
    let json = #"{"Version":1,"AccessKeyId":"A","SecretAccessKey":"s"}"#
    #expect(try result("[ $(readlink /proc/self/fd/2) = /dev/null ] && printf '%s' '\(json)'") != nil)
  }

  @Test(arguments: [
    ("exit 3", "it ended with status 3. Run it by hand"), ("exit 0", "not JSON"),
    ("kill -9 $$", "ended by signal 9"), ("echo '{}'", "Version isn't 1"),
    (#"echo '{"Version":2,"AccessKeyId":"A","SecretAccessKey":"s"}'"#, "Version isn't 1"),
    (#"echo '{"Version":1,"AccessKeyId":"A"}'"#, "has no SecretAccessKey"),
    ("/nonexistent/command", "status 127"), ("cat /dev/zero", "more than 65536 bytes"),
  ])
  func `reports how it failed`(command: String, reason: String) throws {
    let error = try #require(throws: CredentialError.self) { try result(command) }
    #expect("\(error)".contains(reason), "\(error)")
  }

  @Test(arguments: ["sleep 60", "sleep 60 & wait", "exec >&- 2>&-; sleep 60"])
  func `is ended if it takes too long`(command: String) throws {
    let start = BootTime.now
    let error = try #require(throws: CredentialError.self) { try result(command, within: .milliseconds(200)) }
    #expect("\(error)".contains("took too long"))
    #expect(start.duration(to: .now) < .seconds(20))
  }
}

struct `Credentials of a role alias` {
  private static func alias(
    _ name: String = "alias", at url: String = "https://abc.credentials.iot.eu-west-1.amazonaws.com",
    as device: ClientIdentityFiles = ClientIdentityFiles(certificate: "/c", key: "/k")
  ) throws -> IoTRoleAlias {
    IoTRoleAlias(
      name: name, endpoint: try ServiceEndpoint(credentialsProvider: url, namedBy: "url"), thingName: "pump",
      device: device)
  }

  @Test func `are requested with the device's thing name`() throws {
    let body = """
      {"credentials":{"accessKeyId":"A","secretAccessKey":"s","sessionToken":"t","expiration":"2026-01-01T01:00:00Z"}}
      """
    let surroundings = Surroundings([json(body)])
    let source = IoTRoleAliasCredentials(
      try Self.alias("my alias", at: "abc.credentials.iot.eu-west-1.amazonaws.com"),
      surroundings.context([:]),
      exchange: surroundings.exchange)
    #expect(try source.credentials(at: now)?.sessionToken == Secret("t"))
    let request = try #require(surroundings.exchange.requests.first)
    #expect(
      request.url == "https://abc.credentials.iot.eu-west-1.amazonaws.com/role-aliases/my%20alias/credentials"
    )
    #expect(request.headers.map(\.name) == ["x-amzn-iot-thingname"])
  }

  @Test(
    arguments: [
      ([json(#"{"message":"Access Denied"}"#, status: 403)], "Access Denied"),
      ([json("{}")], "no credentials"),
      ([json(#"{"credentials":{"accessKeyId":"A","secretAccessKey":"hunter2"}}"#)], "no sessionToken"),
    ] as [([Result<HTTPResponse, HTTPError>], String)])
  func `are an error with the reason`(answers: [Result<HTTPResponse, HTTPError>], reason: String) throws {
    let surroundings = Surroundings(answers)
    let message = try surroundings.reason(
      IoTRoleAliasCredentials(Self.alias(), surroundings.context([:]), exchange: surroundings.exchange))
    #expect(message.contains(reason), "\(message)")
    #expect(!message.contains("hunter2"))
  }

  @Test func `require an endpoint with TLS`() throws {
    let error = try #require(throws: ServiceEndpointError.self) {
      try ServiceEndpoint(credentialsProvider: "http://x", namedBy: "url")
    }
    #expect("\(error)".contains("it must begin with https://"))
  }

  @Test func `are nil without a role alias`() throws {
    let surroundings = Surroundings()
    let source = IoTRoleAliasCredentials(nil, surroundings.context([:]), exchange: surroundings.exchange)
    #expect(try source.credentials(at: now) == nil)
  }

  @Test func `aren't waited for if the process is asked to stop`() throws {
    let authority = try ThrowawayAuthority()
    let server = try ScriptedServer(
      [.hang], tls: TLSServerContext(authority.issue("server", names: "DNS:localhost")))
    defer { server.stop() }
    let device = try authority.issue("device", names: "DNS:device")
    let environment = Environment(["AWS_CA_BUNDLE": authority.certificateFile])
    let alias = try Self.alias(
      at: "https://localhost:\(server.port)",
      as: ClientIdentityFiles(certificate: device.certificateFile, key: device.keyFile))
    let stop = try StopSwitch()
    let time = SystemWaiter(shutdown: try stop.signal())
    let context = try CredentialContext(
      environment, ConnectionConfiguration(environment), time: time, log: Log { _, _ in })
    stop.stop()
    #expect {
      try IoTRoleAliasCredentials(alias, context).credentials(at: .now)
    } throws: {
      "\($0)".contains("asked to stop")
    }
  }

  @Test func `are issued for the certificate over real TLS`() throws {
    let authority = try ThrowawayAuthority()
    let body = #"{"credentials":{"accessKeyId":"A","secretAccessKey":"s","sessionToken":"t"}}"#
    let server = try ScriptedServer(
      [.keep(httpResponse(body: body))],
      tls: TLSServerContext(
        authority.issue("server", names: "DNS:localhost"), clientAuthority: authority.certificateFile))
    defer { server.stop() }
    let device = try authority.issue("device", names: "DNS:device", keyPassword: "pass")
    let passwordFile = authority.folder + "/password"
    let password = try FileDescriptor(
      owning: retryingOnInterrupt { unsafe open(passwordFile, O_CREAT | O_WRONLY | O_CLOEXEC, 0o600) })
    defer { unsafe unlink(passwordFile) }
    try password.writeAll(Array("pass\n".utf8))
    let environment = Environment(["AWS_CA_BUNDLE": authority.certificateFile])
    let alias = try Self.alias(
      at: "https://localhost:\(server.port)",
      as: ClientIdentityFiles(
        certificate: device.certificateFile, key: device.keyFile, password: passwordFile))
    let context = try CredentialContext(
      environment, ConnectionConfiguration(environment), time: SystemWaiter(shutdown: nil),
      log: Log { _, _ in })
    #expect(try IoTRoleAliasCredentials(alias, context).credentials(at: .now)?.accessKeyID == "A")
    #expect(server.received.first?.handshake?.clientName == "device")
    #expect(server.received.first?.handshake?.serverName == "localhost")
  }

  @Test func `are fetched with the files' current certificate after the connection is renewed`()
    throws
  {
    let authority = try ThrowawayAuthority()
    let answers = ["A", "B"].map { key in
      let body = #"{"credentials":{"accessKeyId":"\#(key)","secretAccessKey":"s","sessionToken":"t"}}"#
      return ScriptedServer.Answer.keep(httpResponse(body: body))
    }
    let server = try ScriptedServer(
      answers,
      tls: TLSServerContext(
        authority.issue("server", names: "DNS:localhost"), clientAuthority: authority.certificateFile))
    defer { server.stop() }
    let device = try authority.issue("device", names: "DNS:device")
    let environment = Environment(["AWS_CA_BUNDLE": authority.certificateFile])
    let alias = try Self.alias(
      at: "https://localhost:\(server.port)",
      as: ClientIdentityFiles(certificate: device.certificateFile, key: device.keyFile))
    let log = Log { _, _ in }
    let time = SystemWaiter(shutdown: nil)
    let context = try CredentialContext(
      environment, ConnectionConfiguration(environment), time: time, log: log)
    let chain = CredentialChain(context, roleAlias: alias)
    #expect(try chain.credentials(at: .now)?.accessKeyID == "A")
    #expect(try chain.credentials(at: .now)?.accessKeyID == "A")
    let other = try authority.issue("other", names: "DNS:other")
    #expect(unsafe rename(other.certificateFile, device.certificateFile) == 0)
    #expect(unsafe rename(other.keyFile, device.keyFile) == 0)
    chain.renew()
    #expect(try chain.credentials(at: .now)?.accessKeyID == "B")
    #expect(server.received.map { $0.handshake?.clientName } == ["device", "other"])
  }

  @Test func `are fetched with renewed files, and with the former pair while the files don't match`() throws {
    let authority = try ThrowawayAuthority()
    let directory = try TemporaryDirectory()
    let body = #"{"credentials":{"accessKeyId":"A","secretAccessKey":"s","sessionToken":"t"}}"#
    let server = try ScriptedServer(
      (1...5).map { _ in .keep(httpResponse(body: body)) },
      tls: TLSServerContext(
        authority.issue("server", names: "DNS:localhost"), clientAuthority: authority.certificateFile))
    defer { server.stop() }
    let device = try authority.issue("device", names: "DNS:device", keyPassword: "pass")
    let files = ClientIdentityFiles(
      certificate: device.certificateFile, key: device.keyFile,
      password: try directory.write("password", "pass\n"))
    let environment = Environment(["AWS_CA_BUNDLE": authority.certificateFile])
    let recorded = RecordedLog()
    let context = try CredentialContext(
      environment, ConnectionConfiguration(environment), time: SystemWaiter(shutdown: nil),
      log: recorded.log())
    let source = IoTRoleAliasCredentials(
      try Self.alias(at: "https://localhost:\(server.port)", as: files), context)
    func fetch() throws { #expect(source.forget(try #require(try source.credentials(at: .now)))) }
    try fetch()
    let other = try authority.issue("other", names: "DNS:other", keyPassword: "new pass")
    #expect(unsafe rename(other.certificateFile, device.certificateFile) == 0)
    try fetch()
    #expect(unsafe rename(other.keyFile, device.keyFile) == 0)
    try fetch()
    // A SIGHUP forgets the connection, but not the former pair.
    source.renew()
    try fetch()
    try directory.write("password", "new pass\n")
    try fetch()
    #expect(
      server.received.map { $0.handshake?.clientName } == ["device", "device", "device", "device", "other"])
    // One line for each reason, and one after the SIGHUP.
    #expect(recorded.lines.count { $0.contains("Kept the former certificate and key") } == 3)
    #expect(!recorded.lines.contains { $0.contains("new pass") })
  }
}
