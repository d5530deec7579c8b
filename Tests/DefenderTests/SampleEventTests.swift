import ArgumentParser
import TestSupport
import Testing
import WireFormats

@testable import defender

@Suite struct `Sample events` {
  @Test func `are the events that the tests of LambdaEvents read, each with its own name`() throws {
    let files = try fixtureFiles("events")
    #expect(files.count > 20)
    #expect(
      SampleEvent.all.map(\.bytes).sorted { $0.lexicographicallyPrecedes($1) }
        == files.sorted { $0.lexicographicallyPrecedes($1) })
    #expect(Set(SampleEvent.all.map(\.name)).count == files.count)
    for name in [
      "sqs", "apigw-v1", "apigw-v2", "function-url", "alb", "s3", "sns", "kinesis", "dynamodb",
      "eventbridge", "schedule", "iot-rule",
    ] {
      #expect(SampleEvent.all.contains { $0.name == name }, "\(name)")
    }
  }
}

@Suite struct `Wrong options about functions` {
  @Test(arguments: [
    (["--sample", "sqz"], "Did you mean 'sqs'? The events are apigw-v1, "),
    (["--sample", ""], "The events are apigw-v1, "),
    (["--sample", "sqs", "--event", "{}"], "--event and --sample are both given"),
    (["--handler", ""], "--handler '' isn't valid"), (["--handler", "a b"], "--handler 'a b' isn't valid"),
    (["--handler", String(repeating: "a", count: 129)], "Use 1 to 128 characters"),
    (["--handler", "a", "--env", "_HANDLER=b"], "Use --handler."),
    (["--log-type", "tail"], "'None' and 'Tail'"),
  ])
  func `of invoke are rejected with the reason`(options: [String], reason: String) throws {
    let error = try #require(throws: (any Error).self) { _ = try Defender.parseAsRoot(["invoke"] + options) }
    let text = Defender.fullMessage(for: error, columns: 1_000)
    #expect(text.contains(reason), "\(text)")
  }

  @Test(arguments: [
    (["--handler", "a", "--handler", "b", "--handler", "a"], "--handler a is given twice"),
    (["--function-url", "65536"], "--function-url is 65536; expected 0 to 65535"),
    (["--function-url", "9000"], "--port and --function-url are both 9000"),
    (["--function-url", "8443", "--iot-port", "8443"], "--iot-port and --function-url are both 8443"),
  ])
  func `of emulator are rejected with the reason`(
    options: [String], reason: String
  ) throws {
    let error = try #require(throws: (any Error).self) {
      _ = try Defender.parseAsRoot(["emulator"] + options)
    }
    #expect(Defender.fullMessage(for: error, columns: 1_000).contains(reason))
  }
}
