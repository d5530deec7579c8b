@testable import AWSClient
@testable import HTTPClient
@testable import LambdaRuntime
@testable import Platform
@testable import WireFormats

/// The reader of the Runtime API's HTTP/1.1 responses: the packet size must not change the messages or the error.
let http = FuzzTarget("http") { input in
  guard let size = input.first.map({ Int($0 % 64) + 1 }) else { return }
  let (whole, complaint) = try messages(in: input.dropFirst(), packetSize: .max)
  let (inPackets, sameComplaint) = try messages(in: input.dropFirst(), packetSize: size)
  try require(whole == inPackets && complaint == sameComplaint, "the packets change what is read")
}

private struct Packets: ByteSource, ~Copyable {
  let bytes: ArraySlice<UInt8>
  let size: Int
  var position: Int

  init(_ bytes: ArraySlice<UInt8>, size: Int) {
    self.bytes = bytes
    self.size = size
    position = bytes.startIndex
  }

  mutating func read(into output: inout OutputSpan<UInt8>, filling: Bool) throws(ExchangeError) {
    precondition(output.freeCapacity > 0, "there is no room for what is to be read")
    let end = min(bytes.endIndex, position + min(filling ? .max - position : size, output.freeCapacity))
    for byte in bytes[position..<end] { output.append(byte) }
    position = end
  }
}

private struct Message: Equatable {
  let head: ResponseHead
  let body: [UInt8]
}

/// Returns the messages in `bytes`, and the error at their end.
private func messages(
  in bytes: ArraySlice<UInt8>, packetSize: Int
) throws -> ([Message], ExchangeError) {
  var reader = MessageReader(Packets(bytes, size: packetSize))
  var messages: [Message] = []
  while true {
    do {
      let head = try reader.head()
      try require((200...999).contains(head.status), "a status that is none")
      let body = try reader.body(after: head, limit: 2_000)
      try require(body.count <= 2_000, "the limit doesn't hold")
      for name: StaticString in ["Lambda-Runtime-Aws-Request-Id", "content-type", ""] {
        try require(head[name] == head.values(name).first, "two ways to a field differ")
      }
      messages.append(Message(head: head, body: body))
    } catch let error as ExchangeError {
      try require(!"\(error)".isEmpty, "a complaint without words")
      return (messages, error)
    }
  }
}

/// An AWS response as libcurl delivers it: the lines of the head, a NUL byte, and the body. Also checks the service error
/// and the clock skew that are derived from it.
let serviceAnswers = FuzzTarget("service-answers") { input in
  let parts = parts(of: input, upTo: 2)
  let sink = ResponseSink(headLimit: 512, bodyLimit: 1_024)
  var isTaken = true
  for line in parts[0].split(separator: 0x0A, omittingEmptySubsequences: false) where isTaken {
    let line = Array(line) + [0x0A]
    isTaken = sink.take(headLine: line.span)
  }
  for piece in pieces(of: parts.count == 2 ? parts[1] : []) where isTaken {
    isTaken = unsafe Array(piece).withUnsafeBytes { bytes in unsafe sink.take(body: bytes) }
  }
  try require(isTaken == (sink.excess == nil), "a transfer that ended without a reason")
  try require(sink.body.count <= 1_024, "the limit doesn't hold")
  let response = HTTPResponse(status: 403, fields: sink.fields, body: sink.body)
  let error = ServiceError(response)
  try require("\(error)".utf8.count < 6_000, "a complaint too long for a line of log")
  _ = error.saysCredentialsAreStale
  _ = error.retryReason
  var skew = ClockSkew()
  skew.observe(response, sent: WallTime(secondsSinceEpoch: 1_700_000_000), duration: .seconds(2))
  try require(skew.offset == .zero || response.header("DATE") != nil, "a clock set by nothing")
  _ = skew.explains(error, response, used: .zero)
  _ = skew.warning
}
