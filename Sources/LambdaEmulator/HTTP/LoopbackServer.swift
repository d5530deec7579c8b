import NIOCore
import NIOHTTP1
import NIOPosix
import Platform
import struct WireFormats.HeaderField
import struct WireFormats.HeaderName

/// An error of the server or of one of its connections.
package enum ServerError: Error, CustomStringConvertible {
  case cannotListen(port: Int, reason: String)
  case requestCutShort

  package var description: String {
    switch self {
    case .cannotListen(let port, let reason): "can't listen on 127.0.0.1:\(port): \(reason)"
    case .requestCutShort: "the client closed the connection before the end of its request"
    }
  }
}

/// An HTTP/1.1 server that listens only on 127.0.0.1.
struct LoopbackServer: Sendable {
  /// Handles one request. Returns nil to close the connection without a response.
  typealias Handler = @Sendable (ReceivedRequest, inout RequestBody) async throws -> Answer?
  typealias Connection = NIOAsyncChannel<HTTPServerRequestPart, HTTPServerResponsePart>

  /// The maximum number of bytes to discard if a handler doesn't read the whole body. Beyond it, the connection is closed.
  private static let discardLimit = 64 * 1024 * 1024

  let port: Int
  private let listener: NIOAsyncChannel<Connection, Never>

  /// Listens on `port`; 0 lets the system choose one. If `tls` isn't nil, clients must use TLS.
  init(port: Int, tls: LoopbackTLS? = nil) async throws(ServerError) {
    do {
      listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
        .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
        .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
        .bind(host: "127.0.0.1", port: port) { channel in
          channel.eventLoop.makeCompletedFuture {
            if let tls { try channel.pipeline.syncOperations.addHandler(TLSHandler(tls)) }
            try channel.pipeline.syncOperations.configureHTTPServerPipeline()
            let connection = try Connection(wrappingChannelSynchronously: channel)
            // If the server ends while it accepts a connection, nobody serves that. NIO traps if such a connection is released before it is
            // closed.
            channel.closeFuture.whenComplete { _ in withExtendedLifetime(connection) {} }
            return connection
          }
        }
    } catch {
      let reason = (error as? IOError).map { "\(Errno(rawValue: $0.errnoCode))" }
      throw .cannotListen(port: port, reason: reason ?? "\(error)")
    }
    self.port = listener.channel.localAddress?.port ?? port
  }

  /// Serves each connection in its own task, until the current task is cancelled.
  func run(_ handler: @escaping Handler) async throws {
    try await withThrowingDiscardingTaskGroup { group in
      try await listener.executeThenClose { connections in
        for try await connection in connections {
          group.addTask { await serve(connection, handler) }
        }
      }
    }
  }

  private func serve(_ connection: Connection, _ handler: Handler) async {
    do {
      try await connection.executeThenClose { inbound, outbound in
        var parts = inbound.makeAsyncIterator()
        while case .head(let head)? = try await parts.next() {
          if head.headers["expect"].contains(where: { $0.lowercased() == "100-continue" }) {
            try await outbound.write(.head(HTTPResponseHead(version: head.version, status: .continue)))
          }
          let request = ReceivedRequest(
            method: head.method.rawValue, target: head.uri,
            headers: head.headers.map { HeaderField(HeaderName($0.name), $0.value) })
          var body = RequestBody(parts)
          guard let answer = try await handler(request, &body) else { return }
          var isReusable = try await body.discardRest(limit: Self.discardLimit) && head.isKeepAlive
          // NIO ends such a stream with a chunk after HEAD, and with nothing in HTTP/1.0. Only the connection's end is certain.
          if case .stream = answer.body, head.method == .HEAD || head.version == .http1_0 {
            isReusable = false
          }
          try await send(answer, to: outbound, for: head, keepsAlive: isReusable)
          if !isReusable { return }
          parts = body.parts
        }
      }
    } catch {
      // The client closed the connection or sent invalid HTTP, to which NIO replies with 400. There is nothing left to do.
    }
  }

  private func send(
    _ answer: Answer, to outbound: NIOAsyncChannelOutboundWriter<HTTPServerResponsePart>,
    for request: HTTPRequestHead, keepsAlive: Bool
  ) async throws {
    var head = HTTPResponseHead(
      version: request.version, status: HTTPResponseStatus(statusCode: answer.status))
    for field in answer.headers { head.headers.add(name: field.name.text, value: field.value) }
    if !keepsAlive { head.headers.replaceOrAdd(name: "Connection", value: "close") }
    // Such responses have no body, and all but the one to HEAD no length (RFC 9110, section 8.6).
    let hasNoLength = answer.status == 204 || answer.status == 304
    switch answer.body {
    case _ where hasNoLength: try await outbound.write(contentsOf: [.head(head), .end(nil)])
    case .bytes(let bytes):
      head.headers.replaceOrAdd(name: "Content-Length", value: String(bytes.count))
      if request.method == .HEAD { return try await outbound.write(contentsOf: [.head(head), .end(nil)]) }
      var response: [HTTPServerResponsePart] = [.head(head)]
      if !bytes.isEmpty { response.append(.body(.byteBuffer(ByteBuffer(bytes: bytes)))) }
      try await outbound.write(contentsOf: response + [.end(nil)])
    case .stream(let pieces):
      try await outbound.write(.head(head))
      if request.method == .HEAD { return }  // `serve` closes the connection.
      var trailers: HTTPHeaders?
      for try await piece in pieces {
        switch piece {
        case .bytes(let bytes): try await outbound.write(.body(.byteBuffer(ByteBuffer(bytes: bytes))))
        case .trailers(let fields): trailers = HTTPHeaders(fields.map { ($0.name.text, $0.value) })
        }
      }
      try await outbound.write(.end(trailers))
    }
  }
}
