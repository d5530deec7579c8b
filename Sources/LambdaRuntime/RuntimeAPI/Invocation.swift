import Platform
import WireFormats

/// One event to answer. It can be answered once: answering uses it up.
struct Invocation: ~Copyable {
  let event: Event
  let context: Context

  /// Reads what `GET /runtime/invocation/next` answered; only the request id has to be there.
  init(
    head: ResponseHead, body: [UInt8], function: FunctionDescription, log: Log
  ) throws(ExchangeError) {
    guard let requestID = head.value("Lambda-Runtime-Aws-Request-Id") else {
      throw .noInvocation("it has no Lambda-Runtime-Aws-Request-Id")
    }
    guard isUsable(requestID) else {
      throw .noInvocation("the Lambda-Runtime-Aws-Request-Id has \(requestID.count) bytes, or odd ones")
    }
    event = Event(body, contentType: head["Content-Type"])
    let deadline = head.value("Lambda-Runtime-Deadline-Ms")
    let milliseconds = deadline.flatMap(decimal)
    if let deadline, milliseconds == nil {
      let text = String(decoding: deadline.prefix(40), as: UTF8.self)
      log.warn("Lambda-Runtime-Deadline-Ms is '\(text)', not milliseconds; going on without one")
    }
    context = Context(
      requestID: String(decoding: requestID, as: UTF8.self),
      deadline: WallTime(millisecondsSinceEpoch: Int64(milliseconds ?? .max)), head: head,
      function: function)
  }
}

/// Whether an id can stand in the path of a request as it is.
private func isUsable(_ requestID: ArraySlice<UInt8>) -> Bool {
  (1...256).contains(requestID.count)
    && requestID.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."),
        UInt8(ascii: "~"), UInt8(ascii: ":"):
        true
      default: false
      }
    }
}
