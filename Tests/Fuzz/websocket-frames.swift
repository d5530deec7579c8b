// Fuzzes the reader of WebSocket frames: any bytes, in any pieces, give the same events or the same complaint.
// sources: Sources/MQTT/WebSocketFrames.swift
// corpus: Tests/Fixtures/fuzz/websocket-frames

/// What a reader makes of `pieces`, data joined, the complaint it ended with included.
func events(in pieces: [ArraySlice<UInt8>]) -> ([WebSocketEvent], WebSocketError?) {
  var reader = WebSocketFrameReader()
  var events: [WebSocketEvent] = []
  do throws(WebSocketError) {
    for piece in pieces {
      reader.append(piece)
      while let event = try reader.next() {
        if case .data(let more) = event, case .data(let before)? = events.last {
          events[events.count - 1] = .data(before + more)
        } else {
          events.append(event)
        }
      }
    }
    return (events, nil)
  } catch {
    return (events, error)
  }
}

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
  let input = unsafe Array(UnsafeBufferPointer(start: start, count: count))
  guard let pieceSize = input.first.map({ Int($0 % 16) + 1 }) else { return 0 }
  let bytes = input.dropFirst()
  let pieces = stride(from: bytes.startIndex, to: bytes.endIndex, by: pieceSize).map { start in
    bytes[start..<min(start + pieceSize, bytes.endIndex)]
  }
  let (inPieces, complaint) = events(in: pieces)
  let (byteByByte, sameComplaint) = events(in: bytes.indices.map { bytes[$0...$0] })
  precondition(inPieces == byteByByte && complaint == sameComplaint, "the pieces change what is read")
  return 0
}
