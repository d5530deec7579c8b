import Platform
import WireFormats

/// An internal extension that subscribes to no events. If an extension is registered, Lambda sends SIGTERM before it shuts down
/// the environment; without one it sends SIGKILL (Lambda developer guide, "Lambda Extensions API").
final class ShutdownExtension {
  /// The connection on which the extension waits for an event that never comes. The registration lasts while it is open.
  private let waiting: MessageReader<LoopbackSocket>

  /// Registers the extension as `name`, which must differ from the names of the extensions in the function's layers.
  init(_ name: String, at endpoint: RuntimeEndpoint) throws(ExchangeError) {
    var reader = MessageReader(
      try LoopbackSocket.connected(to: endpoint, within: RuntimeConnection.connectTimeout))
    reader.source.begin(allowing: RuntimeConnection.exchangeTimeout)
    let common = requestFields(to: endpoint)
    let body = Array(#"{"events":[]}"#.utf8)
    let register = """
      POST /2020-01-01/extension/register HTTP/1.1\r
      \(common)Lambda-Extension-Name: \(name)\r
      Content-Type: application/json\r
      Content-Length: \(body.count)\r\n\r\n
      """
    try reader.source.send(Array(register.utf8), body)
    let head = try reader.head()
    let answer = try reader.body(after: head, limit: RuntimeConnection.maximumAnswerBytes)
    guard head.status == 200, let identifier = head["Lambda-Extension-Identifier"] else {
      throw .refused(status: head.status, reason: reason(in: answer))
    }
    guard head.keepsConnection else { throw .closed }
    let wait = """
      GET /2020-01-01/extension/event/next HTTP/1.1\r
      \(common)Lambda-Extension-Identifier: \(headerValue(identifier))\r\n\r\n
      """
    try reader.source.send(Array(wait.utf8), [])
    waiting = reader
  }
}
