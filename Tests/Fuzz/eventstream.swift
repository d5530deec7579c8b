// Fuzzes the event stream reader: any bytes, in any pieces, give the same messages or the same complaint, and what is
// read is written as it came. A second time with the input as the headers of a frame whose checksums are right.
// sources: Sources/GreengrassIPC/CRC32.swift Sources/GreengrassIPC/EventStreamMessage.swift Sources/GreengrassIPC/EventStreamReader.swift
// corpus: Tests/Fixtures/fuzz/eventstream

func messages(in bytes: [UInt8], piece: Int) -> ([EventStreamMessage], EventStreamError?) {
  var reader = EventStreamReader()
  var messages: [EventStreamMessage] = []
  do throws(EventStreamError) {
    for start in stride(from: 0, to: bytes.count, by: piece) {
      reader.append(Array(bytes[start..<min(start + piece, bytes.count)]))
      while let message = try reader.nextMessage() { messages.append(message) }
    }
    return (messages, nil)
  } catch {
    return (messages, error)
  }
}

func framed(headers: [UInt8]) -> [UInt8] {
  func bigEndian(_ value: UInt32) -> [UInt8] { (0..<4).map { UInt8(value >> UInt32(24 - 8 * $0) & 0xFF) } }
  let lengths = bigEndian(UInt32(16 + headers.count)) + bigEndian(UInt32(headers.count))
  let message = lengths + bigEndian(crc32(lengths)) + headers
  return message + bigEndian(crc32(message))
}

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
  let input = unsafe Array(UnsafeBufferPointer(start: start, count: count))
  for bytes in [input, framed(headers: input)] {
    let (whole, complaint) = messages(in: bytes, piece: max(1, bytes.count))
    let (pieces, sameComplaint) = messages(in: bytes, piece: count % 13 + 1)
    precondition(whole == pieces && complaint == sameComplaint, "the pieces change what is read")
    var written: [UInt8] = []
    for message in whole {
      guard let frame = try? message.encoded() else { preconditionFailure("what was read can't be written") }
      written += frame
    }
    precondition(bytes.starts(with: written), "what is written differs from what was read")
  }
  return 0
}
