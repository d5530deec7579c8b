import CLinux
import Glibc
package import Platform
import Synchronization

/// A TCP relay on 127.0.0.1 that can lose, delay or change MQTT packets like networks and brokers, or act as an HTTP proxy.
///
/// One thread handles all connections. The relay splits the stream into MQTT packets only if it has to, and never parses their
/// contents.
package final class Relay: Sendable {
  /// The direction of bytes.
  package enum Direction: Sendable {
    case toServer, toClient
  }

  /// An MQTT packet, described by its fixed header.
  package struct Packet: Sendable {
    package let direction: Direction
    /// The upper four bits of its first byte: 3 is PUBLISH, 4 PUBACK, and so on (MQTT 3.1.1, section 2.2.1).
    package let type: UInt8
    /// The number of its connection, starting with 1.
    package let connection: Int
  }

  /// What happens to a packet.
  package enum Fate: Sendable {
    case pass
    /// It is lost, and the connection stays open.
    case drop
    /// It is lost, and the connection is closed.
    case cut
    /// Half of it arrives, and the connection is closed.
    case cutInside
    /// It arrives, and the connection is closed.
    case cutAfter
    case double
    /// It is delayed by this number of milliseconds.
    case delay(Int32)
    /// It is replaced by other bytes.
    case replace([UInt8])
  }

  package enum Mode: Sendable {
    /// Connects to this port of 127.0.0.1.
    case forward(to: UInt16)
    /// Acts as an HTTP proxy: connects to the port in the client's CONNECT request on this machine, whatever the host name.
    case proxy
  }

  package let port: UInt16
  private let listener: Int32
  private let wakeUp: Int32
  private let mode: Mode
  private let fate: (@Sendable (Packet) -> Fate)?
  private let thread = Mutex<pthread_t?>(nil)
  private let counts = Mutex((connections: 0, tunnels: [String]()))

  /// `fate` decides what happens to each MQTT packet. Without it, bytes are passed on unchanged.
  package init(_ mode: Mode, fate: (@Sendable (Packet) -> Fate)? = nil) throws(Errno) {
    self.mode = mode
    self.fate = fate
    (listener, port) = try listenOnLoopback()
    wakeUp = try retryingOnInterrupt { eventfd(0, Int32(EFD_CLOEXEC)) }
    let context = unsafe Unmanaged.passRetained(self).toOpaque()
    var id = pthread_t()
    let result = unsafe pthread_create(&id, nil, runRelay, context)
    guard result == 0 else { throw Errno(rawValue: result) }
    thread.withLock { $0 = id }
  }

  /// The number of connections so far.
  package var connectionCount: Int { counts.withLock { $0.connections } }
  /// The hosts and ports that clients requested from the proxy.
  package var tunnels: [String] { counts.withLock { $0.tunnels } }

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
    var links: [Link] = []
    defer { close(listener) }
    while true {
      var waits = [wakeUp, listener].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
      for link in links {
        waits += [link.client, link.server].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
      }
      guard unsafe poll(&waits, nfds_t(waits.count), -1) > 0 else { continue }
      if waits[0].revents != 0 { return }
      for (index, link) in links.enumerated() {
        if waits[2 + 2 * index].revents != 0 { carry(.toServer, on: link) }
        if waits[3 + 2 * index].revents != 0 { carry(.toClient, on: link) }
      }
      links.removeAll { $0.isOver }
      if waits[1].revents != 0 { if let link = accept() { links.append(link) } }
    }
  }

  private func accept() -> Link? {
    let client = Glibc.accept(listener, nil, nil)
    guard client >= 0 else { return nil }
    let number = counts.withLock { counts in
      counts.connections += 1
      return counts.connections
    }
    switch mode {
    case .forward(let port):
      return Link(client: client, server: connectToLoopback(port), number: number)
    case .proxy:
      var head: [UInt8] = []
      while !head.ends(with: Array("\r\n\r\n".utf8)) {
        guard let bytes = received(client, limit: 1) else { break }
        head += bytes
      }
      let words = String(decoding: head, as: UTF8.self).split(separator: " ")
      let target = words.count > 1 ? String(words[1]) : ""
      // A client that timed out closed the connection before it sent a request.
      if !target.isEmpty { counts.withLock { $0.tunnels.append(target) } }
      let server = connectToLoopback(target.split(separator: ":").last.flatMap { UInt16($0) } ?? 0)
      _ = sendAll(Array("HTTP/1.1 200 Connected\r\n\r\n".utf8), to: client)
      return Link(client: client, server: server, number: number)
    }
  }

  private func carry(_ direction: Direction, on link: Link) {
    let (from, to) = direction == .toServer ? (link.client, link.server) : (link.server, link.client)
    guard !link.isOver, let bytes = received(from, limit: 65_536) else { return link.end() }
    guard let fate else {
      if !sendAll(bytes, to: to) { link.end() }
      return
    }
    for packet in link.packets(direction, with: bytes) where !link.isOver {
      let description = Packet(direction: direction, type: packet[0] >> 4, connection: link.number)
      switch fate(description) {
      case .pass: link.send(packet, to: to)
      case .drop: break
      case .cut: link.end()
      case .cutInside:
        link.send(Array(packet.prefix(packet.count / 2)), to: to)
        link.end()
      case .cutAfter:
        link.send(packet, to: to)
        link.end()
      case .double:
        link.send(packet, to: to)
        link.send(packet, to: to)
      case .delay(let milliseconds):
        poll(nil, 0, milliseconds)
        link.send(packet, to: to)
      case .replace(let other): link.send(other, to: to)
      }
    }
  }
}

/// The two connections of one relayed connection.
private final class Link {
  let client: Int32
  let server: Int32
  let number: Int
  private(set) var isOver = false
  private var rest: [Relay.Direction: [UInt8]] = [:]

  init(client: Int32, server: Int32, number: Int) {
    self.client = client
    self.server = server
    self.number = number
    isOver = server < 0
    // Otherwise small packets would wait 40 ms each for acknowledgements (Nagle's algorithm).
    for descriptor in [client, server] {
      var on: Int32 = 1
      _ = unsafe setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, 4)
    }
  }

  deinit {
    close(client)
    if server >= 0 { close(server) }
  }

  func end() { isOver = true }

  func send(_ bytes: [UInt8], to descriptor: Int32) {
    if !sendAll(bytes, to: descriptor) { end() }
  }

  /// Returns the MQTT packets that are complete after appending `bytes`.
  func packets(_ direction: Relay.Direction, with bytes: [UInt8]) -> [[UInt8]] {
    var buffer = rest[direction, default: []] + bytes
    var packets: [[UInt8]] = []
    while let size = packetSize(buffer), buffer.count >= size {
      packets.append(Array(buffer.prefix(size)))
      buffer.removeFirst(size)
    }
    rest[direction] = buffer
    return packets
  }

  private func packetSize(_ buffer: [UInt8]) -> Int? {
    var length = 0
    for (index, byte) in buffer.dropFirst().prefix(4).enumerated() {
      length |= Int(byte & 0x7F) << (7 * index)
      if byte & 0x80 == 0 { return length + index + 2 }
    }
    return nil
  }
}

extension [UInt8] {
  fileprivate func ends(with other: [UInt8]) -> Bool { suffix(other.count).elementsEqual(other) }
}

func connectToLoopback(_ port: UInt16) -> Int32 {
  let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
  if unsafe withLoopbackAddress(port, { unsafe connect(descriptor, $0, $1) }) == 0 { return descriptor }
  close(descriptor)
  return -1
}

func received(_ descriptor: Int32, limit: Int) -> [UInt8]? {
  var buffer = [UInt8](repeating: 0, count: limit)
  let count = unsafe recv(descriptor, &buffer, limit, 0)
  return count > 0 ? Array(buffer[..<count]) : nil
}

func sendAll(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
  var rest = bytes[...]
  while !rest.isEmpty {
    let count = unsafe rest.withUnsafeBytes {
      unsafe send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
    }
    guard count > 0 else { return false }
    rest = rest.dropFirst(count)
  }
  return true
}

private func runRelay(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
  guard let context = unsafe context else { return nil }
  unsafe Unmanaged<Relay>.fromOpaque(context).takeRetainedValue().run()
  return nil
}
