import Foundation
import Glibc

/// An HTTP/1.1 server on the loopback interface that sends raw replies and records the requests.
///
/// Each connection has its own thread, so that a withheld reply doesn't block other connections. The server stops when its last
/// reference is released.
package final class LoopbackServer {
  /// A received request.
  package struct Request: Sendable {
    package let method: String
    /// The request target: path and query.
    package let path: String
    /// The header fields in the order received, followed by the trailers of a chunked body.
    package fileprivate(set) var fields: [(name: String, value: String)]
    /// The body without chunk framing.
    package fileprivate(set) var body: [UInt8] = []
    /// All bytes of the request, including framing.
    package fileprivate(set) var raw: [UInt8] = []
    /// The sizes of the chunks if the body was chunked.
    package fileprivate(set) var chunkSizes: [Int] = []
    /// The number of the connection, starting with 1.
    package let connection: Int

    /// The value of the first field called `name`, ignoring case.
    package subscript(_ name: String) -> String? {
      fields.first { $0.name.lowercased() == name.lowercased() }?.value
    }

    package var text: String { String(decoding: body, as: UTF8.self) }
  }

  /// What to do when a complete request has arrived.
  package enum Reply: Sendable {
    /// Send these bytes and keep the connection open.
    case send([UInt8])
    /// Send these pieces, each as a separate packet, and keep the connection open.
    case sendInPieces([[UInt8]])
    /// Send these bytes (possibly none) and close the connection.
    case sendAndClose([UInt8])
    /// Send these bytes, then the unsolicited bytes that the closure returns, and close the connection.
    case sendUnasked([UInt8], @Sendable () -> [UInt8])
    /// Send nothing and keep the connection open.
    case hold

    /// A reply with a body and its length.
    package static func response(
      _ status: Int, _ fields: [(name: String, value: String)] = [], body: String = ""
    ) -> Reply {
      .send(response(status, fields, body: Array(body.utf8)))
    }

    /// The bytes of a reply with a body and its length.
    package static func response(
      _ status: Int, _ fields: [(name: String, value: String)] = [], body: [UInt8]
    ) -> [UInt8] {
      var head = "HTTP/1.1 \(status) Status\r\n"
      for field in fields { head += "\(field.name): \(field.value)\r\n" }
      return Array((head + "Content-Length: \(body.count)\r\n\r\n").utf8) + body
    }
  }

  package let port: UInt16
  /// `127.0.0.1:PORT`, or `[::1]:PORT`.
  package let authority: String
  fileprivate let state: State

  /// Starts a server that calls `respond` for each request.
  ///
  /// First it calls `rejects` for the head of each request. If the result isn't nil, it sends those bytes and closes the connection, without
  /// reading the body, and records the request without one.
  package init(
    ipv6: Bool = false, rejects: @escaping @Sendable (Request) -> [UInt8]? = { _ in nil },
    respond: @escaping @Sendable (Request) -> Reply
  ) throws {
    let listener = try listen(ipv6: ipv6)
    port = listener.port
    authority = ipv6 ? "[::1]:\(listener.port)" : "127.0.0.1:\(listener.port)"
    state = State(listener: listener.descriptor, rejects: rejects, respond: respond)
    let state = state
    Thread { acceptConnections(state) }.start()
  }

  /// Starts a server that sends these replies in order, and then leaves further requests without a reply.
  package convenience init(ipv6: Bool = false, script: [Reply]) throws {
    let rest = Script(script)
    try self.init(ipv6: ipv6) { _ in rest.next() }
  }

  deinit { state.stop() }

  /// The requests received so far.
  package var requests: [Request] { state.requests(atLeast: 0, within: 0) }

  /// Waits until there are at least `count` requests, but at most `seconds`, and returns all requests.
  package func requests(atLeast count: Int, within seconds: Double = 60) -> [Request] {
    state.requests(atLeast: count, within: seconds)
  }
}

extension LoopbackServer {
  /// Waits until the server has closed `count` connections, but at most `seconds`. Returns whether it has.
  package func hasClosed(_ count: Int, within seconds: Double = 60) -> Bool {
    state.hasClosed(count, within: seconds)
  }
}

/// Replies to send in order.
private final class Script: @unchecked Sendable {
  private let lock = NSLock()
  private var replies: [LoopbackServer.Reply]

  init(_ replies: [LoopbackServer.Reply]) { self.replies = replies }

  func next() -> LoopbackServer.Reply {
    lock.withLock { replies.isEmpty ? .hold : replies.removeFirst() }
  }
}

/// The state that the threads of a server share, protected by the condition's lock.
private final class State: @unchecked Sendable {
  let listener: Int32
  let rejects: @Sendable (LoopbackServer.Request) -> [UInt8]?
  let respond: @Sendable (LoopbackServer.Request) -> LoopbackServer.Reply
  private let changed = NSCondition()
  private var requests: [LoopbackServer.Request] = []
  private var connections: Set<Int32> = []
  private var closedConnections = 0
  private var isStopped = false

  init(
    listener: Int32, rejects: @escaping @Sendable (LoopbackServer.Request) -> [UInt8]?,
    respond: @escaping @Sendable (LoopbackServer.Request) -> LoopbackServer.Reply
  ) {
    self.listener = listener
    self.rejects = rejects
    self.respond = respond
  }

  func add(_ request: LoopbackServer.Request) {
    changed.withLock {
      requests.append(request)
      changed.broadcast()
    }
  }

  func requests(atLeast count: Int, within seconds: Double) -> [LoopbackServer.Request] {
    changed.withLock {
      let end = Date(timeIntervalSinceNow: seconds)
      while requests.count < count, changed.wait(until: end) {}
      return requests
    }
  }

  /// Registers a connection. Returns false if the server has stopped, so the connection must not be served.
  func opened(_ connection: Int32) -> Bool {
    changed.withLock {
      if !isStopped { connections.insert(connection) }
      return !isStopped
    }
  }

  func close(_ connection: Int32) {
    changed.withLock {
      connections.remove(connection)
      // Closing alone ends nothing as long as a child that another test starts still has a copy, before its exec(3).
      _ = shutdown(connection, Int32(SHUT_RDWR))
      _ = Glibc.close(connection)
      closedConnections += 1
      changed.broadcast()
    }
  }

  func hasClosed(_ count: Int, within seconds: Double) -> Bool {
    changed.withLock {
      let end = Date(timeIntervalSinceNow: seconds)
      while closedConnections < count, changed.wait(until: end) {}
      return closedConnections >= count
    }
  }

  /// Shuts down all sockets, so that all threads exit.
  func stop() {
    changed.withLock {
      isStopped = true
      _ = shutdown(listener, Int32(SHUT_RDWR))
      for connection in connections { _ = shutdown(connection, Int32(SHUT_RDWR)) }
    }
  }
}

private struct SocketFailure: Error {
  let call: String
  let code: Int32
}

private func listen(ipv6: Bool) throws -> (descriptor: Int32, port: UInt16) {
  let family = ipv6 ? AF_INET6 : AF_INET
  let descriptor = socket(family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
  guard descriptor >= 0 else { throw SocketFailure(call: "socket", code: errno) }
  var address = sockaddr_storage()
  var length = socklen_t(ipv6 ? MemoryLayout<sockaddr_in6>.size : MemoryLayout<sockaddr_in>.size)
  let failedCall: String? = unsafe withUnsafeMutablePointer(to: &address) { storage in
    unsafe storage.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) { address in
      unsafe address.pointee.sin6_family = sa_family_t(family)
      if ipv6 { unsafe address.pointee.sin6_addr = in6addr_loopback }
    }
    if !ipv6 {
      unsafe storage.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { address in
        unsafe address.pointee.sin_addr.s_addr = UInt32(INADDR_LOOPBACK).bigEndian
      }
    }
    return unsafe storage.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
      guard unsafe bind(descriptor, address, length) == 0 else { return "bind" }
      guard Glibc.listen(descriptor, 64) == 0 else { return "listen" }
      guard unsafe getsockname(descriptor, address, &length) == 0 else { return "getsockname" }
      return nil
    }
  }
  if let failedCall {
    let code = errno
    _ = close(descriptor)
    throw SocketFailure(call: failedCall, code: code)
  }
  let port = unsafe withUnsafePointer(to: &address) { storage in
    unsafe storage.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { unsafe $0.pointee.sin_port }
  }
  return (descriptor, UInt16(bigEndian: port))
}

private func acceptConnections(_ state: State) {
  var number = 0
  while true {
    let connection = Glibc.accept(state.listener, nil, nil)
    guard connection >= 0, state.opened(connection) else {
      if connection >= 0 { _ = close(connection) }
      _ = close(state.listener)
      return
    }
    _ = fcntl(connection, F_SETFD, FD_CLOEXEC)
    number += 1
    var one: Int32 = 1
    unsafe setsockopt(
      connection, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
    let number = number
    Thread {
      serve(connection, number: number, state)
      state.close(connection)
    }.start()
  }
}

private func serve(_ connection: Int32, number: Int, _ state: State) {
  var reader = RequestReader(connection: connection, number: number) { request in
    guard let rejection = state.rejects(request) else { return false }
    state.add(request)
    _ = send(rejection, to: connection)
    return true
  }
  while let request = reader.next() {
    let reply = state.respond(request)
    state.add(request)
    switch reply {
    case .send(let bytes):
      guard send(bytes, to: connection) else { return }
    case .sendInPieces(let pieces):
      for piece in pieces where !send(piece, to: connection) { return }
    case .sendAndClose(let bytes):
      _ = send(bytes, to: connection)
      return
    case .sendUnasked(let bytes, let more):
      guard send(bytes, to: connection) else { return }
      _ = send(more(), to: connection)
      return
    case .hold:
      // Wait until the client or stop() ends the connection.
      while reader.next() != nil {}
      return
    }
  }
}

private func send(_ bytes: [UInt8], to connection: Int32) -> Bool {
  var sent = 0
  while sent < bytes.count {
    let count = unsafe bytes.withUnsafeBytes { buffer in
      unsafe Glibc.send(
        connection, buffer.baseAddress?.advanced(by: sent), buffer.count - sent, Int32(MSG_NOSIGNAL))
    }
    guard count > 0 else { return false }
    sent += count
  }
  return true
}

/// Reads requests from a connection.
private struct RequestReader {
  let connection: Int32
  let number: Int
  /// Called with each head. If it returns true, the body isn't read.
  private let isRejected: (LoopbackServer.Request) -> Bool
  private var buffer: [UInt8] = []

  init(connection: Int32, number: Int, isRejected: @escaping (LoopbackServer.Request) -> Bool) {
    self.connection = connection
    self.number = number
    self.isRejected = isRejected
  }

  /// Reads the next request. Returns nil at the end of the connection, if the request isn't HTTP, or if it was rejected.
  mutating func next() -> LoopbackServer.Request? {
    var head: [String] = []
    var raw: [UInt8] = []
    while let line = line(&raw), !line.isEmpty { head.append(line) }
    guard let requestLine = head.first?.split(separator: " "), requestLine.count == 3 else { return nil }
    var request = LoopbackServer.Request(
      method: String(requestLine[0]), path: String(requestLine[1]), fields: head.dropFirst().map(field),
      connection: number)
    if isRejected(request) { return nil }
    if let length = request["Content-Length"].flatMap({ Int($0) }) {
      guard let body = take(length, &raw) else { return nil }
      request.body = body
    } else if request["Transfer-Encoding"]?.lowercased() == "chunked" {
      guard readChunks(into: &request, &raw) else { return nil }
    }
    request.raw = raw
    return request
  }

  private mutating func readChunks(into request: inout LoopbackServer.Request, _ raw: inout [UInt8]) -> Bool {
    while let sizeLine = line(&raw), let size = Int(sizeLine, radix: 16) {
      if size == 0 {
        while let trailer = line(&raw) {
          if trailer.isEmpty { return true }
          request.fields.append(field(trailer))
        }
        return false
      }
      request.chunkSizes.append(size)
      guard let chunk = take(size, &raw), line(&raw)?.isEmpty == true else { return false }
      request.body += chunk
    }
    return false
  }

  private func field(_ line: String) -> (name: String, value: String) {
    let parts = line.split(separator: ":", maxSplits: 1).map { $0.trimmingCharacters(in: .whitespaces) }
    return (parts.first ?? "", parts.count > 1 ? parts[1] : "")
  }

  private mutating func line(_ raw: inout [UInt8]) -> String? {
    while true {
      if let end = buffer.firstIndex(of: 0x0A) {
        let line = buffer[...end]
        raw += line
        let text = String(decoding: line.dropLast(line.dropLast().last == 0x0D ? 2 : 1), as: UTF8.self)
        buffer.removeSubrange(...end)
        return text
      }
      guard fill() else { return nil }
    }
  }

  private mutating func take(_ count: Int, _ raw: inout [UInt8]) -> [UInt8]? {
    while buffer.count < count { guard fill() else { return nil } }
    let taken = Array(buffer.prefix(count))
    raw += taken
    buffer.removeFirst(count)
    return taken
  }

  private mutating func fill() -> Bool {
    var piece = [UInt8](repeating: 0, count: 65_536)
    let socket = connection
    let count = unsafe piece.withUnsafeMutableBytes { unsafe recv(socket, $0.baseAddress, $0.count, 0) }
    guard count > 0 else { return false }
    buffer += piece.prefix(count)
    return true
  }
}
