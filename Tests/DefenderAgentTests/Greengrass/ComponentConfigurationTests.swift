import DefenderAgent
import Testing
import WireFormats

private func configuration(_ json: String) throws -> ComponentConfiguration {
  ComponentConfiguration(try JSONValue(parsing: Array(json.utf8)))
}

@Suite struct `A component configuration` {
  @Test(arguments: [
    (#"{"SampleIntervalSeconds": 600}"#, "SAMPLE_INTERVAL_SECONDS", "600"),
    (#"{"SampleIntervalSeconds": 600.0}"#, "SAMPLE_INTERVAL_SECONDS", "600"),
    (#"{"SampleIntervalSeconds": "600"}"#, "SAMPLE_INTERVAL_SECONDS", "600"),
    (#"{"SampleIntervalSeconds": 0.5}"#, "SAMPLE_INTERVAL_SECONDS", "0.5"),
    (#"{"SampleIntervalSeconds": 1e99}"#, "SAMPLE_INTERVAL_SECONDS", "1e99"),
    (#"{"ReportFormat": "cbor"}"#, "DEFENDER_FORMAT", "cbor"),
    (#"{"CustomMetrics": ["cpu_usage", "memory"]}"#, "DEFENDER_CUSTOM_METRICS", "cpu_usage,memory"),
    (#"{"CustomMetrics": "cpu_usage"}"#, "DEFENDER_CUSTOM_METRICS", "cpu_usage"),
    (#"{"DEFENDER_ANYTHING": true}"#, "DEFENDER_ANYTHING", "1"),
    (#"{"componentName": "c", "value": {"Topic": "t/{thing}"}}"#, "DEFENDER_TOPIC", "t/{thing}"),
  ])
  func `becomes variables`(json: String, variable: String, value: String) throws {
    let configuration = try configuration(json)
    #expect(configuration.variables == [variable: value])
    #expect(configuration.mistakes.isEmpty)
    #expect(configuration.unknownKeys.isEmpty)
  }

  @Test(arguments: [
    "{}", "[]", "null", #"{"value": null}"#, #"{"SampleIntervalSeconds": null, "Topic": ""}"#,
    #"{"accessControl": {"a": {}}, "UseInstaller": true, "lambdaExecutionParameters": {}, "containerMode": "x"}"#,
  ])
  func `omits unset keys and foreign keys`(json: String) throws {
    #expect(try configuration(json) == configuration("{}"))
  }

  @Test(arguments: [(#"0"#, 0), ("72", 72), ("5.0", 5), (#""7""#, 7)])
  func `has a retry count`(json: String, count: Int) throws {
    #expect(try configuration(#"{"PublishRetryCount": \#(json)}"#).retryCount == count)
  }

  @Test(arguments: [
    (#"{"PublishRetryCount": 73}"#, "PublishRetryCount is 73; expected a whole number from 0 to 72"),
    (#"{"PublishRetryCount": -1}"#, "PublishRetryCount is -1; expected a whole number from 0 to 72"),
    (#"{"PublishRetryCount": 1.5}"#, "PublishRetryCount is 1.5; expected a whole number from 0 to 72"),
    (#"{"PublishRetryCount": {}}"#, "PublishRetryCount is an object; expected a whole number from 0 to 72"),
    (#"{"Topic": {}}"#, "Topic is an object; expected text, a number or a list of texts"),
    (
      #"{"CustomMetrics": ["a", 1]}"#,
      "CustomMetrics is an array; expected text, a number or a list of texts"
    ),
  ])
  func `reports its mistakes`(json: String, mistake: String) throws {
    let configuration = try configuration(json)
    #expect(configuration.mistakes == [mistake])
    #expect(configuration.variables.isEmpty)
  }

  @Test func `names unknown keys, and the key that corresponds to a variable`() throws {
    let configuration = try configuration(#"{"sampleIntervalSeconds": 1, "ReportFormat": "xml"}"#)
    #expect(configuration.unknownKeys == ["sampleIntervalSeconds"])
    #expect(ComponentConfiguration.nearestKey(to: "sampleIntervalSeconds") == "SampleIntervalSeconds")
    #expect(ComponentConfiguration.nearestKey(to: "PublishRetrycount") == "PublishRetryCount")
    #expect(ComponentConfiguration.nearestKey(to: "Colour") == nil)
    #expect(configuration.name(of: "DEFENDER_FORMAT") == "ReportFormat")
    #expect(configuration.name(of: "DEFENDER_NAMES") == "DEFENDER_NAMES")
  }
}
