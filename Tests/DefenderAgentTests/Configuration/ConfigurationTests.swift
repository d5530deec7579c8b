import AWSClient
import DefenderAgent
import DeviceDefender
import Glibc
import HTTPClient
import Platform
import TestSupport
import Testing

@Suite struct `The configuration of the agent` {
  private static let complete = [
    "AWS_IOT_THING_NAME": "thing-1", "AWS_REGION": "eu-central-1",
  ]

  private func configuration(_ variables: [String: String]) throws(ConfigurationError) -> Configuration {
    try Configuration(Environment(Self.complete.merging(variables) { _, given in given }))
  }

  @Test func `requires a thing and a region, and reports both mistakes at once`() throws {
    let error = try #require(
      #expect(throws: ConfigurationError.self) { try Configuration(Environment([:])) })
    #expect(error.mistakes.map(\.variable) == ["AWS_IOT_THING_NAME", "AWS_REGION"])
    #expect(error.description.contains("AWS_REGION isn't set"))
    #expect(error.description.contains("AWS_IOT_THING_NAME isn't set"))
  }

  @Test func `has the documented defaults`() throws {
    let configuration = try configuration([:])
    #expect(configuration.interval == .seconds(300))
    #expect(configuration.minimumInterval == .seconds(300))
    #expect(configuration.format == .json)
    #expect(configuration.names == .long)
    #expect(configuration.procfsPath == "/proc")
    #expect(configuration.isSpread)
    #expect(configuration.limits.maximumListSize == 50)
    #expect(configuration.limits.maximumReportBytes == 131_072)
    #expect(try configuration.topic(for: .cbor).name == "$aws/things/thing-1/defender/metrics/cbor")
  }

  @Test func `reads every variable`() throws {
    let configuration = try configuration([
      "DEFENDER_THING_NAME": "other:thing_2", "SAMPLE_INTERVAL_SECONDS": "600", "PROCFS_PATH": "/host-proc",
      "DEFENDER_TRANSPORT": "https", "DEFENDER_TOPIC": "fleet/{thing}/{format}/{thing}",
      "DEFENDER_FORMAT": "cbor",
      "DEFENDER_NAMES": "short", "DEFENDER_MAX_LIST_SIZE": "0", "DEFENDER_MAX_REPORT_BYTES": "7000",
      "DEFENDER_MINIMUM_INTERVAL_SECONDS": "0.5", "DEFENDER_JITTER": "0",
    ])
    #expect(configuration.interval == .seconds(600))
    #expect(configuration.minimumInterval == .milliseconds(500))
    #expect(configuration.format == .cbor)
    #expect(configuration.names == .short)
    #expect(configuration.procfsPath == "/host-proc")
    #expect(!configuration.isSpread)
    #expect(configuration.limits.maximumListSize == 0)
    #expect(configuration.limits.maximumReportBytes == 7_000)
    #expect(try configuration.topic(for: .cbor).name == "fleet/other:thing_2/cbor/other:thing_2")
  }

  @Test(arguments: ["state", "state/", "state//"])
  func `accepts a state directory that doesn't exist yet, with or without a final slash`(name: String) throws
  {
    let directory = try TemporaryDirectory()
    let path = "\(directory.path)/\(name)"
    #expect(try configuration(["DEFENDER_STATE_DIRECTORY": path]).stateDirectory == path)
  }

  @Test(arguments: ["file", "file/state", "link"])
  func `rejects a state directory that isn't a directory, or whose parent isn't`(name: String) throws {
    let directory = try TemporaryDirectory()
    try directory.write("file", "")
    #expect(unsafe symlink("file", "\(directory.path)/link") == 0)
    let error = try #require(
      #expect(throws: ConfigurationError.self) {
        try configuration(["DEFENDER_STATE_DIRECTORY": "\(directory.path)/\(name)"])
      })
    #expect(error.mistakes.map(\.variable) == ["DEFENDER_STATE_DIRECTORY"])
    #expect(error.description.contains("Not a directory"))
  }

  @Test func `accepts a state directory behind a symbolic link, as systemd creates it`() throws {
    let directory = try TemporaryDirectory()
    #expect(unsafe symlink(".", "\(directory.path)/link") == 0)
    let path = "\(directory.path)/link"
    #expect(try configuration(["DEFENDER_STATE_DIRECTORY": path]).stateDirectory == path)
  }

  // Rounded down, the shortest times would be zero.
  @Test(arguments: [("0.001", 1), ("0.0011", 2), ("0.0019", 2), ("300", 300_000), ("604800", 604_800_000)])
  func `rounds a time up to whole milliseconds`(text: String, milliseconds: Int64) throws {
    let configuration = try configuration([
      "SAMPLE_INTERVAL_SECONDS": text, "DEFENDER_MINIMUM_INTERVAL_SECONDS": text,
    ])
    #expect(configuration.interval == .milliseconds(milliseconds))
    #expect(configuration.minimumInterval == .milliseconds(milliseconds))
  }

  @Test(arguments: [("600", nil, 600), ("60", nil, 300), ("600", 60, 300), ("600", 900, 900)])
  func `raises any requested interval to the minimum`(text: String, wanted: Int?, seconds: Int)
    throws
  {
    let configuration = try configuration(["SAMPLE_INTERVAL_SECONDS": text])
    #expect(configuration.effectiveInterval(wanted: wanted.map { .seconds($0) }) == .seconds(seconds))
  }

  @Test(arguments: [("0", 0), ("0.0001", 1), ("0.0011", 2), ("300", 300_000)])
  func `rounds the time for an answer up to whole milliseconds`(text: String, milliseconds: Int64) throws {
    let configuration = try configuration([
      "DEFENDER_TRANSPORT": "mqtt", "DEFENDER_MQTT_ENDPOINT": "mqtt://127.0.0.1:1",
      "DEFENDER_CONFIRMATION_SECONDS": text,
    ])
    #expect(configuration.confirmationTime == .milliseconds(milliseconds))
  }

  @Test func `uses AWS_DEFAULT_REGION if AWS_REGION is empty`() throws {
    let configuration = try configuration(["AWS_REGION": "", "AWS_DEFAULT_REGION": "us-west-2"])
    #expect(configuration.https?.region == "us-west-2")
  }

  @Test(arguments: [
    ["DEFENDER_TRANSPORT": "mqtt", "DEFENDER_MQTT_ENDPOINT": "wss://abc-ats.iot.eu-west-2.amazonaws.com"],
    ["AWS_ENDPOINT_URL_IOT_DATA_PLANE": "https://abc-ats.iot.eu-west-2.amazonaws.com"],
  ])
  func `signs for the endpoint's region if none is set`(endpoint: [String: String]) throws {
    func region(_ variable: String) throws -> String? {
      let found = try configuration(endpoint.merging(["AWS_REGION": variable]) { $1 })
      return found.mqtt?.region ?? found.https?.region
    }
    #expect(try region("") == "eu-west-2")
    #expect(try region("us-east-1") == "us-east-1")
    let other = endpoint.mapValues { $0.replacing("amazonaws.com", with: "example.com") }
    let error = try #require(throws: ConfigurationError.self) {
      try configuration(other.merging(["AWS_REGION": ""]) { $1 })
    }
    #expect(error.mistakes.map(\.variable) == ["AWS_REGION"])
  }

  @Test func `names the region variable that is invalid`() throws {
    let error = try #require(
      #expect(throws: ConfigurationError.self) {
        try configuration(["AWS_REGION": "", "AWS_DEFAULT_REGION": "EU"])
      })
    #expect(error.mistakes.map(\.variable) == ["AWS_DEFAULT_REGION"])
  }

  @Test(arguments: [
    ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), ("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID"),
  ])
  func `names the missing half of a key pair, but not the other half's value`(
    given: String, missing: String
  ) throws {
    let error = try #require(
      #expect(throws: ConfigurationError.self) { try configuration([given: "half-of-a-pair"]) })
    #expect(error.mistakes.map(\.variable) == [missing])
    #expect(!error.description.contains("half-of-a-pair"))
  }

  @Test func `reports a missing certificate or key at startup`() throws {
    let error = try #require(
      #expect(throws: ConfigurationError.self) {
        try configuration([
          "DEFENDER_TRANSPORT": "mqtt", "DEFENDER_MQTT_ENDPOINT": "localhost",
          "DEFENDER_CERTIFICATE_FILE": "/nonexistent/c.pem",
          "DEFENDER_PRIVATE_KEY_FILE": "/nonexistent/k.pem",
        ])
      })
    #expect(error.mistakes.map(\.variable) == ["DEFENDER_CERTIFICATE_FILE", "DEFENDER_PRIVATE_KEY_FILE"])
    #expect(error.description.contains("'/nonexistent/c.pem', which can't be read: No such file"))
  }

  @Test func `requires no thing if the topic doesn't contain one`() throws {
    let environment = Environment(["AWS_REGION": "eu-central-1", "DEFENDER_TOPIC": "all/{format}"])
    #expect(try Configuration(environment).topic(for: .json).name == "all/json")
  }

  @Test(arguments: [
    ("AWS_REGION", "EU Central"), ("AWS_REGION", "eu-central-1/x"), ("AWS_IOT_THING_NAME", "a b"),
    ("AWS_IOT_THING_NAME", "ding/1"), ("AWS_IOT_THING_NAME", "é"),
    ("DEFENDER_THING_NAME", String(repeating: "x", count: 129)), ("SAMPLE_INTERVAL_SECONDS", "0"),
    ("SAMPLE_INTERVAL_SECONDS", "-1"), ("SAMPLE_INTERVAL_SECONDS", "5m"), ("SAMPLE_INTERVAL_SECONDS", "nan"),
    ("SAMPLE_INTERVAL_SECONDS", "1e9"), ("SAMPLE_INTERVAL_SECONDS", "inf"), ("PROCFS_PATH", "proc"),
    ("DEFENDER_TRANSPORT", "carrier-pigeon"), ("DEFENDER_TOPIC", "a/{Thing}"), ("DEFENDER_TOPIC", "a/{thing"),
    ("DEFENDER_TOPIC", "a/thing}"), ("DEFENDER_TOPIC", "a/+/b"), ("DEFENDER_TOPIC", "#"),
    ("DEFENDER_FORMAT", "JSON"), ("DEFENDER_NAMES", "medium"), ("DEFENDER_MAX_LIST_SIZE", "-1"),
    ("DEFENDER_MAX_LIST_SIZE", "many"), ("DEFENDER_MAX_LIST_SIZE", "100001"),
    ("DEFENDER_CONFIRMATION_SECONDS", "301"), ("DEFENDER_CONFIRMATION_SECONDS", "-1"),
    ("DEFENDER_ACKNOWLEDGE", "accepted"), ("DEFENDER_MAX_REPORT_BYTES", "511"),
    ("DEFENDER_MAX_REPORT_BYTES", "131073"), ("DEFENDER_JITTER", "yes"),
    ("DEFENDER_MINIMUM_INTERVAL_SECONDS", "0"), ("AWS_ENDPOINT_URL_IOT_DATA_PLANE", "localhost:8883"),
    ("AWS_ENDPOINT_URL", "ftp://localhost"), ("DEFENDER_CUSTOM_METRICS", "cpu_usage,nonsense"),
    ("DEFENDER_CUSTOM_METRICS_COMMAND", "metrics.sh"),
    ("DEFENDER_CUSTOM_METRICS_COMMAND", "/nonexistent/metrics"), ("DEFENDER_STATE_DIRECTORY", "state"),
    ("DEFENDER_STATE_DIRECTORY", "/nonexistent/parent/state"), ("AWS_REGION", "-"),
    ("AWS_REGION", "eu-west-1-"),
    ("AWS_REGION", String(repeating: "a", count: 64)), ("AWS_CA_BUNDLE", "/nonexistent/ca.pem"),
    ("SSL_CERT_FILE", "/dev/null"), ("DEFENDER_ALLOW_PLAIN_HTTP", "true"),
    ("DEFENDER_TOPIC", String(repeating: "x", count: 250) + "/{thing}"),
  ])
  func `names the variable that has a mistake`(variable: String, value: String) throws {
    let error = try #require(
      #expect(throws: ConfigurationError.self) { try configuration([variable: value]) })
    #expect(error.mistakes.map(\.variable) == [variable])
  }

  /// A change to the variables of a role alias, and the variable of the mistake that it causes.
  @Test(
    arguments: [
      (["DEFENDER_CREDENTIALS_ENDPOINT": ""], "DEFENDER_CREDENTIALS_ENDPOINT"),
      (["DEFENDER_CREDENTIALS_ENDPOINT": "http://x"], "DEFENDER_CREDENTIALS_ENDPOINT"),
      (["DEFENDER_CREDENTIALS_ENDPOINT": "a b"], "DEFENDER_CREDENTIALS_ENDPOINT"),
      (["DEFENDER_CREDENTIALS_ENDPOINT": "x?y"], "DEFENDER_CREDENTIALS_ENDPOINT"),
      (["DEFENDER_ROLE_ALIAS": ""], "DEFENDER_ROLE_ALIAS"),
      (["DEFENDER_ROLE_ALIAS": "my alias"], "DEFENDER_ROLE_ALIAS"),
      (["DEFENDER_PRIVATE_KEY_FILE": ""], "DEFENDER_PRIVATE_KEY_FILE"),
      (["DEFENDER_CERTIFICATE_FILE": "", "DEFENDER_PRIVATE_KEY_FILE": ""], "DEFENDER_CERTIFICATE_FILE"),
    ] as [([String: String], String)],
    [
      ["DEFENDER_TRANSPORT": "https"], ["DEFENDER_TRANSPORT": "greengrass"],
      ["DEFENDER_TRANSPORT": "mqtt", "DEFENDER_MQTT_ENDPOINT": "wss://localhost"],
      ["DEFENDER_TRANSPORT": "mqtt", "DEFENDER_MQTT_ENDPOINT": "localhost"],
    ])
  func `reports a mistake in a role alias at startup, with the other mistakes`(
    change: (variables: [String: String], mistake: String), transport: [String: String]
  ) throws {
    let directory = try TemporaryDirectory()
    var variables = [
      "DEFENDER_ROLE_ALIAS": "alias", "DEFENDER_CREDENTIALS_ENDPOINT": "abc.credentials.iot.example.com",
      "DEFENDER_CERTIFICATE_FILE": try directory.write("c", ""),
      "DEFENDER_PRIVATE_KEY_FILE": try directory.write("k", ""),
    ].merging(transport) { $1 }
    #expect(throws: Never.self) { try configuration(variables) }
    variables.merge(change.variables) { $1 }
    variables["SAMPLE_INTERVAL_SECONDS"] = "soon"
    let error = try #require(throws: ConfigurationError.self) { try configuration(variables) }
    #expect(
      error.mistakes.map(\.variable).sorted() == [change.mistake, "SAMPLE_INTERVAL_SECONDS"].sorted(),
      "\(error)")
    #expect("\(error)".contains("SAMPLE_INTERVAL_SECONDS is 'soon'"), "\(error)")
  }

  @Test(arguments: [nil, "", "0", "1"])
  func `allows requests to any host without TLS only if DEFENDER_ALLOW_PLAIN_HTTP is 1`(value: String?) throws
  {
    let access = try configuration(["DEFENDER_ALLOW_PLAIN_HTTP": value ?? ""]).access
    let isAnywhere = if case .any = access.connection.addressesWithoutTLS { true } else { false }
    #expect(isAnywhere == (value == "1"))
  }

  /// A later source in the chain would sign with another identity.
  @Test func `provides no credentials if the role alias is invalid`() throws {
    var mistakes: [ConfigurationError.Mistake] = []
    let environment = Environment(Self.complete.merging(["DEFENDER_ROLE_ALIAS": "alias"]) { $1 })
    let configuration = Configuration(environment, noting: &mistakes)
    #expect(!mistakes.isEmpty)
    #expect(throws: CredentialError.self) {
      try configuration.access.credentials(time: ManualTime(), log: Log { _, _ in })
    }
  }

  @Test func `names a password file that can't be read`() throws {
    let directory = try TemporaryDirectory()
    let error = try #require(throws: ConfigurationError.self) {
      try configuration([
        "DEFENDER_CERTIFICATE_FILE": try directory.write("c", ""),
        "DEFENDER_PRIVATE_KEY_FILE": try directory.write("k", ""),
        "DEFENDER_PRIVATE_KEY_PASSWORD_FILE": "/nonexistent/password",
        "AWS_ENDPOINT_URL_IOT_DATA_PLANE": "https://localhost",
      ])
    }
    #expect(error.mistakes.map(\.variable) == ["DEFENDER_PRIVATE_KEY_PASSWORD_FILE"])
    #expect("\(error)".contains("is '/nonexistent/password', which can't be read: No such file"), "\(error)")
  }

  @Test func `names the missing interpreter of a metrics command`() throws {
    let directory = try TemporaryDirectory()
    let path = try directory.writeProgram("metrics", "#!/bin/sh\r\n")
    let error = try #require(throws: ConfigurationError.self) {
      try configuration(["DEFENDER_CUSTOM_METRICS_COMMAND": path])
    }
    #expect(error.mistakes.map(\.variable) == ["DEFENDER_CUSTOM_METRICS_COMMAND"])
    #expect("\(error)".contains("interpreter '/bin/sh"))
  }

  /// The content of the password file, the password of the key, and the mistake, if any.
  @Test(
    arguments: [
      ("pass", "pass", nil), ("pass\n", "pass", nil), ("pass\r\n", "pass", nil), ("pa ss \n", "pa ss ", nil),
      ("\tpass", "\tpass", nil), (" pass\n", "pass", "is wrong"), ("pass \n", "pass", "is wrong"),
      ("pass\n\n", "pass", "is wrong"), ("other", "pass", "is wrong"), ("", "pass", "is encrypted"),
      ("\n", "pass", "is encrypted"), (nil, "pass", "is encrypted"), ("pass", nil, nil), (nil, nil, nil),
    ] as [(String?, String?, String?)])
  func `reports a wrong password whatever the key is used for`(
    contents: String?, password: String?, complaint: String?
  ) throws {
    let authority = try ThrowawayAuthority()
    let device = try authority.issue("device", names: "DNS:device", keyPassword: password)
    let directory = try TemporaryDirectory()
    var variables = [
      "DEFENDER_CERTIFICATE_FILE": device.certificateFile, "DEFENDER_PRIVATE_KEY_FILE": device.keyFile,
      "AWS_ENDPOINT_URL_IOT_DATA_PLANE": "https://localhost",
    ]
    if let contents {
      variables["DEFENDER_PRIVATE_KEY_PASSWORD_FILE"] = try directory.write("password", contents)
    }
    let uses: [[String: String]] = [
      ["DEFENDER_TRANSPORT": "https"],
      [
        "DEFENDER_TRANSPORT": "https", "DEFENDER_ROLE_ALIAS": "a",
        "DEFENDER_CREDENTIALS_ENDPOINT": "localhost",
      ],
      ["DEFENDER_TRANSPORT": "mqtt", "DEFENDER_MQTT_ENDPOINT": "localhost"],
    ]
    for use in uses {
      let result = Result { try configuration(variables.merging(use) { $1 }) }
      guard let complaint else {
        #expect(throws: Never.self) { try result.get() }
        continue
      }
      let error = try #require(throws: ConfigurationError.self) { try result.get() }
      #expect(error.mistakes.map(\.variable) == ["DEFENDER_PRIVATE_KEY_FILE"])
      #expect("\(error)".contains(complaint) && "\(error)".contains(device.keyFile), "\(error)")
      #expect(!"\(error)".contains("pass\n") && !"\(error)".contains("other "))
    }
  }
}
