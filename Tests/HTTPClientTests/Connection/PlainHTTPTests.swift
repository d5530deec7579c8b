import CCurl
import Glibc
import Platform
import TestSupport
import Testing
import WireFormats

@testable import HTTPClient

struct `A request without TLS` {
  private func error(_ url: String, _ variables: [String: String] = [:], connectTo: [String] = []) throws
    -> HTTPError
  {
    var configuration = ConnectionConfiguration(Environment(variables))
    configuration.connectTo = connectTo
    let exchange = try CurlExchange(configuration)
    return try #require(throws: HTTPError.self) {
      try exchange.exchange(
        HTTPRequest(method: "POST", url: url, headers: [HeaderField("X-Amz-Security-Token", "hunter2")]),
        timeout: .seconds(5))
    }
  }

  @Test(arguments: [
    ("http://192.0.2.1/", [], "192.0.2.1"), ("HTTP://192.0.2.1:8080/", [], "192.0.2.1"),
    ("http://[2001:db8::1]/", [], "2001:db8::1"), ("http://169.254.169.253/", [], "169.254.169.253"),
    // The address decides, whatever name it belongs to.
    ("http://localhost/", ["localhost:80:192.0.2.1:80"], "192.0.2.1"),
    ("http://127.0.0.1/", ["127.0.0.1:80:192.0.2.1:80"], "192.0.2.1"),
  ])
  func `to another machine is blocked, with the address`(url: String, connectTo: [String], address: String)
    throws
  {
    let error = try error(url, connectTo: connectTo)
    guard case .withoutTLS(let reason) = error else {
      Issue.record("\(error)")
      return
    }
    #expect(reason.hasPrefix("refused to connect to \(address) over http://: "))
    #expect(!error.isTransient)
    #expect(!"\(error)".contains("hunter2"))
  }

  @Test(arguments: ["127.0.0.1", "localhost"])
  func `to this machine is sent`(host: String) throws {
    let server = try ScriptedServer([.keep(httpResponse())])
    defer { server.stop() }
    let exchange = try CurlExchange(ConnectionConfiguration(Environment([:])))
    let request = HTTPRequest(method: "GET", url: "http://\(host):\(server.port)/")
    #expect(try exchange.exchange(request, timeout: .seconds(5)).status == 200)
  }

  /// A proxy on this machine would forward the request to the other one.
  @Test func `to another machine is blocked even through a local proxy`() throws {
    let proxy = try ScriptedServer([.keep(httpResponse())])
    defer { proxy.stop() }
    let error = try error("http://192.0.2.1/", ["HTTP_PROXY": "http://127.0.0.1:\(proxy.port)"])
    guard case .withoutTLS = error else {
      Issue.record("\(error)")
      return
    }
    #expect(proxy.received.isEmpty)
  }

  @Test func `is sent anywhere if that is allowed`() throws {
    let proxy = try ScriptedServer([.keep(httpResponse())])
    defer { proxy.stop() }
    let environment = Environment(["HTTP_PROXY": "http://127.0.0.1:\(proxy.port)"])
    let exchange = try CurlExchange(ConnectionConfiguration(environment, allowsPlainHTTP: true))
    let request = HTTPRequest(method: "GET", url: "http://192.0.2.1/")
    #expect(try exchange.exchange(request, timeout: .seconds(5)).status == 200)
    #expect(proxy.received.first?.requestLine == "GET http://192.0.2.1/ HTTP/1.1")
  }

  @Test func `isn't allowed by an exchange that is already connected`() throws {
    let server = try ScriptedServer([.keep(httpResponse()), .keep(httpResponse())])
    defer { server.stop() }
    let exchange = try CurlExchange(ConnectionConfiguration(Environment([:])))
    _ = try exchange.exchange(HTTPRequest(method: "GET", url: server.url), timeout: .seconds(5))
    #expect(throws: HTTPError.self) {
      try exchange.exchange(HTTPRequest(method: "GET", url: "http://192.0.2.1/"), timeout: .seconds(5))
    }
    _ = try exchange.exchange(HTTPRequest(method: "GET", url: server.url), timeout: .seconds(5))
  }

  @Test func `is blocked by a connection and by a trial, too`() throws {
    let configuration = ConnectionConfiguration(Environment([:]))
    let time = SystemWaiter(shutdown: nil)
    let error = try #require(throws: HTTPError.self) {
      _ = try CurlConnection(
        to: "http://192.0.2.1:1883", configuration, time: time, until: time.bootTime.advanced(by: .seconds(5))
      )
    }
    guard case .withoutTLS = error else {
      Issue.record("\(error)")
      return
    }
    let trial = ConnectionTrial(to: "http://192.0.2.1", configuration, timeout: .seconds(5))
    #expect(trial.failure?.step == .connecting)
    #expect(trial.failure?.error == error)
  }

  /// A name can have addresses of both kinds. If so, the allowed address determines the outcome.
  @Test(arguments: [
    (["192.0.2.1"], true), (["192.0.2.1", "198.51.100.1"], true), (["192.0.2.1", "127.0.0.1"], false),
    (["127.0.0.1", "192.0.2.1"], false), (["127.0.0.1"], false), ([], false),
  ])
  func `is blocked only if every address is blocked`(addresses: [String], isRefused: Bool) throws {
    let gate = AddressGate(.hostsWithoutTLS)
    for _ in 1...2 {
      gate.begin(.hostsWithoutTLS)
      for address in addresses {
        var socketAddress = sockaddr_in()
        socketAddress.sin_family = sa_family_t(AF_INET)
        try #require(unsafe inet_pton(AF_INET, address, &socketAddress.sin_addr) == 1)
        var asked = curl_sockaddr()
        asked.family = AF_INET
        asked.socktype = Int32(SOCK_STREAM.rawValue)
        asked.addrlen = UInt32(MemoryLayout<sockaddr_in>.size)
        unsafe withUnsafeMutableBytes(of: &asked.addr) { bytes in
          unsafe withUnsafeBytes(of: socketAddress) { unsafe bytes.copyMemory(from: $0) }
        }
        let socket = unsafe gate.open(&asked)
        #expect((socket >= 0) == (address == "127.0.0.1"))
        if socket >= 0 { close(socket) }
      }
      #expect(gate.refused == isRefused)
    }
  }

  @Test(arguments: [
    ("127.0.0.1", true), ("127.255.255.254", true), ("169.254.170.2", true), ("169.254.170.23", true),
    ("169.254.169.254", true), ("::1", true), ("fd00:ec2::23", true), ("fd00:ec2::254", true),
    ("0.0.0.0", false), ("10.0.0.1", false), ("128.0.0.1", false), ("169.254.169.253", false),
    ("192.0.2.1", false),
    ("::", false), ("fe80::1", false), ("fd00:ec2::253", false), ("fd00:ec2::255", false),
    ("::ffff:192.0.2.1", false),
  ])
  func `is allowed to addresses on which nothing else can listen`(text: String, isAllowed: Bool) throws {
    var four = sockaddr_in()
    var six = sockaddr_in6()
    let allows: Bool
    if unsafe inet_pton(AF_INET, text, &four.sin_addr) == 1 {
      four.sin_family = sa_family_t(AF_INET)
      allows = unsafe withUnsafePointer(to: &four) {
        unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          unsafe AddressRule.hostsWithoutTLS.allows($0, size: MemoryLayout<sockaddr_in>.size)
        }
      }
    } else {
      #expect(unsafe inet_pton(AF_INET6, text, &six.sin6_addr) == 1)
      six.sin6_family = sa_family_t(AF_INET6)
      allows = unsafe withUnsafePointer(to: &six) {
        unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          unsafe AddressRule.hostsWithoutTLS.allows($0, size: MemoryLayout<sockaddr_in6>.size)
        }
      }
    }
    #expect(allows == isAllowed)
  }
}
