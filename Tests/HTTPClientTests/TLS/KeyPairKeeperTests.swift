import Glibc
import HTTPClient
import Platform
import TestSupport
import Testing

/// A device's certificate and key at fixed paths, to which a test installs others.
private final class Device {
  let authority: ThrowawayAuthority
  let directory: TemporaryDirectory
  let recorded = RecordedLog()
  let identity: ClientIdentity
  let (certificate, key): (String, String)

  init(keyPassword: String? = nil) throws {
    authority = try ThrowawayAuthority()
    directory = try TemporaryDirectory()
    let first = try authority.issue("first", names: "DNS:device", keyPassword: keyPassword)
    certificate = try directory.write("certificate.pem", try fileContents(first.certificateFile))
    key = try directory.write("private.key", try fileContents(first.keyFile))
    let password: String? =
      if let keyPassword { try directory.write("password", keyPassword) } else { nil }
    identity = ClientIdentity(certificateFile: certificate, keyFile: key, passwordFile: password)
    identity.report(to: recorded.log())
  }

  /// Writes into the certificate's file, in place.
  func writeCertificate(_ contents: [UInt8]) throws { try directory.write("certificate.pem", contents) }
  func writeKey(_ contents: [UInt8]) throws { try directory.write("private.key", contents) }

  func issue(_ name: String, keyPassword: String? = nil, isIndirect: Bool = false) throws -> (
    certificate: [UInt8], key: [UInt8]
  ) {
    let issued = try authority.issue(
      name, names: "DNS:device", keyPassword: keyPassword, isIndirect: isIndirect)
    return (try fileContents(issued.certificateFile), try fileContents(issued.keyFile))
  }

  /// The name in the certificate that a server receives over a new connection.
  func shownName() throws -> String? {
    let server = try ScriptedServer(
      [.keep(httpResponse())],
      tls: TLSServerContext(
        authority.issue("server", names: "DNS:localhost"), clientAuthority: authority.certificateFile))
    defer { server.stop() }
    var configuration = ConnectionConfiguration(
      trust: .file(path: authority.certificateFile, namedBy: "a test"))
    configuration.identity = identity
    let request = HTTPRequest(method: "GET", url: "https://localhost:\(server.port)/")
    _ = try CurlExchange(configuration).exchange(request, timeout: .seconds(20))
    return server.received.first?.handshake?.clientName
  }
}

/// A state of the files in which they can't be used.
private struct HalfWritten: Sendable, CustomTestStringConvertible {
  let testDescription: String
  /// A part of the log line.
  let reason: String
  let write: @Sendable (Device, (certificate: [UInt8], key: [UInt8])) throws -> Void
}

private let halfWritten = [
  HalfWritten(testDescription: "a new certificate, the old key", reason: "doesn't belong to the certificate")
  {
    try $0.writeCertificate($1.certificate)
  },
  HalfWritten(testDescription: "a new key, the old certificate", reason: "doesn't belong to the certificate")
  {
    try $0.writeKey($1.key)
  },
  HalfWritten(testDescription: "an empty certificate", reason: "contains no certificate") { device, _ in
    try device.writeCertificate([])
  },
  HalfWritten(testDescription: "an empty key", reason: "contains no private key") { device, _ in
    try device.writeKey([])
  },
  HalfWritten(testDescription: "a truncated certificate", reason: "contains no certificate") {
    try $0.writeCertificate(Array($1.certificate.prefix($1.certificate.count / 2)))
  },
  HalfWritten(testDescription: "a truncated chain", reason: "or a truncated one") {
    let other = try $0.issue("other")
    try $0.writeCertificate($1.certificate + other.certificate.prefix(other.certificate.count / 2))
    try $0.writeKey($1.key)
  },
  HalfWritten(testDescription: "a truncated key", reason: "contains no private key") {
    try $0.writeCertificate($1.certificate)
    try $0.writeKey(Array($1.key.prefix($1.key.count / 2)))
  },
  HalfWritten(testDescription: "no certificate", reason: "can't be read") { device, _ in
    try device.directory.remove("certificate.pem")
  },
  HalfWritten(testDescription: "no key", reason: "can't be read") { device, _ in
    try device.directory.remove("private.key")
  },
  HalfWritten(testDescription: "a pipe", reason: "isn't a regular file") { device, _ in
    try device.directory.remove("private.key")
    _ = try device.directory.makePipe("private.key")
  },
]

@Suite struct `A client certificate whose files are renewed` {
  @Test(arguments: halfWritten)
  fileprivate func `stays in use until the new pair is complete`(state: HalfWritten) throws {
    let device = try Device()
    #expect(try device.shownName() == "first")
    let second = try device.issue("second")
    try state.write(device, second)
    // Each connection reads the files, but one line in the log is enough.
    for _ in 1...3 { #expect(try device.shownName() == "first") }
    #expect(device.recorded.lines.count == 1, "\(device.recorded.lines)")
    let line = try #require(device.recorded.lines.first)
    #expect(line.contains("WARN"))
    #expect(line.contains("Kept the former certificate and key") && line.contains(state.reason), "\(line)")
    #expect(line.contains(device.certificate) && line.contains(device.key))
    // Not a pipe any more.
    _ = unsafe unlink(device.key)
    try device.writeCertificate(second.certificate)
    try device.writeKey(second.key)
    #expect(try device.shownName() == "second")
    #expect(device.recorded.lines.count == 2, "\(device.recorded.lines)")
    #expect(device.recorded.lines.last?.contains("Read the renewed certificate") == true)
  }

  @Test func `gives the reason again when it is asked to read unchanged files again`() throws {
    let device = try Device()
    #expect(device.identity.keeper.refreshed() != nil)
    try device.writeKey([])
    for _ in 1...2 { device.identity.keeper.refreshed() }
    #expect(device.recorded.lines.count == 1)
    device.identity.keeper.readAgain()
    for _ in 1...2 { device.identity.keeper.refreshed() }
    #expect(device.recorded.lines.count { $0.contains("contains no private key") } == 2)
  }

  @Test func `is adopted, with a warning, if it has expired or ends earlier than the former one`() throws {
    let device = try Device()
    func adopt(_ name: String, days: Int, isExpired: Bool = false) throws -> [String] {
      device.identity.keeper.refreshed()
      let former = try #require(device.identity.keeper.notAfter)
      let issued = try device.authority.issue(
        name, names: "DNS:device", isExpired: isExpired, days: days)
      try device.writeCertificate(try fileContents(issued.certificateFile))
      try device.writeKey(try fileContents(issued.keyFile))
      let count = device.recorded.lines.count
      device.identity.keeper.refreshed()
      let end = try #require(device.identity.keeper.notAfter)
      #expect(end != former)
      let lines = device.recorded.lines.dropFirst(count)
      #expect(lines.first?.contains("Read the renewed certificate") == true)
      for line in lines.dropFirst() {
        #expect(line.contains("valid until \(CivilTime(end).extendedFormat)"), "\(line)")
        #expect(line.contains("the former one until \(CivilTime(former).extendedFormat)"), "\(line)")
        #expect(line.contains("WARN"))
      }
      return lines.dropFirst().map { $0 }
    }
    #expect(try adopt("longer", days: 90).isEmpty)
    let earlier = try adopt("earlier", days: 30)
    #expect(earlier.count == 1 && earlier[0].contains("expires earlier than the former one"), "\(earlier)")
    let expired = try adopt("expired", days: 1, isExpired: true)
    #expect(expired.count == 1 && expired[0].contains("has expired"), "\(expired)")
    #expect(try adopt("new", days: 30).isEmpty)
  }

  @Test func `is used from the next connection on, however the files are replaced`() throws {
    let device = try Device()
    let directory = device.directory
    // As Kubernetes does: the files are links through a directory, which another one replaces at once.
    for (version, name) in ["second", "third"].enumerated() {
      let pair = try device.issue(name)
      try directory.write("\(version)/certificate.pem", pair.certificate)
      try directory.write("\(version)/private.key", pair.key)
    }
    #expect(unsafe symlink("0", "\(directory.path)/data") == 0)
    #expect(unsafe symlink("1", "\(directory.path)/data.new") == 0)
    #expect(try device.shownName() == "first")
    for file in ["certificate.pem", "private.key"] {
      try directory.remove(file)
      #expect(unsafe symlink("data/\(file)", "\(directory.path)/\(file)") == 0)
    }
    #expect(try device.shownName() == "second")
    #expect(unsafe rename("\(directory.path)/data.new", "\(directory.path)/data") == 0)
    #expect(try device.shownName() == "third")
    let fourth = try device.issue("fourth")
    for (file, contents) in [("certificate.pem", fourth.certificate), ("private.key", fourth.key)] {
      let new = try directory.write("\(file).new", contents)
      #expect(unsafe rename(new, "\(directory.path)/\(file)") == 0)
    }
    #expect(try device.shownName() == "fourth")
    #expect(!device.recorded.lines.contains { $0.contains("Kept") })
  }

  @Test func `is noticed if a file keeps its size and its time of modification`() throws {
    let device = try Device()
    #expect(try device.shownName() == "first")
    let second = try device.issue("second")
    var before = stat()
    #expect(unsafe stat(device.certificate, &before) == 0)
    try device.writeCertificate(second.certificate)
    try device.writeKey(second.key)
    for file in [device.certificate, device.key] {
      let times = [before.st_atim, before.st_mtim]
      #expect(unsafe utimensat(AT_FDCWD, file, times, 0) == 0)
    }
    #expect(try device.shownName() == "second")
  }

  @Test func `can have another password`() throws {
    let device = try Device(keyPassword: "first password")
    #expect(try device.shownName() == "first")
    let second = try device.issue("second", keyPassword: "second password")
    try device.writeCertificate(second.certificate)
    try device.writeKey(second.key)
    #expect(try device.shownName() == "first")
    #expect(device.recorded.lines.last?.contains("is wrong for the private key \(device.key)") == true)
    try device.directory.write("password", "second password\n")
    #expect(try device.shownName() == "second")
    #expect(
      !device.recorded.lines.contains { $0.contains("first password") || $0.contains("second password") })
  }

  @Test func `keeps a password that comes from a pipe`() throws {
    let authority = try ThrowawayAuthority()
    let device = try authority.issue("device", names: "DNS:device", keyPassword: "pass")
    let directory = try TemporaryDirectory()
    let pipe = try directory.makePipe("password")
    let writer = try ServerProgram(
      "/bin/sh", ["-c", "echo pass > \(pipe)"], log: "\(directory.path)/log")
    defer { writer.stop() }
    let files = ClientIdentityFiles(
      certificate: device.certificateFile, key: device.keyFile, password: pipe)
    let identity = try ClientIdentity(files)
    #expect(identity.problem == nil)
    #expect(identity.keeper.refreshed() != nil)
  }

  @Test func `is sent with the certificates of its authorities`() throws {
    let device = try Device()
    let indirect = try device.issue("indirect", isIndirect: true)
    try device.writeCertificate(indirect.certificate)
    try device.writeKey(indirect.key)
    // The server knows only the root, so it needs the authority between.
    #expect(try device.shownName() == "indirect")
  }

  @Test func `is used by an exchange that has a connection open`() throws {
    let device = try Device()
    let server = try ScriptedServer(
      (1...4).map { _ in .keep(httpResponse()) },
      tls: TLSServerContext(
        device.authority.issue("server", names: "DNS:localhost"),
        clientAuthority: device.authority.certificateFile))
    defer { server.stop() }
    var configuration = ConnectionConfiguration(
      trust: .file(path: device.authority.certificateFile, namedBy: "a test"))
    configuration.identity = device.identity
    let exchange = try CurlExchange(configuration)
    func get() throws {
      _ = try exchange.exchange(
        HTTPRequest(method: "GET", url: "https://localhost:\(server.port)/"), timeout: .seconds(20))
    }
    for _ in 1...2 { try get() }
    let second = try device.issue("second")
    try device.writeCertificate(second.certificate)
    try get()
    try device.writeKey(second.key)
    try get()
    #expect(server.received.map { $0.handshake?.clientName } == ["first", "first", "first", "second"])
    // Only the new pair needed another connection.
    #expect(server.received.map(\.connection) == [1, 1, 1, 2])
  }
}
