import LambdaEmulator
import Platform
import TestSupport
import Testing
import WireFormats

/// Runs the script of the built `defender security-profile` with a stub of the AWS CLI.
@Suite(.ownThreads, .timeLimit(.minutes(5))) struct `The script of defender security-profile` {
  /// Keeps what the commands create as files, and appends each command to the file `calls`.
  private static let stub = #"""
    for argument; do printf '%s\0' "$argument" >>"$STATE/calls"; done
    printf '\036' >>"$STATE/calls"
    case $2 in
      describe-custom-metric) test -e "$STATE/metric-${3#*=}" ;;
      create-custom-metric)
        name=$(printf %s "$4" | sed 's/.*"metricName": "\([^"]*\)".*/\1/')
        if test -e "$STATE/metric-$name"; then echo ResourceAlreadyExistsException >&2; exit 254; fi
        touch "$STATE/metric-$name" ;;
      describe-security-profile)
        test -e "$STATE/profile" || exit 254
        echo "arn:aws-cn:iot:cn-north-1:123456789012:securityprofile/${3#*=}" ;;
      create-security-profile)
        test ! -e "$STATE/profile" || exit 254
        touch "$STATE/profile" ;;
      update-security-profile) test -e "$STATE/profile" ;;
      attach-security-profile) test -e "$STATE/profile" ;;
      *) exit 252 ;;
    esac
    """#

  private let directory: TemporaryDirectory

  init() throws {
    directory = try TemporaryDirectory()
    try directory.writeProgram("aws", "#!/bin/sh\n\(Self.stub)\n")
  }

  private func printed(_ options: [String]) async throws -> String {
    let run = try await BuiltProgram("defender").run(["security-profile"] + options)
    #expect(run.status == .code(0), "\(run.errorText)")
    return run.output
  }

  /// Runs a script and returns the commands that it ran, each without `aws iot`.
  private func commands(of script: String) async throws -> [[String]] {
    try directory.write("calls", "")
    let run = try await BuiltProgram(path: "/bin/sh").run(
      environment: ["PATH": "\(directory.path):/usr/bin:/bin", "STATE": directory.path],
      input: Array(script.utf8))
    #expect(run.status == .code(0) && run.errors == [], "\(run.errorText)")
    let calls = try readFile("\(directory.path)/calls", limit: 1 << 20).split(separator: 0x1E)
    return calls.map { call in
      let words = call.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
      #expect(words.first == "iot")
      return Array(words.dropFirst())
    }
  }

  private func profile(_ command: [String]) throws -> JSONValue {
    #expect(command.dropLast().last == "--cli-input-json")
    return try JSONValue(parsing: Array((command.last ?? "").utf8))
  }

  @Test(arguments: ["fleet", "-x", "a:b_c-1"])
  func `creates what is missing, updates what exists, and attaches the profile`(name: String) async throws {
    let script = try await printed(["--name=\(name)", "--custom-metrics", "cpu_usage,uptime"])
    let first = try await commands(of: script)
    #expect(
      first.map(\.[0]) == [
        "describe-custom-metric", "create-custom-metric", "describe-custom-metric", "create-custom-metric",
        "describe-security-profile", "create-security-profile", "describe-security-profile",
        "attach-security-profile",
      ])
    #expect(
      first.last == [
        "attach-security-profile", "--security-profile-name=\(name)", "--security-profile-target-arn",
        "arn:aws-cn:iot:cn-north-1:123456789012:all/registered-things",
      ])
    let again = try await commands(of: script)
    #expect(
      again.map(\.[0]) == [
        "describe-custom-metric", "describe-custom-metric", "describe-security-profile",
        "update-security-profile", "describe-security-profile", "attach-security-profile",
      ])
    let (created, updated) = (try profile(first[5]), try profile(again[3]))
    #expect(created == updated && created["securityProfileName"]?.string == name)
    #expect(created["behaviors"]?.array?.count == 9)
    #expect(created["additionalMetricsToRetainV2"]?.array?.count == 3)
  }

  @Test func `removes the behaviors of an existing profile if the metrics are only stored`() async throws {
    _ = try await commands(of: try await printed([]))
    let commands = try await commands(
      of: try await printed(["--detect", "retain", "--target", "thinggroup/pumps"]))
    let update = try #require(commands.first { $0[0] == "update-security-profile" })
    #expect(update[1] == "--delete-behaviors")
    #expect(try profile(update)["behaviors"] == nil)
    #expect(commands.last?.last?.hasSuffix(":123456789012:thinggroup/pumps") == true)
  }

  @Test(arguments: [[], ["--detect", "retain"], ["-cm", "cpu_usage,disk_usage:/var", "--name", "a:b_c-1"]])
  func `has a profile that detect validate accepts, in lines of 80 columns`(options: [String]) async throws {
    let script = try await printed(options)
    #expect(script.split(separator: "\n").allSatisfy { $0.count <= 80 }, "\(script)")
    let call = try #require(try await commands(of: script).first { $0[0] == "create-security-profile" })
    let file = try directory.write("profile.json", call.last ?? "")
    let validation = try await BuiltProgram("defender").run(["detect", "validate", file])
    #expect(validation.status == .code(0), "\(validation.output)")
    #expect(validation.output.contains("is valid, with "))
  }

  @Test(arguments: [
    (["--target", "all"], "--target is 'all'; expected all/registered-things, "),
    (["--target", "thinggroup/a;b"], "--target is 'thinggroup/a;b'"),
    (["--name", "$(id)"], "--name is '$(id)'"),
    (["-cm", "all-bytes-in=uptime"], "Another behavior has the name 'all-bytes-in_ml'"),
  ])
  func `rejects what a shell or Device Defender wouldn't accept`(options: [String], words: String)
    async throws
  {
    let run = try await BuiltProgram("defender").run(["security-profile"] + options)
    #expect(run.status == .code(64) && run.output.isEmpty)
    #expect(run.errorText.contains(words), "\(run.errorText)")
  }
}
