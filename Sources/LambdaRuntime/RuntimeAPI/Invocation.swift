import Platform
import WireFormats

/// An event that awaits a response. It can be answered only once, because `RuntimeAPI.answer` consumes it.
struct Invocation: ~Copyable {
  let event: Event
  let context: Context
  /// The IDs under which the invocation is answered.
  let ids: InvocationIDs

  /// Parses the reply to `GET /runtime/invocation/next`. Only the request ID is mandatory.
  init(
    head: ResponseHead, body: [UInt8], function: FunctionDescription, log: Log
  ) throws(ExchangeError) {
    guard let requestID = head.value("Lambda-Runtime-Aws-Request-Id") else {
      throw .noInvocation("the header Lambda-Runtime-Aws-Request-Id is missing")
    }
    guard isUsable(requestID) else {
      let text = String(decoding: requestID.prefix(40), as: UTF8.self)
      throw .noInvocation(
        "Lambda-Runtime-Aws-Request-Id is '\(text)' (\(requestID.count) bytes), not 1 to 256 letters, digits or -_.~:"
      )
    }
    ids = InvocationIDs(
      requestID: String(decoding: requestID, as: UTF8.self),
      invocationID: head.value("Lambda-Runtime-Invocation-Id").map(Array.init))
    event = Event(body, contentType: head["Content-Type"])
    let deadline = head.value("Lambda-Runtime-Deadline-Ms")
    let milliseconds = deadline.flatMap(decimal)
    if let deadline, milliseconds == nil {
      let text = String(decoding: deadline.prefix(40), as: UTF8.self)
      log.warn(
        "Ignored Lambda-Runtime-Deadline-Ms '\(text)': not a number of milliseconds. The event has no deadline."
      )
    }
    context = Context(
      requestID: ids.requestID,
      deadline: WallTime(millisecondsSinceEpoch: Int64(milliseconds ?? .max)), head: head,
      function: function)
  }
}

/// The IDs that identify an invocation in an answer to it.
struct InvocationIDs: Equatable, Sendable {
  /// The request ID, which is part of the answer's path. A retried asynchronous invocation has the same one again.
  let requestID: String
  /// The value of `Lambda-Runtime-Invocation-Id`, which differs for each attempt; nil if the Runtime API sent none.
  ///
  /// The answer repeats it. If the invocation is no longer the current one, Lambda then rejects the answer with status 410
  /// instead of accepting it for another invocation.
  ///
  /// Bytes, because it must be repeated exactly, and need not be UTF-8.
  let invocationID: [UInt8]?
}

/// Returns whether an ID has an allowed length and can be inserted into a request path without escaping.
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
