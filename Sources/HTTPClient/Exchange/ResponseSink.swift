import WireFormats

/// What has arrived of a response, and the bounds it has to keep.
///
/// A class, because libcurl's callbacks find it through a pointer.
final class ResponseSink {
  private let headLimit: Int
  private let bodyLimit: Int
  private var headSize = 0
  private(set) var fields = HeaderFields()
  private(set) var body: [UInt8] = []
  /// Whether the empty line after the fields has come.
  private(set) var isHeadComplete = false
  /// Whether nothing of the response has come.
  var isUntouched: Bool { headSize == 0 }
  /// The part that grew over its bound, which ended the transfer.
  private(set) var excess: HTTPError.Part?

  init(headLimit: Int, bodyLimit: Int) {
    self.headLimit = headLimit
    self.bodyLimit = bodyLimit
  }

  /// Begins with another response.
  func begin() {
    headSize = 0
    fields.removeAll()
    body = []
    isHeadComplete = false
    excess = nil
  }

  /// Takes a line of the head: a status line, a field or the empty line; false to end the transfer.
  func take(headLine line: Span<UInt8>) -> Bool {
    headSize += line.count
    guard headSize <= headLimit else {
      excess = .head
      return false
    }
    // Every response begins anew, so that nothing of a "100 Continue" stays.
    if isStatusLine(line) {
      fields.removeAll()
      isHeadComplete = false
      return true
    }
    if !line.isEmpty, line[0] == 0x0D || line[0] == 0x0A { isHeadComplete = true }
    fields.append(line: line)
    return true
  }

  /// Takes a piece of the body; false to end the transfer.
  func take(body piece: UnsafeRawBufferPointer) -> Bool {
    guard piece.count <= bodyLimit - body.count else {
      excess = .body
      return false
    }
    unsafe body.append(contentsOf: piece)
    return true
  }
}

extension EasyHandle {
  /// Hands what arrives to `sink`, which has to live until ``perform()`` returned.
  borrowing func deliver(to sink: ResponseSink) throws(HTTPError) {
    let context = unsafe Unmanaged.passUnretained(sink).toOpaque()
    try unsafe deliver(headTo: receiveHeadLine, bodyTo: receiveBody, context)
  }
}

private func isStatusLine(_ line: Span<UInt8>) -> Bool {
  line.count >= 5 && line[0] == UInt8(ascii: "H") && line[1] == UInt8(ascii: "T")
    && line[2] == UInt8(ascii: "T") && line[3] == UInt8(ascii: "P") && line[4] == UInt8(ascii: "/")
}

// Free functions, because a closure inside a type may be bound to an actor, which libcurl's thread isn't on.

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
