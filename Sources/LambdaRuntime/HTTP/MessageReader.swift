package import WireFormats

/// A source of response bytes: a socket, or a script in tests.
package protocol ByteSource: ~Copyable {
  /// Waits for bytes and appends at least one to `output`, or none at the end of the stream. `output` must have free capacity.
  ///
  /// If `filling` is true, the caller needs as many bytes as `output` has room for, so one read may wait for all of them.
  mutating func read(into output: inout OutputSpan<UInt8>, filling: Bool) throws(ExchangeError)
}

/// Reads HTTP/1.1 responses, one after another, from a connection (RFC 9112, sections 6 and 7).
///
/// Every size is bounded. A body is read directly into the buffer that is returned to the caller. Only the bytes that arrived
/// together with the head are copied.
package struct MessageReader<Source: ByteSource & ~Copyable>: ~Copyable {
  package var source: Source
  private var buffer: [UInt8] = []
  /// The index in `buffer` of the first unread byte.
  private var position = 0

  private static var readSize: Int { 8_192 }
  private static var maximumHeadBytes: Int { 65_536 }
  private static var maximumLineBytes: Int { 4_096 }
  private static var maximumInterimResponses: Int { 8 }

  package init(_ source: consuming Source) {
    self.source = source
    buffer.reserveCapacity(Self.readSize)
  }

  /// Whether the buffer holds bytes that belong to no response read so far.
  package var hasUnreadBytes: Bool { position < buffer.count }

  /// Reads the head of the next response. Skips interim responses (1xx).
  package mutating func head() throws(ExchangeError) -> ResponseHead {
    for _ in 0...Self.maximumInterimResponses {
      let bytes = try headBytes()
      let head: ResponseHead
      do throws(ResponseHeadError) {
        head = try ResponseHead(parsing: bytes)
      } catch {
        throw .malformed("\(error)")
      }
      if head.status >= 200 { return head }
    }
    throw .malformed("more than \(Self.maximumInterimResponses) interim responses")
  }

  /// Reads the body that follows `head`. Fails with `tooLarge` if it has more than `limit` bytes.
  package mutating func body(after head: ResponseHead, limit: Int) throws(ExchangeError) -> [UInt8] {
    switch head.framing {
    case .none: return []
    case .length(let length):
      guard length <= limit else { throw .tooLarge(part: "the body", limit: limit) }
      var body: [UInt8] = []
      try append(length, to: &body)
      return body
    case .chunked: return try chunkedBody(limit: limit)
    case .untilClose: return try bodyUntilClose(limit: limit)
    }
  }

  private mutating func headBytes() throws(ExchangeError) -> [UInt8] {
    var searched = position
    while true {
      if let end = endOfHead(in: buffer, from: searched) {
        let bytes = Array(buffer[position..<end])
        advance(to: end)
        return bytes
      }
      guard buffer.count - position < Self.maximumHeadBytes else {
        throw .tooLarge(part: "the head", limit: Self.maximumHeadBytes)
      }
      let held = buffer.count - position
      guard try fill() else { throw held == 0 ? .closed : .cutOff("the end of the head is missing") }
      // Up to three of the terminator's four bytes may already have been in the buffer.
      searched = position + max(0, held - 3)
    }
  }

  private mutating func chunkedBody(limit: Int) throws(ExchangeError) -> [UInt8] {
    var body: [UInt8] = []
    while true {
      let size = try chunkSize()
      if size == 0 { break }
      guard size <= limit - body.count else { throw .tooLarge(part: "the body", limit: limit) }
      try append(size, to: &body)
      guard try line().isEmpty else { throw .malformed("a chunk is longer than its size") }
    }
    var trailerBytes = 0
    while true {
      let trailer = try line()
      if trailer.isEmpty { return body }
      trailerBytes += trailer.count
      guard trailerBytes <= Self.maximumHeadBytes else {
        throw .tooLarge(part: "the trailer", limit: Self.maximumHeadBytes)
      }
    }
  }

  /// Reads a chunk's size line, such as `1a;extension`.
  private mutating func chunkSize() throws(ExchangeError) -> Int {
    let line = try line()
    var size = 0
    var digits = 0
    for byte in line {
      guard let digit = hexDigitValue(byte) else { break }
      digits += 1
      size = size << 4 | Int(digit)
      guard digits <= 12 else { break }
    }
    let rest = line.dropFirst(digits).first { $0 != 0x20 && $0 != 0x09 }
    guard (1...12).contains(digits), rest == nil || rest == UInt8(ascii: ";") else {
      throw .malformed("invalid chunk size '\(String(decoding: line.prefix(40), as: UTF8.self))'")
    }
    return size
  }

  /// Reads a line and returns it without its CRLF.
  private mutating func line() throws(ExchangeError) -> [UInt8] {
    var length = 0
    while true {
      while position + length + 1 < buffer.count {
        if buffer[position + length] == 0x0D, buffer[position + length + 1] == 0x0A {
          let line = Array(buffer[position..<position + length])
          advance(to: position + length + 2)
          return line
        }
        length += 1
      }
      guard length <= Self.maximumLineBytes else {
        throw .tooLarge(part: "a line of the body", limit: Self.maximumLineBytes)
      }
      guard try fill() else { throw .cutOff("the body's last chunk is missing") }
    }
  }

  private mutating func bodyUntilClose(limit: Int) throws(ExchangeError) -> [UInt8] {
    var body = Array(buffer[position...])
    advance(to: buffer.count)
    while true {
      guard body.count <= limit else { throw .tooLarge(part: "the body", limit: limit) }
      let start = body.count
      try body.append(addingCapacity: Self.readSize) { output throws(ExchangeError) in
        try source.read(into: &output, filling: false)
      }
      if body.count == start { return body }
    }
  }

  /// Appends `count` bytes to `body`: first those in the buffer, then directly from the source.
  private mutating func append(_ count: Int, to body: inout [UInt8]) throws(ExchangeError) {
    let end = body.count + count
    if body.capacity < end { body.reserveCapacity(max(end, 2 * body.count)) }
    let held = min(count, buffer.count - position)
    body.append(contentsOf: buffer[position..<position + held])
    advance(to: position + held)
    while body.count < end {
      let start = body.count
      try body.append(addingCapacity: end - start) { output throws(ExchangeError) in
        try source.read(into: &output, filling: true)
      }
      guard body.count > start else { throw .cutOff("\(end - start) bytes of the body are missing") }
    }
  }

  /// Reads the available bytes into the buffer. Returns false at the end of the stream.
  private mutating func fill() throws(ExchangeError) -> Bool {
    if position > 0 {
      buffer.removeSubrange(..<position)
      position = 0
    }
    let start = buffer.count
    try buffer.append(addingCapacity: Self.readSize) { output throws(ExchangeError) in
      try source.read(into: &output, filling: false)
    }
    return buffer.count > start
  }

  private mutating func advance(to end: Int) {
    position = end
    guard position == buffer.count else { return }
    buffer.removeAll(keepingCapacity: true)
    position = 0
  }
}
