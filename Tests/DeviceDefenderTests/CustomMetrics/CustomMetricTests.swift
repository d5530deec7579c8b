import Glibc
import Platform
import TestSupport
import Testing
import WireFormats

@testable import DeviceDefender

@Suite struct `A custom metric` {
  @Test(arguments: ["", "a b", "aws:x", "é", "a/b", "a.b", String(repeating: "a", count: 129), "a\n"])
  func `rejects a name that the service doesn't accept`(name: String) {
    #expect(throws: CustomMetricError.name(name)) { try CustomMetricName(validating: name) }
  }

  @Test(arguments: ["a", "A-b_c:9", "awsx", String(repeating: "a", count: 128)])
  func `accepts a name`(name: String) throws {
    #expect(try CustomMetricName(validating: name).text == name)
  }

  @Test(
    arguments: [
      #"{"m":3}"#, #"{"m":[]}"#, #"{"m":[3]}"#, #"{"m":[{}]}"#, #"{"m":[{"number":1},{"number":2}]}"#,
      #"{"m":[{"number":1,"number_list":[]}]}"#, #"{"m":[{"int":1}]}"#, #"{"m":[{"number":"1"}]}"#,
      #"{"m":[{"number":1e999}]}"#, #"{"m":[{"number_list":1}]}"#, #"{"m":[{"number_list":[1,null]}]}"#,
      #"{"m":[{"string_list":["a b"]}]}"#, #"{"m":[{"string_list":[""]}]}"#, #"{"m":[{"string_list":[1]}]}"#,
      #"{"m":[{"ip_list":["192.0.2.256"]}]}"#, #"{"m":[{"ip_list":["fe80::1%eth0"]}]}"#,
      #"{"m":[{"ip_list":[1]}]}"#,
      #"{"aws:m":[{"number":1}]}"#,
    ])
  func `rejects a value that the service would reject or drop`(text: String) throws {
    let parsed = try CustomMetric.parse(try JSONValue(parsing: Array(text.utf8)))
    #expect(parsed.count == 1)
    #expect(throws: CustomMetricError.self) { try parsed[0].get() }
  }

  @Test(arguments: [
    ("1e999", "a number beyond the range of a double"), ("\"1\"", "a string"), ("null", "null"),
  ])
  func `names the value that it got instead of a number`(value: String, words: String) throws {
    let parsed = try CustomMetric.parse(try JSONValue(parsing: Array("{\"m\":[{\"number\":\(value)}]}".utf8)))
    let error = try #require(throws: CustomMetricError.self) { try parsed[0].get() }
    #expect("\(error)" == "m: expected a number, got \(words)")
  }

  @Test(arguments: ["[]", "1", "null", #""m""#])
  func `rejects a value that isn't an object`(text: String) throws {
    let json = try JSONValue(parsing: Array(text.utf8))
    #expect(throws: CustomMetricError.self) { try CustomMetric.parse(json) }
  }

  @Test(
    arguments: [
      (#"{"m":[{"number":3}]}"#, #"{"m":[{"number":3}]}"#),
      (#"{"m":[{"number":-3.50}]}"#, #"{"m":[{"number":-3.5}]}"#),
      (#"{"m":[{"number":0}]}"#, #"{"m":[{"number":0}]}"#),
      (#"{"m":[{"number_list":[1,2.5]}]}"#, #"{"m":[{"number_list":[1,2.5]}]}"#),
      (#"{"m":[{"number_list":[]}]}"#, #"{"m":[{"number_list":[]}]}"#),
      (#"{"m":[{"string_list":["A-b:/._9"]}]}"#, #"{"m":[{"string_list":["A-b:/._9"]}]}"#),
      (
        #"{"m":[{"ip_list":["192.0.2.1","2001:DB8:0::1"]}]}"#,
        #"{"m":[{"ip_list":["192.0.2.1","2001:db8::1"]}]}"#
      ),
    ])
  func `writes what it read`(text: String, written: String) throws {
    let parsed = try CustomMetric.parse(try JSONValue(parsing: Array(text.utf8)))
    var document = JSONWriter()
    document.beginMap(count: 1)
    try parsed[0].get().write(to: &document)
    document.endMap()
    #expect(String(decoding: document.bytes, as: UTF8.self) == written)
  }

  @Test(
    arguments: [
      (0, 0), (1, 1), (-0.1, -0.1), (1.0 / 3, 0.333333333333333), (-2.0 / 3, -0.666666666666667),
      (1_234_567_890_123_456, 1_234_567_890_123_460), (0.1 + 0.2, 0.3), (1e300 / 3, 3.33333333333333e299),
      (9.999999999999999, 10), (.infinity, .infinity), (.leastNonzeroMagnitude, .leastNonzeroMagnitude),
      (1.7976931348623157e308, 1.7976931348623157e308),
    ] as [(Double, Double)])
  func `keeps 15 significant digits`(value: Double, rounded: Double) {
    #expect(roundedToSignificantDigits(value) == rounded)
  }

  @Test(
    arguments: [
      ("cpu", "unknown metric 'cpu'"), ("cpu_usage:1", "takes no directory"),
      ("disk_usage:", "lacks a directory"),
      ("disk_usage:var", "absolute path"), ("a b=cpu_usage", "unknown metric 'a'"),
      ("=uptime", "isn't a valid name"),
      ("aws:x=uptime", "isn't a valid name"), ("uptime,uptime", "occurs twice"),
      ("uptime,x=cpu_usage,x=load_1m", "occurs twice"),
    ])
  func `rejects a choice and names the reason`(text: String, words: String) throws {
    let error = try #require(throws: CustomMetricError.self) { try SystemMetric.list(parsing: text) }
    #expect(error.description.contains(words), "\(error)")
  }

  @Test(
    arguments: [
      ("", []), (" , ", []), ("cpu_usage, uptime", ["cpu_usage", "uptime"]), ("disk_usage", ["disk_usage"]),
      ("disk_usage:/", ["disk_usage"]), ("disk_usage:/var/lib", ["disk_usage_var_lib"]),
      ("d=disk_usage:/a.b", ["d"]),
      ("disk_usage:/a.b", ["disk_usage_a_b"]),
      ("disk_usage,disk_usage:/var", ["disk_usage", "disk_usage_var"]),
      ("a=cpu_usage,b=cpu_usage", ["a", "b"]),
    ])
  func `reads choices`(text: String, names: [String]) throws {
    #expect(try SystemMetric.list(parsing: text).map(\.name.text) == names)
  }
}
