import CLinux
import Glibc
package import Platform
import Synchronization

/// A server on loopback that sends scripted answers, or answers chosen by a closure, and records the requests.
///
/// It uses a real socket and its own thread, for clients that block. It accepts any number of connections and serves them in the
/// order in which their requests arrive. After the last answer it closes them.
package final class ScriptedServer: Sendable {
  /// The reaction to a request.
  package enum Answer: Sendable {
    /// Sends the bytes and leaves the connection open.
    case keep(String)
    /// Sends the bytes and closes the connection.
    case close(String)
    /// Sends the bytes and resets the connection.
    case reset(String)
    /// Sends the bytes one by one, with a pause in milliseconds before each.
    case drip(String, pause: Int32)
    /// Sends the bytes repeatedly until the client closes the connection.
    case flood(String)
    /// Sends nothing and leaves the connection open.
    case hang
  }

  /// A received request.
  package struct Received: Sendable {
    package let connection: Int
    package let bytes: [UInt8]
    /// Information from the TLS handshake; nil without TLS.
    package let handshake: TLSHandshake?

    package var text: String { String(decoding: bytes, as: UTF8.self) }
    package var requestLine: String { String(text.prefix { $0 != "\r\n" }) }

    package var headerLines: [String] {
      let head = text.split(separator: "\r\n\r\n", maxSplits: 1, omittingEmptySubsequences: false)[0]
      return head.split(separator: "\r\n").dropFirst().map(String.init)
    }

    /// The value of the header called `name`, which must have the same letter case as the client's.
    package func header(_ name: String) -> String? {
      headerLines.first { $0.hasPrefix(name + ": ") }.map { String($0.dropFirst(name.count + 2)) }
    }

    package var body: [UInt8] { bodyStart(bytes).map { Array(bytes[$0...]) } ?? [] }
  }

  package let port: UInt16
  private let tls: TLSServerContext?
  private let listener: Int32
  private let wakeUp: Int32
  private let allReceived = Mutex<[Received]>([])
  private let decide: @Sendable (Received) -> Answer
  private let cut: @Sendable () -> Int?
  private let refuses: @Sendable () -> Bool
  private let thread = Mutex<pthread_t?>(nil)
  private let closed = Mutex(0)

  /// Serves on a free port of 127.0.0.1, over TLS if `tls` isn't nil.
  package convenience init(_ answers: [Answer], tls: TLSServerContext? = nil) throws(Errno) {
    let rest = AnswerList(answers)
    try self.init(tls: tls) { _ in rest.next() }
  }

  /// Serves on a free port of 127.0.0.1. Calls `decide` for each complete request.
  ///
  /// Calls `refuses` for each new connection, and resets it if the result is true. Calls `cut` before each request, and resets the
  /// connection after that number of its bytes; nil means never.
  package init(
    tls: TLSServerContext? = nil, refuses: @escaping @Sendable () -> Bool = { false },
    cut: @escaping @Sendable () -> Int? = { nil },
    decide: @escaping @Sendable (Received) -> Answer
  ) throws(Errno) {
    self.tls = tls
    self.refuses = refuses
    self.cut = cut
    self.decide = decide
    (listener, port) = try listenOnLoopback()
    wakeUp = try retryingOnInterrupt { eventfd(0, Int32(EFD_CLOEXEC)) }
    let context = unsafe Unmanaged.passRetained(self).toOpaque()
    var id = pthread_t()
    let result = unsafe pthread_create(&id, nil, serve, context)
    guard result == 0 else { throw Errno(rawValue: result) }
    thread.withLock { $0 = id }
  }

  package var url: String { "http\(tls == nil ? "" : "s")://127.0.0.1:\(port)" }

  /// The requests received so far.
  package var received: [Received] { allReceived.withLock { $0 } }

  /// Waits up to 10 s until `count` connections have been closed after an answer. Returns whether they have.
  package func waitUntilClosed(_ count: Int) -> Bool {
    for _ in 0..<10_000 {
      if closed.withLock({ $0 }) >= count { return true }
      _ = poll(nil, 0, 1)
    }
    return false
  }

  /// Stops the server and waits for its thread.
  package func stop() {
    let id = thread.withLock { thread in
      defer { thread = nil }
      return thread
    }
    guard let id else { return }
    var one: UInt64 = 1
    _ = unsafe write(wakeUp, &one, 8)
    pthread_join(id, nil)
    close(wakeUp)
  }

  fileprivate func run() {
    // Block SIGPIPE in this thread, so that a write to a closed connection only fails.
    var mask = sigset_t()
    unsafe sigemptyset(&mask)
    unsafe sigaddset(&mask, SIGPIPE)
    unsafe pthread_sigmask(SIG_BLOCK, &mask, nil)
    var connections: [ServerConnection] = []
    var count = 0
    defer {
      connections = []
      close(listener)
    }
    while true {
      var waits = [wakeUp, listener].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
      waits += connections.map { pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0) }
      guard unsafe poll(&waits, nfds_t(waits.count), -1) > 0 else { continue }
      if waits[0].revents != 0 { return }
      let ready = zip(connections, waits.dropFirst(2)).filter { $0.1.revents != 0 }.map(\.0)
      for connection in ready where !answer(connection) {
        connections.removeAll { $0.number == connection.number }
      }
      if waits[1].revents != 0 {
        let descriptor = accept(listener, nil, nil)
        if descriptor >= 0 {
          count += 1
          let connection = ServerConnection(descriptor, number: count)
          if refuses() {
            connection.resetWhenClosed()
          } else if tls.map({ connection.handshake($0) }) ?? true {
            connections.append(connection)
          }
        }
      }
    }
  }

  /// Reads a request and answers it. Returns false if the connection must be closed.
  private func answer(_ connection: ServerConnection) -> Bool {
    guard let request = readRequest(connection) else { return false }
    allReceived.withLock { $0.append(request) }
    switch decide(request) {
    case .keep(let text): return connection.send(Array(text.utf8))
    case .close(let text):
      _ = connection.send(Array(text.utf8))
      // Close it now rather than when the last reference is released, so that the client notices it from here on.
      shutdown(connection.descriptor, Int32(SHUT_RDWR))
      closed.withLock { $0 += 1 }
      return false
    case .reset(let text):
      _ = connection.send(Array(text.utf8))
      connection.resetWhenClosed()
      return false
    case .drip(let text, let pause):
      for byte in text.utf8 {
        guard poll(nil, 0, pause) == 0, connection.send([byte]) else { return false }
      }
      return true
    case .flood(let text):
      while connection.send(Array(text.utf8)) {}
      return false
    case .hang: return true
    }
  }

  /// Reads a request with a `Content-Length` or without a body. Returns nil if the client closed the connection.
  private func readRequest(_ connection: ServerConnection) -> Received? {
    var bytes: [UInt8] = []
    let end = cut()
    while let piece = connection.receive(limit: end.map { $0 - bytes.count }) {
      bytes += piece
      if let end, bytes.count >= end {
        connection.resetWhenClosed()
        return nil
      }
      guard let start = bodyStart(bytes) else { continue }
      let request = Received(
        connection: connection.number, bytes: bytes, handshake: connection.negotiated)
      let length = request.header("Content-Length").flatMap { Int($0) } ?? 0
      if bytes.count >= start + length { return request }
    }
    return nil
  }
}

/// Answers to send in order.
private final class AnswerList: Sendable {
  private let answers: Mutex<[ScriptedServer.Answer]>

  init(_ answers: [ScriptedServer.Answer]) { self.answers = Mutex(answers) }

  func next() -> ScriptedServer.Answer {
    answers.withLock { $0.isEmpty ? .close("") : $0.removeFirst() }
  }
}

private func bodyStart(_ bytes: [UInt8]) -> Int? {
  let end = Array("\r\n\r\n".utf8)
  guard bytes.count >= end.count else { return nil }
  return (0...(bytes.count - end.count)).first { bytes[$0...].starts(with: end) }.map { $0 + end.count }
}

private func serve(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
  guard let context = unsafe context else { return nil }
  unsafe Unmanaged<ScriptedServer>.fromOpaque(context).takeRetainedValue().run()
  return nil
}

/// Creates a listening socket on a free port of 127.0.0.1.
package func listenOnLoopback() throws(Errno) -> (descriptor: Int32, port: UInt16) {
  let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
  let descriptor = try retryingOnInterrupt { socket(AF_INET, type, 0) }
  var address = sockaddr_in()
  address.sin_family = sa_family_t(AF_INET)
  address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
  var size = socklen_t(MemoryLayout<sockaddr_in>.size)
  _ = try retryingOnInterrupt {
    unsafe withUnsafeMutablePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
        unsafe bind(descriptor, generic, size) == 0 && listen(descriptor, 16) == 0
          && getsockname(descriptor, generic, &size) == 0 ? 0 : -1
      }
    }
  }
  return (descriptor, UInt16(bigEndian: address.sin_port))
}

/// Returns an HTTP response with a body and its `Content-Length`.
package func httpResponse(
  _ status: String = "200 OK", headers: [String] = [], body: String = ""
) -> String {
  let lines = ["HTTP/1.1 \(status)", "Content-Length: \(body.utf8.count)"] + headers
  return lines.joined(separator: "\r\n") + "\r\n\r\n" + body
}
