import Detection
import Testing
import WireFormats

struct ProfileTests {
  private func criteria(_ text: String, metric: String = "aws:listening-tcp-ports") -> String {
    #"{"securityProfileName":"p","behaviors":[{"name":"b","metric":"\#(metric)","criteria":\#(text)}]}"#
  }

  private func issues(_ json: String) -> [String] {
    ProfileValidation(of: Array(json.utf8), name: "file").issues.map { "\($0)" }
  }

  @Test func `reads the three spellings alike`() {
    let api = #"""
      {"securityProfileName":"fleet","securityProfileDescription":"d","securityProfileArn":"a","version":1,"creationDate":1.5,
       "behaviors":[{"name":"out","metric":"aws:all-bytes-out","criteria":{"comparisonOperator":"less-than",
         "value":{"count":4096},"durationSeconds":300,"consecutiveDatapointsToAlarm":2},"suppressAlerts":true}],
       "alertTargets":{"SNS":{"alertTargetArn":"a","roleArn":"arn:aws:iam::1:role/r"}},
       "additionalMetricsToRetainV2":[{"metric":"aws:all-bytes-in","exportMetric":true}],
       "metricsExportConfig":{"mqttTopic":"t","roleArn":"arn:aws:iam::1:role/r"},"tags":[]}
      """#
    let cloudFormation = #"""
      {"SecurityProfileName":"fleet","Behaviors":[{"Name":"out","Metric":"aws:all-bytes-out","Criteria":{
        "ComparisonOperator":"less-than","Value":{"Count":"4096"},"DurationSeconds":300,"ConsecutiveDatapointsToAlarm":2},
        "SuppressAlerts":true}],"AlertTargets":{"SNS":{"AlertTargetArn":"a","RoleArn":"arn:aws:iam::1:role/r"}},"TargetArns":["x"],
        "Tags":[{"Key":"k","Value":"v"}]}
      """#
    let bare = #"""
      [{"name":"out","metric":"aws:all-bytes-out","criteria":{"comparisonOperator":"less-than","value":{"count":4096},
       "durationSeconds":300,"consecutiveDatapointsToAlarm":2},"suppressAlerts":true}]
      """#
    #expect(issues(api) == [] && issues(cloudFormation) == [] && issues(bare) == [])
    let expected = profile(api)
    #expect(expected.behaviors.count == 1 && expected.name == "fleet")
    #expect(profile(cloudFormation) == expected && profile(bare, name: "fleet") == expected)
  }

  @Test(arguments: [
    (
      #"{"comparisonOperator":"in-port-set","value":{"ports":[22,70000]}}"#,
      "behaviors[0].criteria.value.ports[1]: This is 70000; expected an integer from 0 to 65535."
    ),
    (
      #"{"comparisonOperator":"in-port-set","value":{"ports":["22"]}}"#,
      "behaviors[0].criteria.value.ports[0]: This is a string; expected an integer from 0 to 65535."
    ),
    (
      #"{"comparisonOperator":"in-ports","value":{"ports":[]}}"#,
      "behaviors[0].criteria.comparisonOperator: 'in-ports' is an unknown operator."
    ),
    (
      #"{"comparisonOperator":"less-than","value":{"count":1}}"#,
      "behaviors[0].criteria.comparisonOperator: 'less-than' doesn't apply to aws:listening-tcp-ports. Expected one of in-port-set, not-in-port-set."
    ),
    (
      #"{"comparisonOperator":"in-port-set","value":{"count":1}}"#,
      "behaviors[0].criteria.value.count: aws:listening-tcp-ports with in-port-set is compared with 'ports', not 'count'."
    ),
    (
      #"{"comparisonOperator":"in-port-set","value":{"ports":[],"count":1}}"#,
      "behaviors[0].criteria.value: There are 2 values;"
    ),
    (
      #"{"comparisonOperator":"in-port-set","value":{"ports":[]},"durationSeconds":300}"#,
      "behaviors[0].criteria.durationSeconds: aws:listening-tcp-ports is evaluated report by report"
    ),
    (
      #"{"comparisonOperator":"in-port-set","value":{"ports":[]},"consecutiveDatapointsToAlarm":0}"#,
      "behaviors[0].criteria.consecutiveDatapointsToAlarm: This is 0; expected an integer from 1 to 10."
    ),
    (#"{"comparisonOperator":"in-port-set"}"#, "behaviors[0].criteria: There are 0 of 'value'"),
    (#"{"value":{"ports":[]}}"#, "behaviors[0].criteria: 'comparisonOperator' is missing."),
    (
      #"{"comparisonOperator":"in-port-set","value":{"ports":[]},"window":1}"#,
      "behaviors[0].criteria: 'window' is an unknown key. Expected one of comparisonOperator, value,"
    ),
    (
      #"{"mlDetectionConfig":{"confidenceLevel":"HIGH"}}"#,
      "behaviors[0].criteria.mlDetectionConfig: aws:listening-tcp-ports is a list"
    ),
  ])
  func `rejects criteria`(row: (criteria: String, message: String)) {
    let found = issues(criteria(row.criteria))
    #expect(found.contains { $0.hasPrefix("line 1: \(row.message)") }, "\(found)")
  }

  @Test(arguments: [
    (
      "aws:all-bytes-out", #"{"comparisonOperator":"less-than","value":{"count":-1},"durationSeconds":300}"#,
      "This is -1; expected an integer from 0 to 9223372036854775807."
    ),
    (
      "aws:all-bytes-out",
      #"{"comparisonOperator":"less-than","value":{"count":443.0},"durationSeconds":300}"#,
      "This is 443.0; expected an integer from 0 to 9223372036854775807, without a fraction or an exponent."
    ),
    (
      "aws:all-bytes-out", #"{"comparisonOperator":"less-than","value":{"count":1}}"#,
      "'durationSeconds' is missing."
    ),
    (
      "aws:all-bytes-out", #"{"comparisonOperator":"less-than","value":{"count":1},"durationSeconds":60}"#,
      "This is 60; expected 300, 600, 900, 1800 or 3600."
    ),
    (
      "aws:all-bytes-out", #"{"comparisonOperator":"less-than","value":{"count":"1"},"durationSeconds":300}"#,
      "This is a string; expected an integer"
    ),
    (
      "aws:destination-ip-addresses",
      #"{"comparisonOperator":"in-cidr-set","value":{"cidrs":["10.0.0.1/8"]}}"#,
      "'10.0.0.1/8' has bits set after its prefix. The network is 10.0.0.0/8."
    ),
    (
      "aws:destination-ip-addresses", #"{"comparisonOperator":"in-cidr-set","value":{"cidrs":["10.0.0.1"]}}"#,
      "'10.0.0.1' has no prefix length. Write a single address as 10.0.0.1/32."
    ),
    (
      "aws:destination-ip-addresses",
      #"{"comparisonOperator":"in-cidr-set","value":{"cidrs":["10.0.0.0/33"]}}"#,
      "'10.0.0.0/33' has a prefix length beyond 32."
    ),
    (
      "aws:destination-ip-addresses", #"{"comparisonOperator":"in-cidr-set","value":{"cidrs":["x/8"]}}"#,
      "'x/8' isn't a valid network."
    ),
    (
      "aws:source-ip-address", #"{"comparisonOperator":"in-cidr-set","value":{"cidrs":[]}}"#,
      "'aws:source-ip-address' is a cloud-side metric"
    ),
    ("aws:cpu", "{}", "'aws:cpu' is an unknown metric."),
    ("my metric", "{}", "'my metric' isn't a metric name."),
    (
      "mine", #"{"comparisonOperator":"less-than","value":{"count":1}}"#,
      "mine with less-than is compared with 'number', not 'count'."
    ),
    (
      "mine", #"{"comparisonOperator":"in-set","value":{"strings":[]},"durationSeconds":300}"#,
      "mine is evaluated report by report and has no 'durationSeconds'."
    ),
    (
      "mine", #"{"comparisonOperator":"in-port-set","value":{"ports":[]}}"#,
      "'in-port-set' doesn't apply to mine."
    ),
    (
      "mine", #"{"comparisonOperator":"less-than","value":{"number":1e999}}"#,
      "This number is beyond the range"
    ),
    (
      "aws:all-bytes-in",
      #"{"comparisonOperator":"less-than","statisticalThreshold":{"statistic":"p42"},"durationSeconds":300}"#,
      "'p42' is unknown."
    ),
  ])
  func `rejects a metric or its value`(row: (metric: String, criteria: String, message: String)) {
    let found = issues(criteria(row.criteria, metric: row.metric))
    #expect(found.count == 1 && found.contains { $0.includes(row.message) }, "\(found)")
  }

  @Test func `ignores a byte order mark at the beginning, and nowhere else`() {
    let json = criteria(#"{"comparisonOperator":"in-port-set","value":{"ports":[22]}}"#)
    #expect(issues("\u{FEFF}\(json)") == [] && profile("\u{FEFF}\(json)") == profile(json))
    #expect(profile(json).behaviors.count == 1)
    for wrong in ["\u{FEFF}", "\u{FEFF}\u{FEFF}\(json)", " \u{FEFF}\(json)", "\(json)\u{FEFF}"] {
      let found = issues(wrong)
      #expect(found.count == 1 && found.allSatisfy { $0.hasPrefix("line 1: This isn't JSON: ") })
    }
  }

  @Test func `names the line, and finds all mistakes`() {
    let json = """
      {
        "securityProfileName": "a b",
        "behaviors": [
          {"name": "x", "metric": "aws:listening-tcp-ports", "criteria":
            {"comparisonOperator": "in-port-set", "value": {"ports": [22,
              -1]}}},
          {"name": "x"}
        ],
        "extra": 1
      }
      """
    #expect(
      issues(json) == [
        "line 2: securityProfileName: 'a b' isn't a valid name. Expected 1 to 128 letters, digits, ':', '_' and '-'.",
        "line 6: behaviors[0].criteria.value.ports[1]: This is -1; expected an integer from 0 to 65535.",
        "line 7: behaviors[1]: 'metric' is missing.", "line 7: behaviors[1]: 'criteria' is missing.",
        "line 9: 'extra' is an unknown key. Expected one of securityProfileName, securityProfileDescription, behaviors, "
          + "alertTargets, additionalMetricsToRetain, additionalMetricsToRetainV2, metricsExportConfig, tags, targetArns, "
          + "securityProfileArn, version, creationDate, lastModifiedDate.",
      ])
  }

  @Test func `rejects more than 100 behaviors, dimensions and repeated names`() {
    func list(_ count: Int, name: (Int) -> String) -> String {
      let behaviors = (0..<count).map {
        #"{"name":"\#(name($0))","metric":"m","criteria":{"comparisonOperator":"less-than","value":{"number":1}}}"#
      }
      return "[\(behaviors.joined(separator: ","))]"
    }
    #expect(issues(list(100) { "b\($0)" }) == [])
    #expect(
      issues(list(101) { "b\($0)" }) == [
        "line 1: behaviors: There are 101 behaviors; a profile has at most 100."
      ])
    #expect(
      issues(list(2) { _ in "b" }) == [
        "line 1: behaviors[1]: Another behavior has the name 'b'. Give each a different name."
      ])
    let dimension =
      #"[{"name":"b","metric":"m","metricDimension":{"dimensionName":"d"},"criteria":{"comparisonOperator":"less-than","value":{"number":1}}}]"#
    #expect(issues(dimension).first?.includes("Dimensions (TOPIC_FILTER) apply only to metrics") == true)
  }

  @Test(arguments: [
    "", " ", "1", "\"a\"", "{", "[1,]", "{\"behaviors\":[]}x", "{\"a\":1,\"a\":2}", "[{]",
    "{\"behaviors\":{}}",
    "{\"behaviors\":[1]}", "{\"behaviors\":[],\"Behaviors\":[]}", "nul", "[\"\\ud800\"]",
    String(repeating: "[", count: 100),
  ])
  func `rejects a document that isn't a profile`(json: String) {
    let validation = ProfileValidation(of: Array(json.utf8), name: "f")
    #expect(validation.profile == nil && !validation.mistakes.isEmpty)
  }

  @Test(arguments: [
    (#""securityProfileDescription":null"#, "securityProfileDescription: This is null"),
    (
      #""alertTargets":{"SNS":{"alertTargetArn":"a","roleArn":"r"}}"#,
      "alertTargets.SNS.roleArn: It has 1 bytes; expected 20 to 2048."
    ),
    (#""metricsExportConfig":{"mqttTopic":"t","roleArn":""}"#, "metricsExportConfig.roleArn: It has 0 bytes"),
    (
      #""metricsExportConfig":{"mqttTopic":"","roleArn":"arn:aws:iam::1:role/r"}"#,
      "metricsExportConfig.mqttTopic: It has 0 bytes; expected 1 to 512."
    ),
    (
      #""additionalMetricsToRetainV2":[{"metric":"m","exportMetric":"yes"}]"#,
      "additionalMetricsToRetainV2[0].exportMetric: This is a string"
    ),
  ])
  func `rejects what AWS rejects outside of the behaviors`(row: (member: String, message: String)) {
    let found = issues(#"{"securityProfileName":"p","behaviors":[],\#(row.member)}"#)
    #expect(found.contains { $0.hasPrefix("line 1: \(row.message)") }, "\(found)")
  }

  @Test func `warns of a bound that nothing satisfies, and accepts it`() {
    let json = criteria(
      #"{"comparisonOperator":"less-than","value":{"count":0},"durationSeconds":300}"#,
      metric: "aws:all-bytes-in")
    let validation = ProfileValidation(of: Array(json.utf8), name: "f")
    #expect(validation.profile != nil && validation.warnings.count == 1)
  }

  @Test func `accepts statistical and learned thresholds, and evaluates the learned ones`() {
    let json = #"""
      [{"name":"s","metric":"aws:all-bytes-in","criteria":{"comparisonOperator":"less-than-equals","durationSeconds":300,
       "statisticalThreshold":{"statistic":"p90"}}},
       {"name":"m","metric":"mine","criteria":{"mlDetectionConfig":{"confidenceLevel":"LOW"}}}]
      """#
    #expect(issues(json) == [])
    #expect(profile(json).behaviors.map { $0.reasonNotEvaluated == nil } == [false, true])
  }

  @Test(arguments: [
    ("::ffff:10.0.0.0/104", "10.0.0.0/8"), ("::/0", "::/0"), ("0.0.0.0/0", "0.0.0.0/0"),
    ("::1/128", "::1/128"),
    ("2001:DB8::/32", "2001:db8::/32"), ("255.255.255.255/32", "255.255.255.255/32"),
  ])
  func `reads a network`(text: String, expected: String) throws {
    #expect("\(try CIDR(parsing: text))" == expected)
  }

  @Test(arguments: [
    "", "/", "10.0.0.0/", "10.0.0.0/+8", "10.0.0.0/8/8", "10.0.0.0/0x8", "::1%lo/128", "10.0.0.0/9999",
  ])
  func `rejects what isn't a valid network`(text: String) {
    #expect(throws: CIDR.Mistake.self) { try CIDR(parsing: text) }
  }
}
