import COpenSSL
import WireFormats

/// The HTTP/1.1 request that turns a connection into a WebSocket, and the answer to it (RFC 6455, section 4).
package struct WebSocketUpgrade {
  /// Host, and port where it isn't the scheme's, as a URL has them.
  package var host: String
  /// Path and query, percent-encoded.
  package var target: String
  private let key: String

  /// A request with a fresh random key.
  package init(host: String, target: String) {
    self.init(host: host, target: target, nonce: (0..<16).map { _ in UInt8.random(in: .min ... .max) })
  }

  init(host: String, target: String, nonce: [UInt8]) {
    self.host = host
    self.target = target
    key = base64(nonce)
  }

  /// The request's bytes; an error where host or target would break out of their line.
  func request() throws(WebSocketError) -> [UInt8] {
    for text in [host, target] {
      guard text.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
        throw WebSocketError("a space or control character in the URL")
      }
    }
    let lines = [
      "GET \(target) HTTP/1.1", "Host: \(host)", "Upgrade: websocket", "Connection: Upgrade",
      "Sec-WebSocket-Key: \(key)", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Protocol: mqtt", "", "",
    ]
    return Array(lines.joined(separator: "\r\n").utf8)
  }

  /// Checks the server's answer, from its status line to its last header field.
  func check(_ head: WebSocketAnswer) throws(WebSocketError) {
    guard head.status == 101 else { throw WebSocketError("the server answered with status \(head.status)") }
    guard head.hasToken("websocket", in: "upgrade"), head.hasToken("upgrade", in: "connection") else {
      throw WebSocketError("the server's answer doesn't upgrade to WebSocket")
    }
    guard head.value(of: "sec-websocket-accept") == acceptance else {
      throw WebSocketError("the server's Sec-WebSocket-Accept isn't the answer to our key")
    }
    guard head.value(of: "sec-websocket-protocol")?.lowercased() == "mqtt" else {
      throw WebSocketError("the server doesn't speak MQTT over WebSocket")
    }
    guard head.value(of: "sec-websocket-extensions") == nil else {
      throw WebSocketError("the server chose an extension that wasn't offered")
    }
  }

  /// What `Sec-WebSocket-Accept` has to be: the digest of the key and a number that only WebSocket servers know.
  var acceptance: String {
    let text = Array((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").utf8)
    var digest = [UInt8](repeating: 0, count: Int(SHA_DIGEST_LENGTH))
    _ = unsafe SHA1(text, text.count, &digest)
    return base64(digest)
  }
}

/// The head of an HTTP/1.1 response, and what little of it matters here.
package struct WebSocketAnswer: Equatable, Sendable {
  package let status: Int
  /// Names in lower case.
  package let fields: [(name: String, value: String)]

  /// Reads the head of a response, up to and without its empty line.
  package init(parsing head: [UInt8]) throws(WebSocketError) {
    guard let text = String(validating: head, as: UTF8.self) else {
      throw WebSocketError("the server's answer isn't HTTP")
    }
    // A carriage return and a line feed are one Character, so the lines are split by scalars.
    var lines = text.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false).map {
      String(String.UnicodeScalarView($0.last == "\r" ? $0.dropLast() : $0))
    }
    let statusLine = lines.removeFirst()
    let words = statusLine.split(separator: " ", maxSplits: 2)
    guard
      words.count >= 2, words[0].hasPrefix("HTTP/1."), words[1].utf8.count == 3,
      let status = Int(words[1]), status >= 100
    else { throw WebSocketError("the server's answer doesn't begin with an HTTP status line") }
    self.status = status
    var fields: [(name: String, value: String)] = []
    for line in lines where !line.isEmpty {
      guard let colon = line.firstIndex(of: ":") else {
        throw WebSocketError("the server's answer has a line that is no header field")
      }
      let value = line[line.index(after: colon)...].drop { $0 == " " || $0 == "\t" }
      let end = value.lastIndex { $0 != " " && $0 != "\t" }.map { value.index(after: $0) } ?? value.startIndex
      fields.append((line[..<colon].lowercased(), String(value[..<end])))
    }
    self.fields = fields
  }

  /// The first value of the field called `name`, in lower case.
  package func value(of name: String) -> String? { fields.first { $0.name == name }?.value }

  func hasToken(_ token: String, in name: String) -> Bool {
    fields.contains { field in
      field.name == name
        && field.value.lowercased().split(whereSeparator: { $0 == "," || $0 == " " }).contains { $0 == token }
    }
  }

  package static func == (left: WebSocketAnswer, right: WebSocketAnswer) -> Bool {
    left.status == right.status && left.fields.elementsEqual(right.fields) { $0 == $1 }
  }
}
