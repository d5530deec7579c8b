import AWSClient
import DefenderAgent
import Glibc
import LambdaEmulator
import Platform
import Synchronization
import TestSupport
import Testing
import WireFormats

@testable import defender

@Suite(.ownThreads) struct `A doctor` {
  @Test func `reports no problem if the machine can publish, and shows no secret`() throws {
    let clinic = try Clinic()
    let findings = try clinic.examine()
    // The throwaway certificate is valid for a day, which causes a warning.
    #expect(findings.checks(.failed) == [])
    #expect(findings.checks(.skipped) == [])
    #expect(findings.checks(.warning) == ["TLS"])
    #expect(
      findings.map(\.check) == [
        "configuration", "thing name", "transport", "interval", "collection", "credentials", "DNS", "TCP",
        "TLS", "clock", "signature", "publish",
      ])
    #expect(clinic.endpoint.counts.accepted == 1)
    #expect(clinic.endpoint.received.first?.topic == "defender/test")
    let lines = findings.map(\.line).joined(separator: "\n") + findings.json.prettyPrinted()
    for name in ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID"] {
      #expect(!lines.contains(clinic.variables[name] ?? name))
    }
    #expect(findings.line("TLS").contains("issued by CN=\(clinic.authority.folder)"))
    #expect(findings.line("credentials").contains("from environment"))
  }

  @Test func `counts the reports in the agent's spool, and says why the spool may not work`() throws {
    let clinic = try Clinic()
    let state = try TemporaryDirectory()
    var variables: [String: String?] = [
      "DEFENDER_STATE_DIRECTORY": state.path, "DEFENDER_SPOOL_BYTES": "1000000",
    ]
    #expect(try clinic.examine(variables, publish: false).line("spool").contains("0 waiting in"))
    try state.write("spool/00000000001700000000.report", "12345")
    try state.write("spool/00000000001700000300.report", "123")
    try state.write("spool/00000000001700000600.report.new", "1")
    let line = try clinic.examine(variables, publish: false).line("spool")
    #expect(line.hasPrefix("ok "))
    #expect(
      line.contains("2 waiting in \(state.path)/spool, 8 of 1000000 bytes; the disk has "), "\(line)")
    variables["DEFENDER_TOPIC"] = "$aws/things/{thing}/defender/metrics/{format}"
    let ignored = try clinic.examine(variables, publish: false).line("spool")
    #expect(ignored.contains("has no effect on reports to Device Defender"), "\(ignored)")
    variables["DEFENDER_TOPIC"] = "own/{thing}"
    try state.remove("spool/00000000001700000000.report")
    try state.remove("spool/00000000001700000300.report")
    try state.remove("spool/00000000001700000600.report.new")
    #expect(unsafe rmdir("\(state.path)/spool") == 0)
    try state.write("spool", "")
    #expect(
      try clinic.examine(variables, publish: false).line("spool").contains("can't be read: Not a directory"))
  }

  @Test func `publishes nothing unless asked to`() throws {
    let clinic = try Clinic()
    let findings = try clinic.examine(publish: false)
    #expect(findings.checks(.skipped) == ["publish"])
    #expect(clinic.endpoint.counts == (0, 0))
  }

  @Test func `prints the same findings as JSON and as text`() throws {
    let findings = [
      Finding("DNS", .ok, "found"), Finding("TCP", .failed, "refused\n", advice: "Open the port."),
    ]
    #expect(
      findings.map(\.line) == [
        "ok       DNS            found", #"failed   TCP            refused\n. Open the port."#,
      ])
    #expect(findings.summary == "1 ok, 0 warnings, 1 failed, 0 skipped")
    let json = findings.json
    #expect(json["failed"]?.integer(as: Int.self) == 1)
    guard case .array(let checks)? = json["checks"] else { return #expect(Bool(false)) }
    #expect(checks.map { $0["status"]?.string } == ["ok", "failed"])
    #expect(checks.last?["advice"]?.string == "Open the port.")
  }

  @Test func `detects a certificate that is expired, from an unknown authority, or for another host`() throws
  {
    let later = ["clock", "signature", "publish"]
    let expired = try Clinic(Clinic.Plan(isExpired: true)).examine()
    #expect(expired.checks(.failed) == ["TLS"])
    #expect(expired.checks(.skipped) == later)
    #expect(expired.line("TLS").contains("expired") && expired.line("TLS").contains("this machine's clock"))
    let clinic = try Clinic()
    let other = try ThrowawayAuthority()
    let unknown = try clinic.examine(["AWS_CA_BUNDLE": other.certificateFile])
    #expect(unknown.checks(.failed) == ["TLS"])
    #expect(unknown.line("TLS").contains("issued by CN=\(clinic.authority.folder)"))
    #expect(unknown.line("TLS").contains("set AWS_CA_BUNDLE"))
    let misnamed = try Clinic(Clinic.Plan(names: "DNS:example.com")).examine()
    #expect(misnamed.checks(.failed) == ["TLS"])
    #expect(misnamed.line("TLS").contains("DNS:example.com"))
    #expect(misnamed.line("TLS").contains("host name"))
  }

  @Test(arguments: [Duration.seconds(10_800), .seconds(-10_800)])
  func `detects a skewed clock, and that reports are published nevertheless`(offset: Duration) throws {
    let clinic = try Clinic(Clinic.Plan(clockOffset: offset))
    let findings = try clinic.examine()
    #expect(findings.checks(.failed) == ["clock"])
    #expect(findings.line("publish").hasPrefix("ok"))
    #expect(findings.line("clock").contains(offset < .zero ? "ahead of AWS's" : "behind AWS's"))
    #expect(clinic.endpoint.counts.accepted == 1)
  }

  @Test func `detects a wrong secret, a wrong token, a wrong region and a missing permission`() throws {
    let clinic = try Clinic()
    let secret = try clinic.examine(["AWS_SECRET_ACCESS_KEY": "wrong"])
    #expect(secret.checks(.failed) == ["signature"])
    #expect(secret.line("signature").contains("secret access key doesn't belong"))
    let token = try clinic.examine(["AWS_SESSION_TOKEN": "wrong"])
    #expect(token.line("signature").contains("get new ones"))
    let region = try clinic.examine(["AWS_REGION": "us-east-1"])
    #expect(region.line("signature").contains("AWS_REGION must be"))
    let forbidden = try Clinic(Clinic.Plan(allows: false)).examine()
    #expect(forbidden.checks(.failed) == ["publish"])
    #expect(forbidden.line("publish").contains("iot:Publish on"))
    #expect(forbidden.line("publish").contains("topic/defender/test"))
    #expect(forbidden.line("publish").contains("request id r-7"))
  }

  @Test(arguments: [
    httpResponse("403 No", body: "<html>Sign in</html>"),
    httpResponse(
      "403 No", headers: ["x-amzn-ErrorType: ForbiddenException"],
      body: #"{"message":"Missing Authentication Token"}"#),
  ])
  func `considers a signature accepted only if the rejection is from AWS`(answer: String) throws {
    let findings = try Clinic(Clinic.Plan(firstAnswer: .keep(answer))).examine()
    #expect(findings.checks(.warning) == ["TLS", "signature"])
    #expect(findings.line("signature").contains("unclear"))
  }

  @Test func `accepts AWS's answer that the shadow isn't allowed`() throws {
    let answer = httpResponse(
      "403 No", headers: ["x-amzn-ErrorType: ForbiddenException"], body: #"{"message":"Forbidden"}"#)
    let findings = try Clinic(Clinic.Plan(firstAnswer: .keep(answer))).examine()
    #expect(findings.line("signature").contains("accepted (iot:GetThingShadow isn't allowed"))
  }

  @Test func `retries after a lost connection`() throws {
    let clinic = try Clinic(Clinic.Plan(firstAnswer: .reset("")))
    #expect(try clinic.examine().checks(.failed) == [])
  }

  @Test func `skips the signature check without a region`() throws {
    let clinic = try Clinic()
    let socket = "wss://localhost:\(clinic.server.port)"
    let transports: [[String: String?]] = [
      [:], ["DEFENDER_TRANSPORT": "mqtt", "DEFENDER_MQTT_ENDPOINT": socket],
    ]
    for changes in transports {
      let findings = try clinic.examine(changes.merging(["AWS_REGION": nil]) { $1 })
      #expect(findings.checks(.failed) == ["configuration"])
      #expect(findings.checks(.skipped) == ["clock", changes.isEmpty ? "signature" : "MQTT", "publish"])
    }
    #expect(clinic.server.received.isEmpty)
  }

  @Test func `detects a closed port and an unknown host name`() throws {
    let clinic = try Clinic()
    let port = try freePort()
    let refused = try clinic.examine(["AWS_ENDPOINT_URL_IOT_DATA_PLANE": "https://127.0.0.1:\(port)"])
    #expect(refused.checks(.failed) == ["TCP"])
    #expect(refused.checks(.skipped) == ["TLS", "clock", "signature", "publish"])
    #expect(
      refused.line("TCP").hasSuffix(
        " 127.0.0.1 port \(port): Connection refused (errno 111). Check the endpoint, the route and the firewall (AWS "
          + "IoT uses ports 443, 8443 and 8883). If you need a proxy, set HTTPS_PROXY."),
      "\(refused.line("TCP"))")
    // Too long for a DNS label, so no server is asked.
    let name = String(repeating: "a", count: 64) + ".example.com"
    let unknown = try clinic.examine(["AWS_ENDPOINT_URL_IOT_DATA_PLANE": "https://\(name)"])
    #expect(unknown.checks(.failed) == ["DNS"])
    #expect(unknown.checks(.skipped) == ["TCP", "TLS", "clock", "signature", "publish"])
    #expect(unknown.line("DNS").contains("/etc/resolv.conf"))
  }

  @Test func `connects through a proxy, and detects one that refuses`() throws {
    let clinic = try Clinic()
    let relay = try Relay(.proxy)
    defer { relay.stop() }
    let through = try clinic.examine(["HTTPS_PROXY": "http://127.0.0.1:\(relay.port)"])
    #expect(through.checks(.failed) == [])
    #expect(through.line("TCP").contains("through the proxy"))
    let proxy = try ScriptedServer { _ in .close(httpResponse("407 Proxy Authentication Required")) }
    defer { proxy.stop() }
    let refused = try clinic.examine(["HTTPS_PROXY": "http://user:hunter2@127.0.0.1:\(proxy.port)"])
    #expect(refused.checks(.failed) == ["proxy"])
    #expect(refused.checks(.skipped) == ["DNS", "TCP", "TLS", "clock", "signature", "publish"])
    #expect(refused.line("proxy").contains("a user name and a password"))
    #expect(!refused.map(\.line).joined().contains("hunter2"))
  }

  @Test(arguments: [
    ("http://user:hun/hunter2@proxy:1", "HTTPS_PROXY isn't a URL"), ("gopher://127.0.0.1:1", "scheme"),
    ("http://\(String(repeating: "a", count: 64)).example.com:3128", "/etc/resolv.conf"),
  ])
  func `blames the proxy if it can't be used`(url: String, reason: String) throws {
    let findings = try Clinic().examine(["HTTPS_PROXY": url])
    #expect(findings.checks(.failed) == ["proxy"])
    #expect(findings.line("proxy").contains(reason), "\(findings.line("proxy"))")
    #expect(!findings.map(\.line).joined().contains("hunter2"))
  }

  @Test func `blames an unreachable proxy, but not if NO_PROXY excepts the host`()
    throws
  {
    let clinic = try Clinic()
    let port = try freePort()
    let proxy = ["HTTPS_PROXY": "http://user:hunter2@127.0.0.1:\(port)"]
    let findings = try clinic.examine(proxy)
    #expect(findings.checks(.failed) == ["proxy"])
    #expect(findings.checks(.skipped) == ["DNS", "TCP", "TLS", "clock", "signature", "publish"])
    #expect(findings.line("proxy").contains("through the proxy 127.0.0.1:\(port) (HTTPS_PROXY)"))
    #expect(findings.line("proxy").contains("Check the proxy's host and port"))
    #expect(!findings.map(\.line).joined().contains("hunter2"))
    let excepted = try clinic.examine(proxy.merging(["NO_PROXY": "localhost"]) { $1 })
    #expect(excepted.checks(.failed) == [])
    #expect(excepted.line("proxy").contains("none for localhost"))
    let gone = try clinic.examine(
      proxy.merging(["NO_PROXY": "*", "AWS_ENDPOINT_URL_IOT_DATA_PLANE": "https://127.0.0.1:\(port)"]) { $1 })
    #expect(gone.checks(.failed) == ["TCP"])
  }

  @Test func `doesn't wait for a CA bundle that isn't a regular file`() throws {
    let directory = try TemporaryDirectory()
    let pipe = try directory.makePipe("pipe")
    let findings = try Clinic().examine(["AWS_CA_BUNDLE": pipe])
    #expect(findings.checks(.failed) == ["configuration"])
    #expect(findings.checks(.skipped) == ["DNS", "TCP", "TLS", "clock", "signature", "publish"])
    #expect(findings.line("configuration").contains("'\(pipe)', which isn't a regular file"))
  }

  @Test func `reports each finding when its check is done`() throws {
    var doctor = Doctor(
      Environment(try Clinic().variables), Doctor.Options(), time: SystemWaiter(shutdown: nil))
    var reported: [Finding] = []
    doctor.onFinding = { reported.append($0) }
    doctor.examine()
    #expect(!reported.isEmpty && reported == doctor.findings)
  }

  @Test func `reports every mistake in the configuration, and checks what doesn't depend on it`() throws {
    let clinic = try Clinic()
    let findings = try clinic.examine([
      "SAMPLE_INTERVAL_SECONDS": "often", "DEFENDER_FORMAT": "xml", "AWS_IOT_THING_NAME": nil,
    ])
    #expect(findings.count { $0.check == "configuration" && $0.status == .failed } == 3)
    #expect(findings.checks(.failed) == ["configuration"])
    #expect(findings.checks(.skipped) == ["thing name", "transport", "interval"])
    #expect(findings.checks(.ok).contains("signature"))
  }

  @Test func `detects missing credentials and a credential source that fails`() throws {
    let clinic = try Clinic()
    let none: [String: String?] = [
      "AWS_ACCESS_KEY_ID": nil, "AWS_SECRET_ACCESS_KEY": nil, "AWS_SESSION_TOKEN": nil,
    ]
    let missing = try clinic.examine(none)
    #expect(missing.checks(.failed) == ["credentials"])
    #expect(missing.checks(.skipped) == ["clock", "signature", "publish"])
    #expect(missing.line("credentials").contains("AWS_ACCESS_KEY_ID"))
    let failing = try clinic.examine(none.merging(["AWS_PROFILE": "nobody"]) { _, new in new })
    #expect(failing.line("credentials").contains("No other source is tried"))
    let expiring = try clinic.examine(["AWS_CREDENTIAL_EXPIRATION": "2020-01-01T00:00:00Z"])
    #expect(expiring.line("credentials").hasPrefix("failed"))
  }

  @Test func `doesn't blame another check for a test message that wasn't requested`() throws {
    let closed = ["AWS_ENDPOINT_URL_IOT_DATA_PLANE": "https://127.0.0.1:\(try freePort())"]
    let findings = try Clinic().examine(closed, publish: false)
    #expect(findings.line("publish").hasSuffix("not requested"))
    #expect(
      try Clinic().examine(["AWS_SECRET_ACCESS_KEY": "wrong"], publish: false).line("publish").hasSuffix(
        "not requested"))
  }

  @Test func `counts in the singular and the plural`() throws {
    let clinic = try Clinic()
    let line = "   0: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 7 1 0\n"
    try clinic.procfs.write("net/tcp", "  sl  local_address rem_address   st tx_queue rx_queue\n\(line)")
    let findings = try clinic.examine(publish: false)
    #expect(
      findings.line("collection").contains(
        "1 listening TCP port, 0 listening UDP ports, 0 connections, from "))
  }

  @Test func `names what to set on a machine that isn't in EC2`() throws {
    let server = try ScriptedServer { _ in .close(httpResponse("403 Forbidden")) }
    defer { server.stop() }
    let findings = try Clinic().examine([
      "AWS_ACCESS_KEY_ID": nil, "AWS_SECRET_ACCESS_KEY": nil, "AWS_SESSION_TOKEN": nil,
      "AWS_EC2_METADATA_DISABLED": nil,
      "AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:\(server.port)",
    ])
    #expect(findings.checks(.failed) == ["credentials"])
    #expect(findings.line("credentials").contains("from EC2 instance metadata: no session token: status 403"))
    #expect(
      findings.line("credentials").contains("Not on EC2? Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"))
  }

  @Test func `blames only the proxy if it keeps credentials from being fetched`() throws {
    let proxy = try ScriptedServer { _ in .close(httpResponse("403 Forbidden")) }
    defer { proxy.stop() }
    let clinic = try Clinic()
    let device = try clinic.authority.issue("device", names: "DNS:device")
    // NO_PROXY excepts the endpoint, so only the request for credentials needs the proxy.
    for exception in [nil, "localhost"] as [String?] {
      let findings = try clinic.examine([
        "AWS_ACCESS_KEY_ID": nil, "AWS_SECRET_ACCESS_KEY": nil, "AWS_SESSION_TOKEN": nil,
        "DEFENDER_ROLE_ALIAS": "alias", "DEFENDER_CREDENTIALS_ENDPOINT": "credentials.example.com",
        "DEFENDER_CERTIFICATE_FILE": device.certificateFile, "DEFENDER_PRIVATE_KEY_FILE": device.keyFile,
        "HTTPS_PROXY": "http://127.0.0.1:\(proxy.port)", "NO_PROXY": exception,
      ])
      #expect(findings.checks(.failed) == ["proxy"], "\(findings.map(\.line))")
      #expect(findings.count { $0.check == "proxy" } == 1)
      #expect(findings.line("certificate").hasPrefix("warning"))
      #expect(findings.line("certificate").contains("in 23 h"))
      #expect(
        findings.checks(.skipped) == [
          "credentials", "DNS", "TCP", "TLS", "clock", "signature", "publish",
        ])
      #expect(
        findings.line("proxy").contains("from AWS IoT role alias: the proxy refused with status 403"))
    }
  }

  @Test func `detects what can't be collected`() throws {
    let clinic = try Clinic()
    try clinic.procfs.write("net/tcp", "")
    let odd = try clinic.examine(publish: false)
    #expect(odd.line("collection").hasPrefix("warning"))
    let findings = try clinic.examine(["PROCFS_PATH": "/nowhere"], publish: false)
    #expect(findings.checks(.failed) == ["collection"])
    #expect(findings.line("collection").contains("/nowhere/net/tcp"))
    let kernel = try clinic.examine(["PROCFS_PATH": nil], publish: false)
    #expect(kernel.checks(.failed) == [])
    #expect(kernel.line("collection").contains("from "))
  }

  @Test(arguments: [24, 40, 60, 80, 200], [true, false])
  func `wraps a long line between words, indented to its text`(columns: Int, isColored: Bool) {
    let finding = Finding(
      "TLS", .failed, "one two three four five six seven eight nine ten", advice: "Do it now.")
    let text = finding.wrapped(to: columns, isColored: isColored)
    let plain = text.replacing(#/\u{1B}\[[0-9]+m/#, with: "")
    let lines = plain.split(separator: "\n")
    #expect(lines.joined(separator: " ").split(separator: " ") == finding.line.split(separator: " "))
    #expect(lines.allSatisfy { $0.count <= max(columns, 29) }, "\(plain)")
    let indent = columns >= 48 ? 24 : 2
    #expect(lines.dropFirst().allSatisfy { $0.prefix { $0 == " " }.count == indent })
    #expect(text.hasPrefix("\u{1B}[31m") == isColored)
  }

  @Test(arguments: Finding.Status.allCases)
  func `prints the same text in colour on a terminal`(status: Finding.Status) {
    let finding = Finding("DNS", status, "localhost is 127.0.0.1", advice: "Do.")
    let codes = finding.coloredLine.split(separator: "\u{1B}[", omittingEmptySubsequences: false)
    #expect(codes.count == 3)
    #expect(codes.dropFirst().map { $0.drop { $0 != "m" }.dropFirst() }.joined() == finding.line)
  }

  @Test func `compares transport and interval with what Device Defender accepts`() throws {
    let clinic = try Clinic()
    let reserved = try clinic.examine(["DEFENDER_TOPIC": nil], publish: false)
    #expect(reserved.line("transport").hasPrefix("warning"))
    #expect(reserved.line("transport").contains("only MQTT"))
    let raised = try clinic.examine(["SAMPLE_INTERVAL_SECONDS": "60"], publish: false)
    #expect(raised.line("interval").hasPrefix("warning"))
    #expect(raised.line("interval").contains("60 s") || raised.line("interval").contains("1 min"))
    let short = ["SAMPLE_INTERVAL_SECONDS": "60", "DEFENDER_MINIMUM_INTERVAL_SECONDS": "60"]
    #expect(try clinic.examine(short, publish: false).line("interval").hasPrefix("ok"))
    let throttled = try clinic.examine(
      short.merging(["DEFENDER_TOPIC": ""]) { _, new in new }, publish: false)
    #expect(throttled.line("interval").contains("throttles"))
  }
}

@Suite(.ownThreads) struct `A doctor for devices` {
  private func variables(_ broker: MosquittoBroker) -> [String: String] {
    [
      "AWS_IOT_THING_NAME": "pump-7", "DEFENDER_TRANSPORT": "mqtt",
      "DEFENDER_MQTT_ENDPOINT": "localhost:\(broker.tlsPort)",
      "DEFENDER_CERTIFICATE_FILE": broker.device.certificateFile,
      "DEFENDER_PRIVATE_KEY_FILE": broker.device.keyFile, "AWS_CA_BUNDLE": broker.authority.certificateFile,
    ]
  }

  @Test func `connects over MQTT with the device's certificate, and publishes`() throws {
    let broker = try MosquittoBroker()
    let findings = try findings(variables(broker))
    #expect(findings.checks(.failed) == [])
    #expect(findings.checks(.skipped) == ["clock"])
    #expect(findings.line("MQTT").contains("connected as 'pump-7-defender'"))
    #expect(findings.line("certificate").contains("CN=device"))
    #expect(findings.line("publish").hasPrefix("ok"))
    _ = unsafe chmod(broker.device.keyFile, 0o644)
    #expect(try again(broker).line("certificate").contains("chmod 600"))
  }

  @Test func `accepts the form TRUSTED CERTIFICATE, with which connections work, too`() throws {
    let broker = try MosquittoBroker()
    let directory = try TemporaryDirectory()
    let text = String(decoding: try fileContents(broker.device.certificateFile), as: UTF8.self)
    var variables = variables(broker)
    // openssl-x509(1) writes the same bytes with -trustout if no trust is set.
    variables["DEFENDER_CERTIFICATE_FILE"] = try directory.write(
      "trusted.pem", text.replacing(" CERTIFICATE-", with: " TRUSTED CERTIFICATE-"))
    let findings = try findings(variables)
    #expect(findings.checks(.failed) == [])
    #expect(findings.line("certificate").contains("CN=device"))
    #expect(findings.line("publish").hasPrefix("ok"))
  }

  private func again(_ broker: MosquittoBroker) throws -> [Finding] {
    try findings(variables(broker), publish: false)
  }

  @Test func `detects a certificate that has expired, and one that the broker doesn't know`() throws {
    let broker = try MosquittoBroker()
    let expired = try broker.authority.issue("old", names: "DNS:device", isExpired: true)
    var variables = variables(broker)
    variables["DEFENDER_CERTIFICATE_FILE"] = expired.certificateFile
    variables["DEFENDER_PRIVATE_KEY_FILE"] = expired.keyFile
    let old = try findings(variables)
    #expect(old.checks(.failed).first == "certificate")
    #expect(old.line("certificate").contains("has expired"))
    #expect(old.checks(.skipped).contains("MQTT"))
    let other = try ThrowawayAuthority()
    let stranger = try other.issue("stranger", names: "DNS:device")
    variables["DEFENDER_CERTIFICATE_FILE"] = stranger.certificateFile
    // The key belongs to another certificate.
    let mismatched = try findings(variables)
    #expect(mismatched.checks(.failed) == ["certificate"])
    #expect(mismatched.line("certificate").contains("doesn't belong to the certificate"))
    variables["DEFENDER_PRIVATE_KEY_FILE"] = stranger.keyFile
    // With TLS 1.3, a client may notice this only when it reads.
    #expect(!Set(try findings(variables).checks(.failed)).isDisjoint(with: ["TLS", "MQTT"]))
    variables["DEFENDER_CERTIFICATE_FILE"] = broker.device.keyFile
    #expect(try findings(variables).line("certificate").contains("no valid certificate"))
  }

  @Test func `checks a publish with a certificate over HTTPS`() throws {
    let authority = try ThrowawayAuthority()
    let device = try authority.issue("device", names: "DNS:device")
    let server = try ScriptedServer(
      tls: TLSServerContext(
        authority.issue("server", names: "DNS:localhost"), clientAuthority: authority.certificateFile)
    ) { request in
      let isPublish = request.requestLine.hasPrefix("POST /topics/")
      let type = ["x-amzn-ErrorType: ResourceNotFoundException"]
      return .keep(isPublish ? httpResponse(body: "{}") : httpResponse("404 None", headers: type, body: "{}"))
    }
    defer { server.stop() }
    let findings = try findings([
      "AWS_IOT_THING_NAME": "pump-7", "DEFENDER_TOPIC": "defender/{thing}",
      "AWS_ENDPOINT_URL_IOT_DATA_PLANE": "https://localhost:\(server.port)",
      "DEFENDER_CERTIFICATE_FILE": device.certificateFile, "DEFENDER_PRIVATE_KEY_FILE": device.keyFile,
      "AWS_CA_BUNDLE": authority.certificateFile,
    ])
    #expect(findings.checks(.failed) == [])
    #expect(findings.line("authorization").contains("the certificate was accepted"))
    #expect(findings.line("publish").hasPrefix("ok"))
  }

  @Test func `asks the nucleus in a Greengrass component, and reports what it can't check`() throws {
    let access = """
      {"SampleIntervalSeconds": 600, "accessControl": {"aws.greengrass.ipc.mqttproxy": {"policy":
        {"operations": ["*"], "resources": ["defender/*"]}}}}
      """
    let nucleus = try FakeNucleus(.classic, configuration: access)
    let variables = [
      "SVCUID": FakeNucleus.token, "AWS_IOT_THING_NAME": "core",
      "AWS_GG_NUCLEUS_DOMAIN_SOCKET_FILEPATH_FOR_COMPONENT": nucleus.socketPath,
    ]
    let well = try findings(variables)
    #expect(well.checks(.failed) == [])
    #expect(well.checks(.skipped) == ["credentials", "DNS", "TCP", "TLS", "clock", "delivery"])
    #expect(well.line("configuration").contains("every 10 min, over greengrass"))
    let modern = try FakeNucleus(.classic, configuration: access, arguments: ["--connection-status"])
    let socket = ["AWS_GG_NUCLEUS_DOMAIN_SOCKET_FILEPATH_FOR_COMPONENT": modern.socketPath]
    let online = try findings(variables.merging(socket) { _, new in new })
    #expect(online.line("delivery").hasPrefix("ok"))
    try modern.do(#"{"do": "core-offline"}"#)
    let offline = try findings(variables.merging(socket) { _, new in new })
    #expect(offline.line("delivery").hasPrefix("warning"))
    #expect(offline.line("delivery").contains("the core has no connection to AWS IoT"))
    let stranger = try findings(
      variables.merging(["SVCUID": "FEDCBA9876543210"]) { _, new in new }, within: .milliseconds(500))
    #expect(stranger.line("nucleus").hasPrefix("failed"))
    let outside = try findings(["DEFENDER_TRANSPORT": "greengrass", "AWS_IOT_THING_NAME": "core"])
    #expect(outside.checks(.failed) == ["configuration"])
  }
}
