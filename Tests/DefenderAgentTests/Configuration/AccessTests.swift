import DefenderAgent
import Platform
import Testing

@Suite struct `Access to AWS` {
  private let keys = ["AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "do-not-print"]

  @Test(arguments: [
    ["DEFENDER_PRIVATE_KEY_FILE": "/nonexistent/device.key"],
    [
      "DEFENDER_CERTIFICATE_FILE": "/nonexistent/device.pem",
      "DEFENDER_PRIVATE_KEY_FILE": "/nonexistent/device.key",
    ],
  ])
  func `ignores an unused certificate, but reports its mistakes if a role alias uses it`(
    certificate: [String: String]
  ) throws {
    let environment = Environment(keys.merging(certificate) { $1 })
    _ = try Access(environment)
    let error = try #require(throws: ConfigurationError.self) {
      try Access(environment.with(["DEFENDER_ROLE_ALIAS": "alias"]))
    }
    let variables = error.mistakes.map(\.variable)
    #expect(variables.contains("DEFENDER_CREDENTIALS_ENDPOINT"))
    #expect(variables.contains { $0 == "DEFENDER_CERTIFICATE_FILE" || $0 == "DEFENDER_PRIVATE_KEY_FILE" })
  }

  @Test func `never prints a secret`() throws {
    let access = try Access(Environment(keys))
    var dumped = ""
    dump(access, to: &dumped)
    #expect(!"\(access) \(String(reflecting: access)) \(dumped)".contains("do-not-print"))
  }
}
