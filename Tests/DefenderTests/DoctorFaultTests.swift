import DefenderAgent
import Glibc
import Platform
import TestSupport
import Testing

@testable import defender

/// How reports reach AWS IoT.
private enum Route: String, CaseIterable {
  /// HTTPS, with signatures.
  case https
  /// HTTPS, with a client certificate.
  case certificate
  /// MQTT over TLS, with a client certificate.
  case mqtt
  /// MQTT over a signed WebSocket.
  case wss

  static let signed: [Route] = [.https, .wss]
  static let withCertificate: [Route] = [.certificate, .mqtt]
}

/// A device that can publish over a route, until a fault is planted.
private final class Patient {
  let route: Route
  var variables: [String: String]
  /// The authority of the server's and the device's certificates.
  let authority: ThrowawayAuthority
  /// Servers, which stop when they are released.
  var retained: [AnyObject] = []

  init(_ route: Route) throws {
    self.route = route
    switch route {
    case .https:
      let clinic = try Clinic()
      (variables, authority) = (clinic.variables, clinic.authority)
      retained.append(clinic)
    case .wss:
      let server = try WebSocketVerifier()
      (variables, authority) = (Self.variables(server), server.authority)
      retained.append(server)
    case .mqtt:
      let broker = try MosquittoBroker()
      authority = broker.authority
      variables = ["DEFENDER_TRANSPORT": "mqtt", "DEFENDER_MQTT_ENDPOINT": "localhost:\(broker.tlsPort)"]
      retained.append(broker)
      try use(broker.device)
    case .certificate:
      authority = try ThrowawayAuthority()
      variables = [:]
      try serve()
      try use(try authority.issue("device", names: "DNS:device"))
    }
    variables.merge([
      "AWS_IOT_THING_NAME": "pump-7", "DEFENDER_TOPIC": "defender/{thing}",
      "AWS_CA_BUNDLE": authority.certificateFile,
      "AWS_EC2_METADATA_DISABLED": "true",
    ]) { $1 }
  }

  deinit {
    for server in retained { (server as? ScriptedServer)?.stop() }
  }

  static func variables(_ server: WebSocketVerifier) -> [String: String] {
    server.credentials.merging([
      "DEFENDER_TRANSPORT": "mqtt", "DEFENDER_MQTT_ENDPOINT": "wss://localhost:\(server.port)",
      "AWS_REGION": "eu-west-1", "AWS_CA_BUNDLE": server.authority.certificateFile,
    ]) { $1 }
  }

  func use(_ device: ThrowawayAuthority.Identity) throws {
    variables["DEFENDER_CERTIFICATE_FILE"] = device.certificateFile
    variables["DEFENDER_PRIVATE_KEY_FILE"] = device.keyFile
  }

  func aim(at host: String, _ port: UInt16) {
    switch route {
    case .https, .certificate: variables["AWS_ENDPOINT_URL_IOT_DATA_PLANE"] = "https://\(host):\(port)"
    case .mqtt: variables["DEFENDER_MQTT_ENDPOINT"] = "\(host):\(port)"
    case .wss: variables["DEFENDER_MQTT_ENDPOINT"] = "wss://\(host):\(port)"
    }
  }

  /// Starts a data plane with this certificate, which accepts every client certificate of the authority, and aims at it.
  func serve(
    _ identity: ThrowawayAuthority.Identity? = nil, headers: [String] = [], allowsPublish: Bool = true
  ) throws {
    let type = ["x-amzn-ErrorType: ResourceNotFoundException"]
    let server = try ScriptedServer(
      tls: TLSServerContext(
        try identity ?? authority.issue("own", names: "DNS:localhost"),
        clientAuthority: route == .certificate ? authority.certificateFile : nil)
    ) { request in
      guard request.requestLine.hasPrefix("POST /topics/") else {
        return .keep(httpResponse("404 None", headers: type + headers, body: "{}"))
      }
      let denial = httpResponse(
        "403 No", headers: ["x-amzn-ErrorType: ForbiddenException:", "x-amzn-RequestId: r"],
        body: #"{"message":"Forbidden"}"#)
      return .keep(allowsPublish ? httpResponse(body: "{}") : denial)
    }
    retained.append(server)
    aim(at: "localhost", server.port)
  }
}

/// A planted fault, and the only failed line that it must cause.
private struct Fault: Sendable, CustomTestStringConvertible {
  let name: String
  var routes = Route.allCases
  let check: String
  let words: [String]
  let plant: @Sendable (Patient) throws -> Void

  var testDescription: String { name }
}

private let missingName = String(repeating: "a", count: 64) + ".example.com"

private let faultsOfServers = [
  Fault(name: "unknown host", check: "DNS", words: [missingName]) { $0.aim(at: missingName, 443) },
  Fault(name: "another host's certificate", check: "TLS", words: ["DNS:example.com", "host name"]) {
    patient in
    try patient.serve(patient.authority.issue("other", names: "DNS:example.com"))
  },
  Fault(name: "closed port", check: "TCP", words: ["port ", "firewall"]) {
    try $0.aim(at: "localhost", freePort())
  },
  Fault(name: "unknown authority", check: "TLS", words: ["set AWS_CA_BUNDLE", "valid from", "until"]) {
    patient in
    let other = try ThrowawayAuthority()
    patient.retained.append(other)
    patient.variables["AWS_CA_BUNDLE"] = other.certificateFile
  },
  Fault(name: "server's certificate expired", check: "TLS", words: ["has expired", "valid from", "until"]) {
    patient in
    try patient.serve(patient.authority.issue("old", names: "DNS:localhost", isExpired: true))
  },
  Fault(name: "server's certificate not yet valid", check: "TLS", words: ["not yet valid", "valid from"]) {
    patient in
    try patient.serve(patient.authority.issue("new", names: "DNS:localhost", isFuture: true))
  },
  Fault(
    name: "proxy that refuses", check: "proxy", words: ["127.0.0.1:", "(HTTPS_PROXY)", "Allow the endpoint"]
  ) { patient in
    let proxy = try ScriptedServer { _ in .close(httpResponse("403 Forbidden")) }
    patient.retained.append(proxy)
    patient.variables["HTTPS_PROXY"] = "http://127.0.0.1:\(proxy.port)"
  },
]

private let faultsOfIdentities = [
  Fault(
    name: "device's certificate expired", routes: Route.withCertificate, check: "certificate",
    words: ["has expired", "valid from", "until"]
  ) { try $0.use($0.authority.issue("old", names: "DNS:device", isExpired: true)) },
  Fault(
    name: "device's certificate not yet valid", routes: Route.withCertificate, check: "certificate",
    words: ["isn't valid yet", "valid from", "until"]
  ) { try $0.use($0.authority.issue("new", names: "DNS:device", isFuture: true)) },
  Fault(
    name: "key of another certificate", routes: Route.withCertificate, check: "certificate",
    words: ["doesn't belong to the certificate"]
  ) { patient in
    patient.variables["DEFENDER_PRIVATE_KEY_FILE"] = try patient.authority.issue("other", names: "DNS:x")
      .keyFile
  },
  Fault(
    name: "truncated chain", routes: Route.withCertificate, check: "certificate",
    words: ["a certificate after the first one in", "is truncated", "Write the whole chain"]
  ) { patient in
    let device = try patient.authority.issue("chained", names: "DNS:device", isIndirect: true)
    try patient.use(device)
    let directory = try TemporaryDirectory()
    patient.retained.append(directory)
    let whole = try fileContents(device.certificateFile)
    patient.variables["DEFENDER_CERTIFICATE_FILE"] = try directory.write(
      "chain.pem", Array(whole.dropLast(100)))
  },
  Fault(
    name: "wrong key password", routes: Route.withCertificate, check: "configuration",
    words: ["DEFENDER_PRIVATE_KEY_FILE", "the password in"]
  ) { patient in
    try patient.use(patient.authority.issue("locked", names: "DNS:device", keyPassword: "right"))
    let directory = try TemporaryDirectory()
    patient.retained.append(directory)
    patient.variables["DEFENDER_PRIVATE_KEY_PASSWORD_FILE"] = try directory.write("password", "wrong\n")
  },
  Fault(
    name: "half of a certificate and key", routes: Route.withCertificate, check: "configuration",
    words: ["DEFENDER_PRIVATE_KEY_FILE isn't set"]
  ) { $0.variables["DEFENDER_PRIVATE_KEY_FILE"] = nil },
  Fault(
    name: "half of a key pair", routes: Route.signed, check: "configuration",
    words: ["AWS_SECRET_ACCESS_KEY isn't set"]
  ) { $0.variables["AWS_SECRET_ACCESS_KEY"] = nil },
  Fault(name: "wrong region", routes: [.https], check: "signature", words: ["AWS_REGION must be"]) {
    patient in
    patient.variables["AWS_REGION"] = "us-east-2"
  },
  Fault(name: "wrong region", routes: [.wss], check: "MQTT", words: ["signing region"]) { patient in
    patient.variables["AWS_REGION"] = "us-east-2"
  },
]

private let faultsOfConfigurations = [
  Fault(
    name: "missing certificate file", routes: Route.withCertificate, check: "configuration",
    words: ["DEFENDER_CERTIFICATE_FILE", "'/nonexistent.pem'"]
  ) { $0.variables["DEFENDER_CERTIFICATE_FILE"] = "/nonexistent.pem" },
  Fault(
    name: "missing file of authorities", check: "configuration",
    words: ["AWS_CA_BUNDLE", "'/nonexistent.pem'"]
  ) { $0.variables["AWS_CA_BUNDLE"] = "/nonexistent.pem" },
  Fault(
    name: "misspelt variable", check: "configuration",
    words: ["DEFENDER_TOPC", "Did you mean DEFENDER_TOPIC?"]
  ) { $0.variables["DEFENDER_TOPC"] = "a" },
  Fault(
    name: "misspelt variable that is required", routes: [.mqtt, .wss], check: "configuration",
    words: ["DEFENDER_MQTT_ENDPIONT", "Did you mean DEFENDER_MQTT_ENDPOINT?"]
  ) { $0.variables["DEFENDER_MQTT_ENDPIONT"] = $0.variables.removeValue(forKey: "DEFENDER_MQTT_ENDPOINT") },
]

private let faultsOfServices = [
  Fault(name: "clock 20 min off", routes: [.https], check: "clock", words: ["19 min 5", "behind"]) {
    patient in
    let clinic = try Clinic(Clinic.Plan(clockOffset: .seconds(1_200)))
    patient.retained.append(clinic)
    patient.variables.merge(clinic.variables) { $1 }
  },
  Fault(name: "clock 20 min off", routes: [.wss], check: "clock", words: ["min", "behind"]) { patient in
    let server = try WebSocketVerifier(skew: 1_200)
    patient.retained.append(server)
    patient.variables.merge(Patient.variables(server)) { $1 }
  },
  Fault(name: "clock off", routes: [.certificate], check: "clock", words: ["ahead"]) { patient in
    try patient.serve(headers: ["Date: Thu, 01 Jan 2026 00:00:00 GMT"])
  },
  Fault(
    name: "topic not allowed", routes: [.https], check: "publish",
    words: ["iot:Publish", "topic/defender/test"]
  ) {
    patient in
    let clinic = try Clinic(Clinic.Plan(allows: false))
    patient.retained.append(clinic)
    patient.variables.merge(clinic.variables) { $1 }
  },
  Fault(name: "topic not allowed", routes: [.certificate], check: "publish", words: ["iot:Publish"]) {
    patient in
    try patient.serve(allowsPublish: false)
  },
  Fault(name: "topic not allowed", routes: [.wss], check: "publish", words: ["iot:Publish"]) { patient in
    let server = try WebSocketVerifier(deniesPublish: true)
    patient.retained.append(server)
    patient.variables.merge(Patient.variables(server)) { $1 }
  },
  // Without TLS, so that the relay sees the packets. AWS IoT closes the connection in the same way.
  Fault(name: "topic not allowed", routes: [.mqtt], check: "publish", words: ["iot:Publish"]) { patient in
    let broker = try MosquittoBroker()
    let relay = try Relay(.forward(to: broker.plainPort)) { packet in
      packet.direction == .toServer && packet.type == 3 ? .cut : .pass
    }
    patient.retained += [broker, relay]
    patient.aim(at: "mqtt://127.0.0.1", relay.port)
  },
  // MQTT 5 has reasons.
  Fault(
    name: "topic not allowed, with a reason", routes: [.mqtt], check: "publish",
    words: ["not authorized (135)", "lacks iot:Publish on topic/defender/test"]
  ) { patient in
    let broker = try MosquittoBroker(accessList: "topic read #\n")
    patient.retained.append(broker)
    patient.aim(at: "mqtt://127.0.0.1", broker.plainPort)
  },
  Fault(
    name: "client not allowed, with a reason", routes: [.mqtt], check: "MQTT",
    words: ["not authorized (135)", "lacks iot:Connect on client/pump-7-defender"]
  ) { patient in
    let broker = try MosquittoBroker()
    let relay = try Relay(.forward(to: broker.plainPort)) { packet in
      packet.direction == .toClient && packet.type == 2 ? .replace([0x20, 3, 0, 0x87, 0]) : .pass
    }
    patient.retained += [broker, relay]
    patient.aim(at: "mqtt://127.0.0.1", relay.port)
  },
]

/// A fault on one of its routes.
private struct Case: Sendable, CustomTestStringConvertible {
  let fault: Fault
  let route: Route

  var testDescription: String { "\(fault.name), \(route)" }

  static let all =
    (faultsOfServers + faultsOfIdentities + faultsOfConfigurations + faultsOfServices).flatMap { fault in
      fault.routes.map { Case(fault: fault, route: $0) }
    }
}

@Suite(.ownThreads) struct `A doctor of a device with one fault` {
  @Test(arguments: Route.allCases)
  fileprivate func `finds none before it is planted`(route: Route) throws {
    let patient = try Patient(route)
    let found = try withExtendedLifetime(patient) { try findings(patient.variables) }
    #expect(found.checks(.failed) == [], "\(found.map(\.line).joined(separator: "\n"))")
    #expect(found.line("publish").hasPrefix("ok"))
  }

  @Test(arguments: Case.all)
  fileprivate func `names its cause in the only failed line`(planted: Case) throws {
    let patient = try Patient(planted.route)
    try planted.fault.plant(patient)
    let found = try withExtendedLifetime(patient) { try findings(patient.variables) }
    let failed = found.filter { $0.status == .failed }
    #expect(failed.map(\.check) == [planted.fault.check], "\(found.map(\.line).joined(separator: "\n"))")
    let line = failed.first?.line ?? ""
    #expect(planted.fault.words.allSatisfy(line.contains), "\(line)")
  }
}
