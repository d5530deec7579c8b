import ArgumentParser
import Platform
import TestSupport
import Testing

@testable import defender

@Suite struct `The Python agent's command line` {
  @Test(
    arguments: [
      ([], []),
      (["-e", "host", "-id", "thing"], ["-e", "host", "-id", "thing"]),
      (["-i300", "-fjson", "-ehost:443"], ["-i", "300", "-f", "json", "-e", "host:443"]),
      (["-ds", "-sd", "-dfcbor"], ["-d", "-s", "-s", "-d", "-d", "-f", "cbor"]),
      (
        ["-cm", "-se", "eu-west-1", "-ph", "p", "-pp", "1"],
        ["-cm", "cpu_usage", "-se", "eu-west-1", "-ph", "p", "-pp", "1"]
      ),
      (["--endpoint=host", "--interval=5"], ["--endpoint", "host", "--interval", "5"]),
      (["-e=host", "-id=a=b", "-pp=1"], ["-e", "host", "-id", "a=b", "-pp", "1"]),
      (["-di=5"], ["-d", "-i", "=5"]),
      (["--custom-metric"], ["--custom-metrics", "cpu_usage"]),
      (["-wTrue", "-w=no", "-dw", "True", "-s"], ["--use-websocket", "-d", "--use-websocket", "-s"]),
      (
        ["--root", "ca", "--thing", "t", "--dry", "--short"],
        ["--rootCA", "ca", "--thing_name", "t", "--dryrun", "--short_tags"]
      ),
      // Prefixes of two names and of none; the parser reports them.
      (["--proxy", "x", "--nothing"], ["--proxy", "x", "--nothing"]),
      (["--ca", "f", "--key", "k"], ["--ca", "f", "--key", "k"]),
      (["-w", "True", "-i", "5"], ["--use-websocket", "-i", "5"]),
      (["-w", "-i", "5"], ["--use-websocket", "-i", "5"]),
      (["-i", "5", "-w"], ["-i", "5", "--use-websocket"]),
      (["--use-websocket=no", "--use-websocket", "false"], []),
      (["-x5"], ["-x5"]), (["--", "-i5"], ["--", "-i5"]), (["@"], ["@"]),
    ] as [([String], [String])])
  func `expands the options that argparse accepts`(given: [String], expected: [String]) throws {
    #expect(try PythonCommandLine(given).arguments == expected)
  }

  @Test(
    arguments: [
      (["-n3", "-s", "2", "-l10"], ["-n", "3", "-s", "2", "-l", "10"]),
      (
        ["--num", "3", "--sample=2", "--list_size", "5"],
        ["--number_samples", "3", "--sample_rate", "2", "--list_size", "5"]
      ),
      (["--number-samples=3", "--short"], ["--number-samples", "3", "--short-names"]),
      (["-cm"], ["--custom-metrics", "cpu_usage"]),
      (["-cm", "-n", "1"], ["--custom-metrics", "cpu_usage", "-n", "1"]),
      (["-cm", "uptime,load_1m"], ["--custom-metrics", "uptime,load_1m"]),
      (["--custom=uptime"], ["--custom-metrics", "uptime"]),
      (["--custom-metrics"], ["--custom-metrics", "cpu_usage"]),
      // A prefix of two names.
      (["--s", "1"], ["--s", "1"]),
    ] as [([String], [String])])
  func `expands the options that the Python collector accepts`(given: [String], expected: [String]) throws {
    #expect(try PythonCommandLine(given, for: .collector).arguments == expected)
  }

  @Test func `reads arguments from files, one per line, which may name more files`() throws {
    let directory = try TemporaryDirectory()
    let inner = try directory.write("inner", "-f\njson\n")
    let outer = try directory.write("outer", "-e\r\nhost\r\n\n--cert\n/a file with spaces.pem\n@\(inner)\n")
    let arguments = try PythonCommandLine(["-i", "5", "@\(outer)", "-d"]).arguments
    #expect(
      arguments == ["-i", "5", "-e", "host", "--cert", "/a file with spaces.pem", "-f", "json", "-d"])
  }

  @Test func `rejects files that don't exist, or that include each other`() throws {
    let directory = try TemporaryDirectory()
    let path = try directory.write("loop", "@\(directory.path)/loop\n")
    #expect { try PythonCommandLine(["@\(path)"]) } throws: { "\($0)".contains("include each other") }
    #expect { try PythonCommandLine(["@/nonexistent"]) } throws: { "\($0)".contains("No such file") }
    #expect { try PythonCommandLine(["-w", "maybe"]) } throws: { "\($0)".contains("true or false") }
  }
}

@Suite struct `A file of arguments` {
  @Test(arguments: ["-i 300", "--interval 300", "-ph\tproxy", "--cert  /a file", "-i "])
  func `names the line that holds an option and its value`(line: String) throws {
    let directory = try TemporaryDirectory()
    let inner = try directory.write("inner", "-e\r\nhost\r\n\r\n\(line)\r\n")
    let outer = try directory.write("outer", "-d\n@\(inner)\n")
    let error = try #require(throws: CommandFailure.self) { try PythonCommandLine(["@\(outer)"]) }
    let option = line.split { $0 == " " || $0 == "\t" }[0]
    #expect("\(error)".contains("'\(inner)', line 4: the option \(option) and its value are on one line"))
    #expect("\(error)".contains("\(option)=VALUE"))
  }

  @Test(arguments: ["--cert=/a file", "-c=/a file", "-c/folder/a file", "/a file", "a -b", "--"])
  func `allows blanks in a value`(line: String) throws {
    let directory = try TemporaryDirectory()
    let file = try directory.write("arguments", line)
    #expect(try !PythonCommandLine(["@\(file)"]).arguments.isEmpty)
  }
}

@Suite struct `The command line of defender agent` {
  /// Returns the variables that a command line for the Python agent adds.
  private func variables(
    _ arguments: [String], over inherited: [String: String] = [:]
  ) throws -> [String: String] {
    let spelled = try PythonCommandLine(arguments).arguments
    let command = try #require(try Defender.parseAsRoot(["agent"] + spelled) as? AgentCommand)
    return try command.environment(over: Environment(inherited)).all
  }

  @Test func `reads the whole command line of the Python agent`() throws {
    let found = try variables([
      "-e", "abc-ats.iot.eu-west-1.amazonaws.com", "-r", "ca.pem", "-c", "cert.pem", "-k", "key.pem", "-id",
      "client",
      "-t", "thing", "-i", "600", "-s", "-f", "cbor", "-se", "eu-west-1", "-ph", "proxy", "-pp", "3128",
      "--verbosity",
      "Debug", "-cm",
    ])
    #expect(
      found == [
        "DEFENDER_TRANSPORT": "mqtt", "DEFENDER_MQTT_ENDPOINT": "abc-ats.iot.eu-west-1.amazonaws.com",
        "AWS_CA_BUNDLE": "ca.pem", "DEFENDER_CERTIFICATE_FILE": "cert.pem",
        "DEFENDER_PRIVATE_KEY_FILE": "key.pem", "DEFENDER_CLIENT_ID": "client",
        "DEFENDER_THING_NAME": "thing",
        "SAMPLE_INTERVAL_SECONDS": "600", "DEFENDER_NAMES": "short", "DEFENDER_FORMAT": "cbor",
        "AWS_REGION": "eu-west-1", "HTTPS_PROXY": "http://proxy:3128", "AWS_LAMBDA_LOG_LEVEL": "DEBUG",
        "DEFENDER_CUSTOM_METRICS": "cpu_usage",
      ])
  }

  @Test(
    arguments: [
      (["-id", "pump"], "DEFENDER_THING_NAME", "pump"), (["-t", "pump"], "DEFENDER_CLIENT_ID", nil),
      (["-e", "h", "-w", "True"], "DEFENDER_MQTT_ENDPOINT", "wss://h"),
      (["-e", "h", "-w"], "AWS_REGION", nil), (["-e", "h"], "AWS_REGION", nil),
      (["-e", "h", "-c", "c", "--transport", "https"], "AWS_ENDPOINT_URL_IOT_DATA_PLANE", "https://h:8443"),
      (
        ["-e", "h:443", "-c", "c", "--transport", "https"], "AWS_ENDPOINT_URL_IOT_DATA_PLANE", "https://h:443"
      ),
      (["-e", "h", "--transport", "https"], "AWS_ENDPOINT_URL_IOT_DATA_PLANE", "https://h"),
      (["-ph", "p"], "HTTPS_PROXY", "http://p:8080"),
      (["--verbosity", "NoLogs"], "AWS_LAMBDA_LOG_LEVEL", "FATAL"),
      (["--connection", "per-report"], "DEFENDER_CONNECTION", "per-report"),
      (["--keep-alive", "600"], "DEFENDER_KEEP_ALIVE_SECONDS", "600"),
      (["--mqtt-version", "3"], "DEFENDER_MQTT_VERSION", "3"),
      (["--state-directory", "/s"], "DEFENDER_STATE_DIRECTORY", "/s"),
      (["--topic", "a/{thing}"], "DEFENDER_TOPIC", "a/{thing}"),
      (["--log-format", "json"], "AWS_LAMBDA_LOG_FORMAT", "json"),
    ] as [([String], String, String?)])
  func `sets what an option means`(arguments: [String], variable: String, value: String?) throws {
    #expect(try variables(arguments)[variable] == value)
  }

  @Test func `leaves the environment unchanged unless an option sets a variable`() throws {
    let inherited = [
      "DEFENDER_TRANSPORT": "https", "AWS_IOT_THING_NAME": "a", "AWS_REGION": "eu-west-1",
      "https_proxy": "http://other",
    ]
    #expect(try variables([], over: inherited) == inherited)
    #expect(try variables(["-ph", "p"], over: inherited)["https_proxy"] == nil)
  }
}
