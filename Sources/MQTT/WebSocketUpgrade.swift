import COpenSSL
import HTTPClient
import Platform
import WireFormats

/// The HTTP/1.1 request that turns a connection into a WebSocket, and the check of its answer (RFC 6455, section 4).
package struct WebSocketUpgrade {
  /// The host, with the port if it isn't the scheme's default, in the form of a URL.
  package var host: String
  /// The path and query, percent-encoded.
  package var target: String
  /// The secrets to hide in texts about the server's answer, in addition to the signature in ``target``.
  package var secrets: [String] = []
  private let key: String

  /// Creates a request with a new random key.
  package init(host: String, target: String, random: inout some RandomNumberGenerator) {
    self.init(
      host: host, target: target,
      nonce: (0..<16).map { _ in UInt8.random(in: .min ... .max, using: &random) })
  }

  init(host: String, target: String, nonce: [UInt8]) {
    self.host = host
    self.target = target
    key = base64(nonce)
  }

  /// Returns `text` from the server without secrets.
  func shown(_ text: String) -> String {
    let query = target.utf8.firstIndex(of: UInt8(ascii: "?")).map { target[$0...].dropFirst() } ?? ""
    return ServerText(hiding: secrets + querySecrets(query)).shown(text)
  }

  /// Returns the response to show: `head` and the beginning of its body, without secrets.
  func shown(_ head: ResponseHead, _ body: [UInt8]) -> HTTPResponse {
    HTTPResponse(
      status: head.status, headers: head.fields.all.map { HeaderField($0.name, shown($0.value)) },
      body: Array(shown(String(decoding: body, as: UTF8.self)).utf8))
  }

  /// Parses the server's answer, from its status line to its empty line.
  func answer(_ head: [UInt8]) throws(WebSocketError) -> ResponseHead {
    do throws(ResponseHeadError) {
      return try ResponseHead(parsing: head)
    } catch .statusLine {
      throw WebSocketError("the server's answer doesn't begin with an HTTP status line")
    } catch .fields(let reason) {
      throw WebSocketError("the server's answer has a malformed header field: \(reason)")
    } catch {
      throw WebSocketError("the server's answer isn't HTTP: \(shown("\(error)"))")
    }
  }

  /// Returns the request as bytes; throws if the host or the target contains a character other than visible ASCII, which
  /// could break out of its line.
  func request() throws(WebSocketError) -> [UInt8] {
    for text in [host, target] {
      guard text.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
        throw WebSocketError("the URL contains a space or a control character")
      }
    }
    let lines = [
      "GET \(target) HTTP/1.1", "Host: \(host)", "Upgrade: websocket", "Connection: Upgrade",
      "Sec-WebSocket-Key: \(key)", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Protocol: mqtt", "", "",
    ]
    return Array(lines.joined(separator: "\r\n").utf8)
  }

  /// Checks that the server's answer accepts the upgrade: status, header fields and the response to our key.
  func check(_ head: ResponseHead) throws(WebSocketError) {
    let fields = head.fields
    guard head.status == 101 else { throw WebSocketError("the server answered with status \(head.status)") }
    guard fields.hasToken("websocket", in: .upgrade), fields.hasToken("upgrade", in: .connection) else {
      throw WebSocketError("the server's answer doesn't upgrade to WebSocket")
    }
    guard fields["Sec-WebSocket-Accept"] == acceptance else {
      throw WebSocketError("the server's Sec-WebSocket-Accept doesn't match our key")
    }
    guard fields["Sec-WebSocket-Protocol"]?.lowercased() == "mqtt" else {
      throw WebSocketError("the server doesn't support MQTT over WebSocket")
    }
    guard fields["Sec-WebSocket-Extensions"] == nil else {
      throw WebSocketError("the server chose an extension that wasn't requested")
    }
  }

  /// The required value of `Sec-WebSocket-Accept`: a digest of the key and the constant of RFC 6455, section 1.3.
  var acceptance: String {
    let text = Array((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").utf8)
    var digest = [UInt8](repeating: 0, count: Int(SHA_DIGEST_LENGTH))
    _ = unsafe SHA1(text, text.count, &digest)
    return base64(digest)
  }
}
