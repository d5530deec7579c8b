// Fuzzes the reader of HTTP/1.1 responses: any bytes, in any packets, give the same messages or the same complaint.
// sources: Sources/LambdaRuntime/HTTP/MessageReader.swift Sources/LambdaRuntime/HTTP/ResponseHead.swift
// sources: Sources/LambdaRuntime/HTTP/ExchangeError.swift Sources/Platform/Errno.swift Sources/WireFormats/Hex.swift
// corpus: Tests/Fixtures/fuzz/http

struct Packets: ByteSource, ~Copyable {
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

struct Message: Equatable {
  let head: ResponseHead
  let body: [UInt8]
}

/// The messages in `bytes`, and the complaint that they end with.
func messages(in bytes: ArraySlice<UInt8>, packetSize: Int) -> ([Message], ExchangeError) {
  var reader = MessageReader(Packets(bytes, size: packetSize))
  var messages: [Message] = []
  while true {
    do throws(ExchangeError) {
      let head = try reader.head()
      precondition((200...999).contains(head.status))
      let body = try reader.body(after: head, limit: 2_000)
      precondition(body.count <= 2_000, "the limit doesn't hold")
      for name: StaticString in ["Lambda-Runtime-Aws-Request-Id", "content-type", ""] {
        precondition(head[name] == head.values(name).first)
      }
      messages.append(Message(head: head, body: body))
    } catch {
      precondition(!"\(error)".isEmpty)
      return (messages, error)
    }
  }
}

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
  let input = unsafe Array(UnsafeBufferPointer(start: start, count: count))
  // The first byte is the size of the packets, so that the search can change it.
  guard let size = input.first.map({ Int($0 % 64) + 1 }) else { return 0 }
  let bytes = input.dropFirst()
  let (whole, complaint) = messages(in: bytes, packetSize: .max)
  let (inPackets, sameComplaint) = messages(in: bytes, packetSize: size)
  precondition(whole == inPackets && complaint == sameComplaint, "the packets change what is read")
  return 0
}
