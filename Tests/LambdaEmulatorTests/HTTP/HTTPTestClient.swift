import LambdaEmulator
import NIOCore
import NIOHTTP1
import NIOPosix
import struct WireFormats.HeaderField
import struct WireFormats.HeaderName

/// An HTTP client for the tests, which opens a connection for each request.
struct HTTPTestClient: Sendable {
  struct Response: Sendable {
    let status: Int
    let headers: [HeaderField]
    let trailers: [HeaderField]
    let body: [UInt8]

    var text: String { String(decoding: body, as: UTF8.self) }

    func header(_ name: HeaderName) -> String? {
      headers.first { $0.name == name }?.value
    }
  }

  /// The server closed the connection before the response was complete.
  struct NoAnswer: Error {}

  let port: Int
  /// The value of the Host header; nil for the server's address.
  var host: String?

  /// Sends a GET request. `onPiece` receives each piece of the response's body as soon as it arrives.
  func get(_ target: String, onPiece: @escaping @Sendable (String) -> Void = { _ in }) async throws
    -> Response
  {
    try await exchange(.GET, target, [], onPiece: onPiece) { writer in try await writer.write(.end(nil)) }
  }

  func post(_ target: String, _ body: String = "", headers: [HeaderField] = []) async throws -> Response {
    try await send(.POST, target, headers: headers, body: Array(body.utf8))
  }

  func send(
    _ method: HTTPMethod, _ target: String, headers: [HeaderField] = [], body: [UInt8]?
  ) async throws -> Response {
    var fields = headers
    if let body { fields.append(HeaderField("Content-Length", String(body.count))) }
    return try await exchange(method, target, fields) { writer in
      if let body, !body.isEmpty { try await writer.write(.body(.byteBuffer(ByteBuffer(bytes: body)))) }
      try await writer.write(.end(nil))
    }
  }

  /// Sends the beginning of a POST request and closes the connection.
  func breakOff(_ target: String, _ headers: [HeaderField], after piece: String) async throws {
    do {
      _ = try await exchange(.POST, target, headers) { writer in
        try await writer.write(.body(.byteBuffer(ByteBuffer(string: piece))))
        throw NoAnswer()
      }
    } catch is NoAnswer {}
  }

  typealias Writer = NIOAsyncChannelOutboundWriter<HTTPClientRequestPart>

  /// Sends a head, calls `body` to send the rest, and reads the response. If `body` throws, the connection is closed.
  func exchange(
    _ method: HTTPMethod, _ target: String, _ headers: [HeaderField],
    onPiece: @escaping @Sendable (String) -> Void = { _ in },
    _ body: @Sendable (Writer) async throws -> Void
  ) async throws -> Response {
    let connection = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .connect(host: "127.0.0.1", port: port) { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHTTPClientHandlers()
          return try NIOAsyncChannel<HTTPClientResponsePart, HTTPClientRequestPart>(
            wrappingChannelSynchronously: channel)
        }
      }
    return try await connection.executeThenClose { inbound, outbound in
      var head = HTTPRequestHead(version: .http1_1, method: method, uri: target)
      head.headers.add(name: "Host", value: host ?? "127.0.0.1:\(port)")
      for field in headers { head.headers.add(name: field.name.text, value: field.value) }
      try await outbound.write(.head(head))
      try await body(outbound)
      var answer: HTTPResponseHead?
      var bytes: [UInt8] = []
      for try await part in inbound {
        switch part {
        case .head(let head): answer = head
        case .body(let buffer):
          bytes.append(contentsOf: buffer.readableBytesView)
          onPiece(String(buffer: buffer))
        case .end(let trailers):
          guard let answer else { throw NoAnswer() }
          return Response(
            status: Int(answer.status.code),
            headers: answer.headers.map { HeaderField(HeaderName($0.name), $0.value) },
            trailers: trailers.map { $0.map { HeaderField(HeaderName($0.name), $0.value) } } ?? [],
            body: bytes)
        }
      }
      throw NoAnswer()
    }
  }
}
