import AWSClient
import HTTPClient
import Platform
import TestSupport
import Testing
import WireFormats

/// A time long before any of the vectors' credentials expire.
private let past = WallTime(secondsSinceEpoch: 1_000_000_000)

/// Replays the responses of a vector in order, and records how the requests differ from the expected ones.
private final class ReplayedExchange: HTTPExchange {
  private var steps: [JSONValue]
  private(set) var mismatches: [String] = []

  init(_ steps: [JSONValue]) {
    self.steps = steps
  }

  var isFinished: Bool { steps.isEmpty }

  func exchange(_ request: HTTPRequest, timeout: Duration) throws(HTTPError) -> HTTPResponse {
    guard !steps.isEmpty else { throw .notConnected("no more answers") }
    let step = steps.removeFirst()
    let expected = step["request"]
    if request.method != expected?["method"]?.string { mismatches.append("method \(request.method)") }
    if request.url != expected?["uri"]?.string { mismatches.append("URL \(request.url)") }
    let sent = HTTPResponse(status: 0, headers: request.headers)
    for header in expected?["headers"]?.members ?? [] where !dependsOnTheClient.contains(header.name) {
      let value = header.value.array?.first?.string
      if sent.header(HeaderName(header.name)) != value {
        mismatches.append("\(header.name): \(sent.header(HeaderName(header.name)) ?? "")")
      }
    }
    let response = step["response"]
    return HTTPResponse(
      status: response?["status"]?.integer() ?? 0, body: Array((response?["body"]?.string ?? "").utf8))
  }

  private let dependsOnTheClient: Set<String> = ["authorization", "x-amz-date", "content-length", "host"]
}

private func context(
  _ vector: Vector, _ exchange: any HTTPExchange, files: [JSONValue.Member]
) -> CredentialContext {
  var context = CredentialContext(
    environment(vector), exchange: exchange, time: ManualTime(wallTime: past), log: Log { _, _ in })
  context.readFile = { (path, _) throws(Errno) in
    guard let file = files.first(where: { $0.name == path }), let text = file.value.string else {
      throw .noSuchFile
    }
    return Array(text.utf8)
  }
  return context
}

private func environment(_ vector: Vector) -> Environment {
  let variables = (vector["env"]?.members ?? []).map { ($0.name, $0.value.string ?? "") }
  return Environment(Dictionary(variables) { $1 })
}

struct `Credential vectors` {
  @Test(arguments: [
    ("credential-chain", 10), ("container-uri", 8), ("imds-endpoint", 6), ("profile-parser", 26),
  ])
  func `are all there`(file: String, count: Int) throws {
    #expect(try fixtureLines("credentials/\(file).jsonl").count == count)
  }

  @Test(arguments: Vector.all("credentials/credential-chain.jsonl"))
  func `find the expected credentials with the expected requests`(vector: Vector) throws {
    let exchange = ReplayedExchange(vector["http"]?.array ?? [])
    let context = context(vector, exchange, files: vector["files"]?.members ?? [])
    let isWholeChain = vector.testDescription.hasPrefix("default/")
    let source: any CredentialSource =
      isWholeChain ? CredentialChain(context, roleAlias: nil) : ProfileCredentials(context)
    let result = Result { try source.credentials(at: past) }
    #expect(exchange.mismatches == [])
    #expect(exchange.isFinished)
    guard let expected = vector["result", "Ok"] else {
      #expect((try? result.get()) == nil)
      return
    }
    let credentials = try #require(try result.get())
    #expect(credentials.accessKeyID == expected["access_key_id"]?.string)
    #expect(credentials.secretAccessKey.revealed == expected["secret_access_key"]?.string)
    #expect(credentials.sessionToken?.revealed == expected["session_token"]?.string)
    #expect(credentials.expiration?.secondsSinceEpoch == expected["expiry"]?.integer())
  }

  @Test(arguments: Vector.all("credentials/container-uri.jsonl"))
  func `allow or reject a container's address`(vector: Vector) {
    let result = Result { try ContainerCredentials.url(environment(vector)) }
    if let expected = vector["result", "Ok"]?.string {
      #expect((try? result.get()) == expected)
    } else {
      #expect(throws: CredentialError.self) { try result.get() }
    }
  }

  @Test(arguments: Vector.all("credentials/imds-endpoint.jsonl"))
  func `find EC2's metadata service`(vector: Vector) throws {
    let files = vector["fs"]?.members ?? []
    let context = context(vector, ReplayedExchange([]), files: files)
    let endpoint = try InstanceMetadataCredentials.endpoint(
      environment(vector), profile: ProfileCredentials(context).settings(until: .distantFuture),
      mode: vector["mode_override"]?.string)
    #expect(endpoint.url("/latest/api/token") == vector["result", "Ok"]?.string)
  }

  @Test(arguments: Vector.all("credentials/profile-parser.jsonl"))
  func `read the shared files`(vector: Vector) throws {
    let result = Result {
      try ProfileSet(
        config: vector["input", "configFile"]?.string ?? "",
        credentials: vector["input", "credentialsFile"]?.string ?? "")
    }
    // The provider chain must not skip what botocore reads: `:` is a separator, too, and an unknown name may be a
    // misspelled key. An empty dictionary stands for an error.
    let asBotocore: [String: [String: Profile]] = [
      "Property definitions must contain an equals sign.": ["foo": ["key": "value"]],
      "Invalid property names are ignored.": [:],
    ]
    if let expected = asBotocore[vector["name"]?.string ?? ""] {
      #expect(((try? result.get())?.profiles ?? [:]) == expected)
      return
    }
    if vector["output", "errorContaining"] != nil {
      #expect(throws: ProfileError.self) { try result.get() }
      return
    }
    let set = try result.get()
    #expect(set.profiles == sections(vector["output", "config", "profiles"]))
  }

  private func sections(_ value: JSONValue?) -> [String: Profile] {
    let pairs = (value?.members ?? []).map { section in
      (section.name, Profile((section.value.members ?? []).map { ($0.name, $0.value.string ?? "") }) { $1 })
    }
    return Dictionary(pairs) { $1 }
  }
}
