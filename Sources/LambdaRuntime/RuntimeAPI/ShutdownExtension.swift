import Platform
import WireFormats

/// An extension that wants no events, registered so that Lambda sends SIGTERM before it ends the environment (Lambda
/// developer guide, "Lambda Extensions API"; without extensions an environment is ended with SIGKILL).
final class ShutdownExtension {
  /// The connection with the request for an event that never comes; the registration counts as long as it is open.
  private let waiting: MessageReader<LoopbackSocket>

  /// Registers the extension under the name `name`, which has to be another one than any layer's.
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
