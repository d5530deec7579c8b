// Fuzzes the MQTT packet reader: any bytes, in any pieces, give the same packets or the same complaint.
// sources: Sources/MQTT/Packet.swift Sources/MQTT/PacketReader.swift Sources/MQTT/MQTTError.swift
// corpus: Tests/Fixtures/fuzz/mqtt-packets

/// What a reader makes of `pieces`, the complaint it ended with included.
func packets(in pieces: [ArraySlice<UInt8>]) -> ([IncomingPacket], PacketError?) {
  var reader = PacketReader(limit: 1_024)
  var packets: [IncomingPacket] = []
  do throws(PacketError) {
    for piece in pieces {
      reader.append(piece)
      while let packet = try reader.next() { packets.append(packet) }
      precondition(reader.pendingCount <= 1_024 + 5, "more is kept than the limit")
    }
    return (packets, nil)
  } catch {
    return (packets, error)
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
  // Byte by byte, so that a packet is refused at the same place whatever the pieces.
  let (inPieces, complaint) = packets(in: pieces)
  let (byteByByte, sameComplaint) = packets(in: bytes.indices.map { bytes[$0...$0] })
  precondition(inPieces == byteByByte && complaint == sameComplaint, "the pieces change what is read")
  return 0
}
