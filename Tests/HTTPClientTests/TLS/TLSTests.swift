import COpenSSL
import Glibc
import HTTPClient
import Platform
import TestSupport
import Testing

private let names = "DNS:localhost,IP:127.0.0.1,DNS:*.iot.eu-west-1.amazonaws.com"

/// Returns a configuration that trusts only `authority`.
private func configuration(_ authority: ThrowawayAuthority) -> ConnectionConfiguration {
  ConnectionConfiguration(Environment(["AWS_CA_BUNDLE": authority.certificateFile]))
}

private func get(_ url: String, _ configuration: ConnectionConfiguration) throws -> HTTPResponse {
  try CurlExchange(configuration).exchange(HTTPRequest(method: "GET", url: url), timeout: .seconds(5))
}

/// Returns whether `error` says that the server's certificate can't be verified.
private func isNotTrusted(_ error: any Error) -> Bool {
  guard case .notTrusted = error as? HTTPError else { return false }
  return true
}

/// Returns whether `error` says that our certificate was rejected or can't be used.
private func isOwnCertificateRejected(_ error: any Error) -> Bool {
  guard case .ownCertificateRejected = error as? HTTPError else { return false }
  return true
}

struct `TLS` {
  @Test(arguments: [false, true])
  func `deletes a throwaway authority completely`(hasIssued: Bool) throws {
    let folder: String
    do {
      let authority = try ThrowawayAuthority()
      folder = authority.folder
      if hasIssued { _ = try authority.issue("server", names: names) }
    }
    #expect(unsafe access(folder, F_OK) != 0 && errno == ENOENT)
  }

  @Test func `connects to a server that the given authority certifies, with its name in the handshake`()
    throws
  {
    let authority = try ThrowawayAuthority()
    let server = try ScriptedServer(
      [.keep(httpResponse())], tls: TLSServerContext(authority.issue("server", names: names)))
    defer { server.stop() }
    let response = try get("https://localhost:\(server.port)/", configuration(authority))
    #expect(response.status == 200)
    #expect(
      server.received.first?.handshake
        == TLSHandshake(serverName: "localhost", applicationProtocol: nil, clientName: nil))
  }

  @Test(arguments: ["DNS:example.com", "IP:127.0.0.2", "DNS:localhost.example.com"])
  func `rejects a certificate for another name`(names: String) throws {
    let authority = try ThrowawayAuthority()
    let server = try ScriptedServer(
      [.keep(httpResponse())], tls: TLSServerContext(authority.issue("server", names: names)))
    defer { server.stop() }
    #expect(performing: { try get(server.url, configuration(authority)) }, throws: isNotTrusted)
    #expect(server.received.isEmpty)
  }

  @Test func `rejects an expired certificate and one of another authority, and reports why`() throws {
    let authority = try ThrowawayAuthority()
    let expired = try ScriptedServer(
      [.keep(httpResponse())],
      tls: TLSServerContext(authority.issue("server", names: names, isExpired: true)))
    defer { expired.stop() }
    #expect {
      try get(expired.url, configuration(authority))
    } throws: { error in
      isNotTrusted(error) && "\(error)".contains("expired")
    }
    let other = try ThrowawayAuthority()
    #expect {
      try get(expired.url, configuration(other))
    } throws: { error in
      isNotTrusted(error) && "\(error)".contains("issuer")
    }
    #expect(expired.received.isEmpty)
  }

  @Test(arguments: [nil, "s3cr3t"])
  func `sends a client certificate, even with an encrypted key`(password: String?) throws {
    let authority = try ThrowawayAuthority()
    let server = try ScriptedServer(
      [.keep(httpResponse())],
      tls: TLSServerContext(
        authority.issue("server", names: names), clientAuthority: authority.certificateFile,
        protocols: ["x-amzn-http-ca"]))
    defer { server.stop() }
    let device = try authority.issue("device", names: "DNS:device", keyPassword: password)
    var configuration = configuration(authority)
    configuration.applicationProtocol = "x-amzn-http-ca"
    let directory = try TemporaryDirectory()
    configuration.identity = ClientIdentity(
      certificateFile: device.certificateFile, keyFile: device.keyFile,
      passwordFile: try password.map { try directory.write("password", $0) })
    _ = try get("https://localhost:\(server.port)/", configuration)
    #expect(
      server.received.first?.handshake
        == TLSHandshake(serverName: "localhost", applicationProtocol: "x-amzn-http-ca", clientName: "device"))
  }

  @Test func `reports that the client certificate or key can't be used`() throws {
    let authority = try ThrowawayAuthority()
    let server = try ScriptedServer([], tls: TLSServerContext(authority.issue("server", names: names)))
    defer { server.stop() }
    let device = try authority.issue("device", names: "DNS:device", keyPassword: "right")
    let other = try authority.issue("other", names: "DNS:other")
    let directory = try TemporaryDirectory()
    let wrong = try directory.write("password", "s3cr3t")
    let identities = [
      ClientIdentity(certificateFile: device.certificateFile, keyFile: device.keyFile, passwordFile: wrong),
      ClientIdentity(certificateFile: device.certificateFile, keyFile: device.keyFile),
      ClientIdentity(certificateFile: device.certificateFile, keyFile: other.keyFile),
      ClientIdentity(certificateFile: "/nonexistent.pem", keyFile: other.keyFile),
      ClientIdentity(certificateFile: other.certificateFile, keyFile: "/nonexistent.key"),
    ]
    for identity in identities {
      var configuration = configuration(authority)
      configuration.identity = identity
      #expect {
        try get(server.url, configuration)
      } throws: { error in
        isOwnCertificateRejected(error) && "\(error)".contains("our certificate or private key")
          && !"\(error)".contains("s3cr3t")
      }
    }
  }

  @Test func `reports that the server rejected the client certificate`() throws {
    let authority = try ThrowawayAuthority()
    let server = try ScriptedServer(
      [.keep(httpResponse())],
      tls: TLSServerContext(
        authority.issue("server", names: names), clientAuthority: authority.certificateFile))
    defer { server.stop() }
    let expired = try authority.issue("device", names: "DNS:device", isExpired: true)
    var configuration = configuration(authority)
    configuration.identity = ClientIdentity(
      certificateFile: expired.certificateFile, keyFile: expired.keyFile)
    #expect {
      try get(server.url, configuration)
    } throws: { error in
      // The connection may be gone before the client has read the reason.
      if case .lostAfterCertificate = error as? HTTPError { return true }
      return isOwnCertificateRejected(error) && "\(error)".contains("the server rejected our certificate")
    }
    #expect(server.received.isEmpty)
  }

  @Test(arguments: [ScriptedServer.Answer.reset(""), .close("")])
  func `mentions the certificate if a new connection breaks without an answer`(
    ending: ScriptedServer.Answer
  ) throws {
    let authority = try ThrowawayAuthority()
    let server = try ScriptedServer(
      [ending, ending, .keep(httpResponse()), ending],
      tls: TLSServerContext(
        authority.issue("server", names: names), clientAuthority: authority.certificateFile))
    defer { server.stop() }
    let device = try authority.issue("device", names: "DNS:device")
    var configuration = configuration(authority)
    configuration.identity = ClientIdentity(certificateFile: device.certificateFile, keyFile: device.keyFile)
    let exchange = try CurlExchange(configuration)
    func failure() throws -> String {
      let request = HTTPRequest(method: "GET", url: server.url)
      let error = try #require(throws: HTTPError.self) {
        try exchange.exchange(request, timeout: .seconds(20))
      }
      return "\(error)"
    }
    for _ in 1...2 {
      let text = try failure()
      #expect(text.contains("so the server may have rejected it"), "\(text)")
    }
    // On a reused connection, the certificate isn't the cause.
    _ = try exchange.exchange(HTTPRequest(method: "GET", url: server.url), timeout: .seconds(20))
    #expect(try !failure().contains("certificate"))
  }

  @Test func `tries the shipped authorities first for AWS hosts, then the system's`() throws {
    let authority = try ThrowawayAuthority()
    let server = try ScriptedServer(
      [.keep(httpResponse()), .keep(httpResponse())],
      tls: TLSServerContext(authority.issue("server", names: names)))
    defer { server.stop() }
    // The throwaway authority stands in for the system's bundle.
    var configuration = ConnectionConfiguration(trust: .system(path: authority.certificateFile))
    let host = "data-ats.iot.eu-west-1.amazonaws.com"
    configuration.connectTo = ["\(host):443:127.0.0.1:\(server.port)"]
    let exchange = try CurlExchange(configuration)
    for _ in 1...2 {
      let request = HTTPRequest(method: "POST", url: "https://\(host)/", body: [1])
      #expect(try exchange.exchange(request, timeout: .seconds(5)).status == 200)
    }
    #expect(server.received.map(\.handshake?.serverName) == [host, host])
    // The failed handshake was a connection, too. The second request doesn't try the shipped authorities again.
    #expect(server.received.map(\.connection) == [2, 2])
  }

  @Test func `tries no other authorities if our own certificate is the problem`() throws {
    let authority = try ThrowawayAuthority()
    let server = try ScriptedServer(
      [.keep(httpResponse())], tls: TLSServerContext(authority.issue("server", names: names)))
    defer { server.stop() }
    var ours = ConnectionConfiguration(trust: .system(path: authority.certificateFile))
    let host = "data-ats.iot.eu-west-1.amazonaws.com"
    ours.connectTo = ["\(host):443:127.0.0.1:\(server.port)"]
    ours.identity = ClientIdentity(certificateFile: "/nonexistent.pem", keyFile: "/nonexistent.key")
    let url = "https://\(host)/"
    #expect {
      try get(url, ours)
    } throws: { error in
      isOwnCertificateRejected(error) && "\(error)".contains("our certificate or private key")
    }
    let time = SystemWaiter(shutdown: nil)
    #expect(throws: HTTPError.self) {
      try CurlConnection(to: url, ours, time: time, until: time.bootTime.advanced(by: .seconds(20)))
    }
    let trial = ConnectionTrial(to: url, ours, timeout: .seconds(20))
    #expect(trial.failure?.error.isAboutOurCertificate == true)
    // Each of the three made one connection, so this is the fourth.
    _ = try get(server.url, configuration(authority))
    #expect(server.received.map(\.connection) == [4])
  }

  @Test func `warns about a key that others can read`() throws {
    let authority = try ThrowawayAuthority()
    let device = try authority.issue("device", names: "DNS:device")
    let identity = ClientIdentity(certificateFile: device.certificateFile, keyFile: device.keyFile)
    #expect(identity.warning == nil)
    _ = unsafe chmod(device.keyFile, 0o640)
    #expect(identity.warning?.contains("mode 640") == true)
  }
}

struct `The shipped certificate authorities` {
  @Test func `are the five that AWS names`() throws {
    var fingerprints: [String] = []
    var text = Array(amazonRootCertificates.utf8)
    let memory = unsafe BIO_new_mem_buf(&text, Int32(text.count))
    defer { unsafe BIO_free(memory) }
    while let certificate = unsafe PEM_read_bio_X509(memory, nil, nil, nil) {
      var digest = [UInt8](repeating: 0, count: 32)
      #expect(unsafe X509_digest(certificate, EVP_sha256(), &digest, nil) == 1)
      fingerprints.append(digest.prefix(4).map { String($0, radix: 16) }.joined(separator: ":"))
      unsafe X509_free(certificate)
    }
    // The first bytes of the SHA-256 fingerprints at https://www.amazontrust.com/repository/, in this order.
    #expect(fingerprints == ["8e:cd:e6:88", "1b:a5:b2:aa", "18:ce:6c:fe", "e3:5d:28:41", "56:8d:69:5"])
  }
}
