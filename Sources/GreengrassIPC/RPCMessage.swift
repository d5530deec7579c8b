import Platform
import WireFormats

/// A message of the event stream RPC protocol of Greengrass IPC, with the headers that every message has.
package struct RPCMessage: Equatable, Sendable {
  package enum Kind: Int32, Sendable {
    case applicationMessage = 0
    case applicationError = 1
    case ping = 2
    case pingResponse = 3
    case connect = 4
    case connectAcknowledgement = 5
    case protocolError = 6
    case internalError = 7
  }

  package struct Flags: OptionSet, Sendable {
    package let rawValue: Int32

    package init(rawValue: Int32) {
      self.rawValue = rawValue
    }

    package static let connectionAccepted = Flags(rawValue: 1)
    package static let terminateStream = Flags(rawValue: 2)
  }

  package var kind: Kind
  package var flags: Flags
  /// The number of the stream: 0 for messages about the connection. The client numbers its streams from 1.
  package var streamID: Int32
  /// The type of the payload, such as `aws.greengrass#PublishToIoTCoreResponse`.
  package var serviceModelType: String?
  /// The header `svcuid` of a CONNECT_ACK: the token that the nucleus issued to a component that connected by name.
  package var issuedToken: String?
  package var payload: [UInt8]

  /// Reads the headers by name, in any order, and ignores unknown ones.
  package init(_ message: EventStreamMessage) throws(IPCError) {
    guard
      case .int32(let kind) = message[":message-type"], let kind = Kind(rawValue: kind),
      case .int32(let flags) = message[":message-flags"],
      case .int32(let streamID) = message[":stream-id"]
    else { throw .malformed("a message without the headers :message-type, :message-flags and :stream-id") }
    self.kind = kind
    self.flags = Flags(rawValue: flags)
    self.streamID = streamID
    if case .string(let type) = message["service-model-type"] { serviceModelType = type }
    if case .string(let token) = message["svcuid"] { issuedToken = token }
    payload = message.payload
  }

  /// Whether this is the last message of its stream.
  package var endsStream: Bool { flags.contains(.terminateStream) }

  /// The text of an error without a final period: its `message`, else its `_message`, else its `error`, else its raw
  /// payload.
  ///
  /// The classic nucleus writes `message`, lite writes `_message`, and some errors are plain text.
  package var errorText: String { withoutFinalPeriod(rawErrorText) }

  private var rawErrorText: String {
    let value = try? JSONValue(parsing: payload)  // Nil if it is plain text.
    for name in ["message", "_message", "error"] {
      if let text = value?[name]?.string, !text.isEmpty { return ServerText().shown(text) }
    }
    guard !payload.isEmpty else { return "no reason given" }
    return ServerText().shown(String(decoding: payload, as: UTF8.self))
  }

  /// The name of an error without its namespace, such as `UnauthorizedError`.
  package var errorName: String? {
    guard let type = serviceModelType else { return nil }
    return type.split(separator: "#").last.map(String.init)
  }
}

extension EventStreamMessage {
  private static func headers(
    _ kind: RPCMessage.Kind, _ flags: RPCMessage.Flags, streamID: Int32
  ) -> [Header] {
    [
      Header(":message-type", .int32(kind.rawValue)),
      Header(":message-flags", .int32(flags.rawValue)),
      Header(":stream-id", .int32(streamID)),
    ]
  }

  /// Returns the first message of a connection, which identifies the component.
  package static func connect(as identity: ComponentIdentity) -> EventStreamMessage {
    let member: (name: String, json: String)
    switch identity {
    case .token(let token): member = ("authToken", json(token))
    case .name(let name): member = ("componentName", json(name))
    }
    return EventStreamMessage(
      headers: [Header(":version", .string("0.1.0"))] + headers(.connect, [], streamID: 0),
      payload: jsonObject([member]))
  }

  /// Returns the answer to a ping, which echoes its payload.
  static func pingResponse(payload: [UInt8]) -> EventStreamMessage {
    EventStreamMessage(headers: headers(.pingResponse, [], streamID: 0), payload: payload)
  }

  /// Returns the message that ends a stream that the nucleus left open.
  static func endOfStream(_ streamID: Int32) -> EventStreamMessage {
    EventStreamMessage(headers: headers(.applicationMessage, .terminateStream, streamID: streamID))
  }

  /// Returns the first message of a stream: an operation and its arguments.
  package static func request(_ request: IPCRequest, streamID: Int32) -> EventStreamMessage {
    EventStreamMessage(
      headers: [
        Header(":content-type", .string("application/json")),
        Header("service-model-type", .string("aws.greengrass#\(request.operation)Request")),
      ] + headers(.applicationMessage, [], streamID: streamID) + [
        Header("operation", .string("aws.greengrass#\(request.operation)"))
      ],
      payload: request.payload)
  }
}

/// Returns a JSON object with the spacing of AWS's clients, so that frames can be compared byte by byte.
func jsonObject(_ members: [(name: String, json: String)]) -> [UInt8] {
  let text = members.map { "\(json($0.name)): \($0.json)" }.joined(separator: ", ")
  return Array("{\(text)}".utf8)
}

/// Returns `text` as a JSON string.
func json(_ text: String) -> String {
  var document = JSONWriter()
  document.string(text)
  return String(decoding: document.bytes, as: UTF8.self)
}
