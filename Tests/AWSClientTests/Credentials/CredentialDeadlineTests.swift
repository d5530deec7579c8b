import HTTPClient
import Platform
import TestSupport
import Testing

@testable import AWSClient

private let now = WallTime(secondsSinceEpoch: 1_767_225_600)  // 2026-01-01T00:00:00Z

/// Services and files that take time, on a clock that only they advance.
private final class SlowWorld: HTTPExchange {
  let time = ManualTime(wallTime: now)
  var files: [String: String] = [:]
  /// The duration of the next call, if its time limit allows that.
  var duration: () -> Duration
  /// Whether the next request gets status 500.
  var fails: () -> Bool = { false }
  private(set) var requests = 0
  /// The maximum wait for each file.
  private(set) var patience: [Duration] = []

  init(_ duration: @escaping () -> Duration) {
    self.duration = duration
  }

  func context(_ variables: [String: String]) -> CredentialContext {
    var context = CredentialContext(Environment(variables), exchange: self, time: time, log: Log { _, _ in })
    context.readFile = { (path, patience) throws(Errno) in
      self.patience.append(patience)
      guard let text = self.files[path] else { throw .noSuchFile }
      guard self.spend(upTo: patience) else { throw .wouldBlock }
      return Array(text.utf8)
    }
    return context
  }

  func exchange(_ request: HTTPRequest, timeout: Duration) throws(HTTPError) -> HTTPResponse {
    requests += 1
    guard spend(upTo: timeout) else { throw .timedOut(.answering, "too slow") }
    if fails() { return HTTPResponse(status: 500) }
    return HTTPResponse(status: 200, body: Array(body(of: request).utf8))
  }

  /// Advances the clock by the duration of one call; returns false if the call's time limit was too short.
  private func spend(upTo limit: Duration) -> Bool {
    let wanted = duration()
    time.advance(by: max(.zero, min(wanted, limit)))
    return wanted <= limit
  }

  private func body(of request: HTTPRequest) -> String {
    if request.method == "PUT" { return "token" }
    if request.url.hasSuffix("/security-credentials/") { return "role" }
    if request.method == "POST" {
      return "<AccessKeyId>A</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>"
        + "<Expiration>2026-01-01T01:00:00Z</Expiration>"
    }
    let fields = #""Expiration":"2026-01-01T01:00:00Z""#
    return #"{"AccessKeyId":"A","SecretAccessKey":"s","Token":"t",\#(fields),"credentials":"#
      + #"{"accessKeyId":"A","secretAccessKey":"s","sessionToken":"t"}}"#
  }
}

private func alias(as device: ClientIdentityFiles) -> IoTRoleAlias? {
  (try? ServiceEndpoint(url: "https://iot.example.com")).map {
    IoTRoleAlias(name: "a", endpoint: $0, thingName: nil, device: device)
  }
}

/// A way to obtain credentials, with the calls that it blocks in.
private struct Route: Sendable, CustomTestStringConvertible {
  let name: String
  var variables: [String: String] = [:]
  var files: [String: String] = [:]
  var roleAlias: IoTRoleAlias?

  var testDescription: String { name }

  func credentials(in world: SlowWorld, within timeout: Duration) throws -> Credentials? {
    world.files = files
    let variables = ["HOME": "/home", "AWS_EC2_METADATA_DISABLED": "true"].merging(variables) { $1 }
    let context = world.context(variables)
    let deadline = world.time.bootTime.advanced(by: timeout)
    if let roleAlias {
      return try IoTRoleAliasCredentials(roleAlias, context, exchange: world)
        .credentials(at: now, until: deadline)
    }
    return try CredentialChain(context, roleAlias: nil).credentials(at: now, until: deadline)
  }

  static let all = [
    Route(
      name: "four roles",
      files: [
        "/home/.aws/config": """
        [default]
        role_arn = a
        source_profile = b
        [profile b]
        role_arn = b
        source_profile = c
        [profile c]
        role_arn = c
        source_profile = d
        [profile d]
        role_arn = d
        source_profile = e
        """, "/home/.aws/credentials": "[e]\naws_access_key_id = A\naws_secret_access_key = s\n",
      ]),
    Route(
      name: "a role of a container's",
      variables: [
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://localhost/",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "/t",
      ], files: ["/home/.aws/config": "[default]\nrole_arn=a\ncredential_source=EcsContainer\n", "/t": "t"]),
    Route(
      name: "a role of EC2's",
      variables: ["AWS_EC2_METADATA_DISABLED": "false", "AWS_METADATA_SERVICE_TIMEOUT": "60"],
      files: ["/home/.aws/config": "[default]\nrole_arn=a\ncredential_source=Ec2InstanceMetadata\n"]),
    Route(
      name: "a role of a web identity's",
      files: [
        "/home/.aws/config":
          "[default]\nrole_arn=a\nsource_profile=b\n[profile b]\nrole_arn=b\nweb_identity_token_file=/t\n",
        "/t": "t",
      ]),
    Route(
      name: "EC2", variables: ["AWS_EC2_METADATA_DISABLED": "false", "AWS_METADATA_SERVICE_TIMEOUT": "60"],
      files: ["/home/.aws/config": "[default]\nregion=a\n"]),
    Route(
      name: "web identity", variables: ["AWS_WEB_IDENTITY_TOKEN_FILE": "/t", "AWS_ROLE_ARN": "r"],
      files: ["/t": "t"]),
    Route(
      name: "container",
      variables: [
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://localhost/",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "/t",
      ], files: ["/t": "t"]),
    Route(name: "role alias", roleAlias: alias(as: ClientIdentityFiles(certificate: "/c", key: "/k"))),
  ]
}

struct `The deadline for credentials` {
  @Test(arguments: Route.all)
  fileprivate func `bounds the total time of all steps, whether they are slow or fail`(route: Route) throws {
    for seed in 1...200 as ClosedRange<UInt64> {
      var random = SeededRandom(seed: seed)
      let world = SlowWorld { .milliseconds(Int64(random.next() % 8_000)) }
      world.fails = { random.next() % 3 == 0 }
      let start = world.time.bootTime
      let found = try? route.credentials(in: world, within: .seconds(10))
      #expect(start.duration(to: world.time.bootTime) <= .seconds(10), "seed \(seed)")
      #expect(found == nil || found?.accessKeyID == "A")
    }
  }

  @Test(arguments: Route.all)
  fileprivate func `leaves enough time if every step is fast`(route: Route) throws {
    let world = SlowWorld { .milliseconds(100) }
    #expect(try route.credentials(in: world, within: .seconds(10))?.accessKeyID == "A")
  }

  @Test(arguments: Route.all)
  fileprivate func `prevents any request once it has passed`(route: Route) throws {
    let world = SlowWorld { .zero }
    #expect(throws: CredentialError.self) { try route.credentials(in: world, within: .zero) }
    #expect(world.requests == 0)
  }

  @Test func `doesn't imply that EC2 is absent once it has passed`() throws {
    let world = SlowWorld { .zero }
    let source = InstanceMetadataCredentials(world.context([:]))
    let error = try #require(throws: CredentialError.self) {
      try source.credentials(at: now, until: world.time.bootTime)
    }
    #expect("\(error)".contains("the deadline passed before"), "\(error)")
  }

  @Test func `leaves each step its own limit if it is far away`() throws {
    let exchange = ScriptedExchange(
      ["token", "role", "{}"].map { .success(HTTPResponse(status: 200, body: Array($0.utf8))) })
    let context = CredentialContext(
      Environment([:]), exchange: exchange, time: ManualTime(wallTime: now), log: Log { _, _ in })
    _ = try? InstanceMetadataCredentials(context).credentials(at: now, until: .distantFuture)
    #expect(exchange.timeouts == [.seconds(1), .seconds(1), .seconds(1)])
    let process = CredentialProcess(
      command: "sleep 60", environment: Environment(["PATH": "/usr/bin:/bin"]),
      time: SystemWaiter(shutdown: nil), longestTime: .milliseconds(100))
    let start = BootTime.now
    #expect(throws: CredentialFailure.self) { try process.credentials(until: .distantFuture) }
    #expect(start.duration(to: .now) < .seconds(30))
  }

  @Test func `bounds the wait for files, at most five seconds each`() throws {
    let world = SlowWorld { .seconds(4) }
    world.files = ["/home/.aws/config": "[default]\n", "/home/.aws/credentials": "[default]\n"]
    let source = ProfileCredentials(world.context(["HOME": "/home"]))
    let deadline = world.time.bootTime.advanced(by: .seconds(7))
    #expect(throws: CredentialError.self) { try source.credentials(at: now, until: deadline) }
    #expect(world.patience == [.seconds(5), .seconds(3)])
  }

  @Test func `bounds the wait for the password of a private key`() throws {
    let world = SlowWorld { .seconds(4) }
    let context = world.context([:])
    let roleAlias = try #require(
      alias(as: ClientIdentityFiles(certificate: "/c", key: "/k", password: "/p")))
    let deadline = world.time.bootTime.advanced(by: .seconds(3))
    #expect(throws: CredentialError.self) {
      try IoTRoleAliasCredentials(roleAlias, context).credentials(at: now, until: deadline)
    }
    #expect(world.patience == [.seconds(3)])
  }

  @Test func `ends a credential process that gets the time left by slow files`() throws {
    let world = SlowWorld { .milliseconds(4_900) }
    world.files = [
      "/home/.aws/config": "[default]\ncredential_process = sleep 60\n", "/home/.aws/credentials": "",
    ]
    let source = ProfileCredentials(world.context(["HOME": "/home"]))
    let deadline = world.time.bootTime.advanced(by: .seconds(10))
    let start = BootTime.now
    let error = try #require(throws: CredentialError.self) {
      try source.credentials(at: now, until: deadline)
    }
    #expect("\(error)".contains("took too long"), "\(error)")
    // 0.2 s are left for it; a new time limit would be 10 s.
    #expect(start.duration(to: .now) < .seconds(8))
  }
}
