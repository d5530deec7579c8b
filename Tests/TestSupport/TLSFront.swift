import CLinux
import Glibc
package import Platform
import Synchronization

/// A server on 127.0.0.1 that accepts TLS connections and passes their bytes without TLS to another port of this machine.
///
/// In front of a ``Relay``, it is a proxy that itself uses TLS.
package final class TLSFront: Sendable {
  package let port: UInt16
  private let tls: TLSServerContext
  private let target: UInt16
  private let listener: Int32
  private let wakeUp: Int32
  private let thread = Mutex<pthread_t?>(nil)
  private let all = Mutex<[TLSHandshake]>([])

  package init(_ tls: TLSServerContext, before target: UInt16) throws(Errno) {
    self.tls = tls
    self.target = target
    (listener, port) = try listenOnLoopback()
    wakeUp = try retryingOnInterrupt { eventfd(0, Int32(EFD_CLOEXEC)) }
    let context = unsafe Unmanaged.passRetained(self).toOpaque()
    var id = pthread_t()
    let result = unsafe pthread_create(&id, nil, runFront, context)
    guard result == 0 else { throw Errno(rawValue: result) }
    thread.withLock { $0 = id }
  }

  /// The completed handshakes so far.
  package var handshakes: [TLSHandshake] { all.withLock { $0 } }

  package func stop() {
    let id = thread.withLock { $0.take() }
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
    var links: [FrontLink] = []
    defer { close(listener) }
    while true {
      var waits = [wakeUp, listener].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
      for link in links {
        waits += [link.client.descriptor, link.server].map {
          pollfd(fd: $0, events: Int16(POLLIN), revents: 0)
        }
      }
      guard unsafe poll(&waits, nfds_t(waits.count), -1) > 0 else { continue }
      if waits[0].revents != 0 { return }
      var open: [FrontLink] = []
      for (index, link) in links.enumerated() {
        let toServer =
          waits[2 + 2 * index].revents == 0
          || link.client.receive().map { sendAll($0, to: link.server) } ?? false
        let toClient =
          waits[3 + 2 * index].revents == 0
          || received(link.server, limit: 16_384).map { link.client.send($0) } ?? false
        if toServer, toClient { open.append(link) }
      }
      links = open
      guard waits[1].revents != 0 else { continue }
      let client = ServerConnection(accept(listener, nil, nil), number: links.count)
      guard client.handshake(tls), let handshake = client.negotiated else { continue }
      all.withLock { $0.append(handshake) }
      links.append(FrontLink(client, connectToLoopback(target)))
    }
  }
}

/// The two connections of one accepted connection.
private final class FrontLink {
  let client: ServerConnection
  let server: Int32

  init(_ client: ServerConnection, _ server: Int32) {
    self.client = client
    self.server = server
  }

  deinit {
    if server >= 0 { close(server) }
  }
}

private func runFront(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
  guard let context = unsafe context else { return nil }
  unsafe Unmanaged<TLSFront>.fromOpaque(context).takeRetainedValue().run()
  return nil
}
