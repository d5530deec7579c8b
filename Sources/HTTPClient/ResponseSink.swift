/// What has arrived of a response, and the bounds it has to keep.
///
/// A class, because libcurl's callbacks find it through a pointer.
final class ResponseSink {
  private let headLimit: Int
  private let bodyLimit: Int
  private var headSize = 0
  private(set) var headers: [HTTPHeader] = []
  private(set) var body: [UInt8] = []
  /// Whether the empty line after the fields has come.
  private(set) var isHeadComplete = false
  /// The part that grew over its bound, which ended the transfer.
  private(set) var excess: HTTPError.Part?

  init(headLimit: Int, bodyLimit: Int) {
    self.headLimit = headLimit
    self.bodyLimit = bodyLimit
  }

  /// Begins with another response.
  func begin() {
    headSize = 0
    headers = []
    body = []
    isHeadComplete = false
    excess = nil
  }

  /// Takes a line of the head: a status line, a field or the empty line; false to end the transfer.
  func take(headLine line: UnsafeRawBufferPointer) -> Bool {
    headSize += line.count
    guard headSize <= headLimit else {
      excess = .head
      return false
    }
    // Every response begins anew, so that nothing of a "100 Continue" stays.
    if unsafe line.starts(with: "HTTP/".utf8) {
      headers = []
      isHeadComplete = false
      return true
    }
    if unsafe line.first == 0x0D || line.first == 0x0A { isHeadComplete = true }
    guard let colon = unsafe line.firstIndex(of: UInt8(ascii: ":")) else { return true }
    let name = unsafe String(decoding: line[..<colon], as: UTF8.self)
    let value = unsafe String(decoding: trimmingWhitespace(line[(colon + 1)...]), as: UTF8.self)
    headers.append((name, value))
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

  private func trimmingWhitespace(_ bytes: Slice<UnsafeRawBufferPointer>) -> Slice<UnsafeRawBufferPointer> {
    func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0D || byte == 0x0A }
    guard let first = unsafe bytes.firstIndex(where: { !isSpace($0) }) else { return unsafe bytes.prefix(0) }
    let last = unsafe bytes.lastIndex(where: { !isSpace($0) }) ?? first
    return unsafe bytes[first...last]
  }
}

// Free functions, because a closure inside a type may be bound to an actor, which libcurl's thread isn't on.

func receiveHeadLine(
  _ data: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?
) -> Int {
  guard let data = unsafe data, let context = unsafe context else { return 0 }
  let sink = unsafe Unmanaged<ResponseSink>.fromOpaque(context).takeUnretainedValue()
  let line = unsafe UnsafeRawBufferPointer(start: data, count: size * count)
  return unsafe sink.take(headLine: line) ? line.count : -1
}

func receiveBody(
  _ data: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?
) -> Int {
  guard let data = unsafe data, let context = unsafe context else { return 0 }
  let sink = unsafe Unmanaged<ResponseSink>.fromOpaque(context).takeUnretainedValue()
  let piece = unsafe UnsafeRawBufferPointer(start: data, count: size * count)
  return unsafe sink.take(body: piece) ? piece.count : -1
}
