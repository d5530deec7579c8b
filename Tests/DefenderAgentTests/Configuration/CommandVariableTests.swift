import DefenderAgent
import Platform
import Testing

@Suite struct `DEFENDER_COMMAND_TOPIC` {
  private static let base = [
    "DEFENDER_TRANSPORT": "mqtt", "DEFENDER_MQTT_ENDPOINT": "mqtt://127.0.0.1:1",
    "AWS_IOT_THING_NAME": "pump-7",
  ]

  private func mistakes(_ variables: [String: String]) -> [ConfigurationError.Mistake] {
    var mistakes: [ConfigurationError.Mistake] = []
    _ = Configuration(Environment(Self.base.merging(variables) { $1 }), noting: &mistakes)
    return mistakes
  }

  @Test func `is a topic, to which the responses' topic belongs`() throws {
    var variables = Self.base
    variables["DEFENDER_COMMAND_TOPIC"] = "defender/{thing}/command"
    let configuration = try Configuration(Environment(variables))
    #expect(configuration.commandTopics?.commands.name == "defender/pump-7/command")
    #expect(configuration.commandTopics?.responses.name == "defender/pump-7/command/response")
    #expect(configuration.mqtt?.settings.commandTopics == configuration.commandTopics)
    #expect(try Configuration(Environment(Self.base)).commandTopics == nil)
  }

  @Test(
    arguments: [
      ("a/{format}", [:], "is 'a/{format}'; the only placeholder is {thing}"),
      ("a/{thing", [:], "the only placeholder is {thing}"),
      ("a/+/b", [:], "the wildcard '+'"), ("#", [:], "the wildcard '#'"),
      ("$aws/things/{thing}/jobs", [:], "a reserved topic; commands need a topic of your own"),
      ("$SYS/x", [:], "a reserved topic"),
      ("a/b/c/d/e/f/g/h", [:], "has 8 slashes"),
      (String(repeating: "x", count: 248), [:], "is 257 bytes of UTF-8 long"),
      ("own/json", ["DEFENDER_TOPIC": "own/{format}"], "need other topics than DEFENDER_TOPIC"),
      ("own", ["DEFENDER_TOPIC": "own/response"], "need other topics than DEFENDER_TOPIC"),
      (
        "defender/{thing}/violations", ["DEFENDER_SECURITY_PROFILES": "/p"],
        "need other topics than DEFENDER_VIOLATIONS_TOPIC"
      ),
      (
        "c/{thing}", ["AWS_IOT_THING_NAME": "", "DEFENDER_TOPIC": "t", "DEFENDER_CLIENT_ID": "c"], "isn't set"
      ),
      (
        "c", ["DEFENDER_TRANSPORT": "https", "AWS_REGION": "eu-central-1"],
        "commands need a connection that stays open; set DEFENDER_TRANSPORT to mqtt or greengrass instead of https"
      ),
      (
        "c", ["DEFENDER_CONNECTION": "per-report"],
        "commands need a connection that stays open; set DEFENDER_CONNECTION to persistent instead of per-report"
      ),
      ("c", ["AWS_LAMBDA_RUNTIME_API": "127.0.0.1:1"], "Lambda freezes a function between invocations"),
    ] as [(String, [String: String], String)])
  func `is rejected with the reason, and only once`(
    topic: String, others: [String: String], problem: String
  ) {
    let found = mistakes(others.merging(["DEFENDER_COMMAND_TOPIC": topic]) { $1 })
    #expect(found.map(\.variable) == ["DEFENDER_COMMAND_TOPIC"], "\(found)")
    #expect(found.first.map { "\($0.problem)".contains(problem) } == true, "\(found)")
  }

  @Test func `is reported with the other variables' mistakes`() {
    let found = mistakes(["DEFENDER_COMMAND_TOPIC": "a/#", "DEFENDER_FORMAT": "xml"])
    #expect(Set(found.map(\.variable)) == ["DEFENDER_COMMAND_TOPIC", "DEFENDER_FORMAT"])
  }

  @Test func `may be as long as AWS IoT allows`() {
    #expect(mistakes(["DEFENDER_COMMAND_TOPIC": String(repeating: "x", count: 247)]).isEmpty)
    #expect(mistakes(["DEFENDER_COMMAND_TOPIC": "a/b/c/d/e/f/g"]).isEmpty)
    #expect(mistakes(["DEFENDER_COMMAND_TOPIC": "c", "DEFENDER_TRANSPORT": "greengrass"]).isEmpty)
  }
}
