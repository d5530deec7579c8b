// Fuzzes the reader of the answer to a WebSocket upgrade.
// sources: Sources/MQTT/WebSocketAnswer.swift Sources/MQTT/WebSocketFrames.swift
// corpus: Tests/Fixtures/fuzz/websocket-answer

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
  let input = unsafe Array(UnsafeBufferPointer(start: start, count: count))
  do throws(WebSocketError) {
    let answer = try WebSocketAnswer(parsing: input)
    precondition((100...999).contains(answer.status))
    precondition(answer.fields.allSatisfy { !$0.value.hasPrefix(" ") && !$0.value.hasSuffix(" ") })
    _ = answer.hasToken("websocket", in: "upgrade")
  } catch {
    precondition(!error.reason.isEmpty)
  }
  return 0
}
