import WireFormats

/// Collects a response and enforces its size limits.
///
/// A class, because libcurl's callbacks receive a pointer to it. What they change is in one property: each access to a property of a
/// class is checked for exclusivity while the program runs.
final class ResponseSink {
  private var response: PartialResponse

  var fields: HeaderFields { response.fields }
  var body: [UInt8] { response.body }
  /// Whether the empty line after the header fields has arrived.
  var isHeadComplete: Bool { response.isHeadComplete }
  /// Whether nothing of the response has arrived.
  var isUntouched: Bool { response.headSize == 0 }
  /// The part that exceeded its limit, which ended the transfer.
  var excess: HTTPError.Part? { response.excess }

  init(headLimit: Int, bodyLimit: Int) {
    response = PartialResponse(headLimit: headLimit, bodyLimit: bodyLimit)
  }

  /// Resets the sink for another response.
  func begin() { response.begin() }

  /// Adds a line of the head: a status line, a field or the empty line. Returns false to end the transfer.
  func take(headLine line: Span<UInt8>) -> Bool { response.take(headLine: line) }

  /// Adds a piece of the body. Returns false to end the transfer.
  func take(body piece: UnsafeRawBufferPointer) -> Bool { unsafe response.take(body: piece) }
}

/// What has arrived of a response.
private struct PartialResponse {
  let headLimit: Int
  let bodyLimit: Int
  var headSize = 0
  var fields = HeaderFields()
  var body: [UInt8] = []
  var isHeadComplete = false
  var excess: HTTPError.Part?

  init(headLimit: Int, bodyLimit: Int) {
    self.headLimit = headLimit
    self.bodyLimit = bodyLimit
  }

  mutating func begin() {
    headSize = 0
    fields.removeAll()
    body = []
    isHeadComplete = false
    excess = nil
  }

  mutating func take(headLine line: Span<UInt8>) -> Bool {
    headSize += line.count
    guard headSize <= headLimit else {
      excess = .head
      return false
    }
    // A status line begins a new response, so that no field of a "100 Continue" remains.
    if isStatusLine(line) {
      fields.removeAll()
      isHeadComplete = false
      return true
    }
    if !line.isEmpty, line[0] == 0x0D || line[0] == 0x0A { isHeadComplete = true }
    fields.append(line: line)
    return true
  }

  mutating func take(body piece: UnsafeRawBufferPointer) -> Bool {
    guard piece.count <= bodyLimit - body.count else {
      excess = .body
      return false
    }
    unsafe body.append(contentsOf: piece)
    return true
  }
}

extension EasyHandle {
  /// Passes what arrives to `sink`, which must live until ``perform()`` returns.
  borrowing func deliver(to sink: ResponseSink) throws(HTTPError) {
    let context = unsafe Unmanaged.passUnretained(sink).toOpaque()
    try unsafe deliver(headTo: receiveHeadLine, bodyTo: receiveBody, context)
  }
}

private func isStatusLine(_ line: Span<UInt8>) -> Bool {
  line.count >= 5 && line[0] == UInt8(ascii: "H") && line[1] == UInt8(ascii: "T")
    && line[2] == UInt8(ascii: "T") && line[3] == UInt8(ascii: "P") && line[4] == UInt8(ascii: "/")
}

// Free functions, because a closure inside a type may be bound to an actor, and libcurl's thread isn't on that actor.

func receiveHeadLine(
  _ data: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?
) -> Int {
  guard let data = unsafe data, let context = unsafe context else { return 0 }
  let sink = unsafe Unmanaged<ResponseSink>.fromOpaque(context).takeUnretainedValue()
  let line = unsafe UnsafeRawBufferPointer(start: data, count: size * count)
  return unsafe sink.take(headLine: line.bindMemory(to: UInt8.self).span) ? line.count : -1
}

func receiveBody(
  _ data: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?
) -> Int {
  guard let data = unsafe data, let context = unsafe context else { return 0 }
  let sink = unsafe Unmanaged<ResponseSink>.fromOpaque(context).takeUnretainedValue()
  let piece = unsafe UnsafeRawBufferPointer(start: data, count: size * count)
  return unsafe sink.take(body: piece) ? piece.count : -1
}
