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

  /// The same with `shown` for each value.
  func showing(_ shown: (String) -> String) -> WebSocketAnswer {
    WebSocketAnswer(status: status, fields: fields.map { ($0.name, shown($0.value)) })
  }

  private init(status: Int, fields: [(name: String, value: String)]) {
    self.status = status
    self.fields = fields
  }

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
