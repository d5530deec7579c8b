import WireFormats

/// The trace context of the caller, as defined by the W3C (Trace Context and Baggage).
///
/// AWS's clients pass it in the member `w3c` of the client context. A tracing library needs it to continue the caller's trace.
public struct W3CTraceContext: Equatable, Sendable {
  /// The version, trace ID, parent ID and flags, such as `00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01`; nil if the caller
  /// sent none. Its format isn't checked.
  public let traceparent: String?
  /// The vendors' parts of the trace, such as `rojo=00f067aa0ba902b7`; nil if the caller sent none.
  public let tracestate: String?
  /// The caller's own properties, such as `userId=alice`; nil if the caller sent none.
  public let baggage: String?

  /// Reads the object `w3c` in the client context. Returns nil if there is none, or if it has none of the three values as printable ASCII.
  init?(clientContext: ArraySlice<UInt8>) {
    guard let document = try? JSONValue(parsing: Array(clientContext)), let fields = document["w3c"] else {
      // The client context is the caller's. The function receives it unchanged, and decides itself whether it must be valid.
      return nil
    }
    // The values become header fields of requests, so they may contain no line break.
    func text(_ name: String) -> String? {
      fields[name]?.string.flatMap { $0.utf8.allSatisfy { (0x20...0x7E).contains($0) } ? $0 : nil }
    }
    (traceparent, tracestate, baggage) = (text("traceparent"), text("tracestate"), text("baggage"))
    if traceparent == nil, tracestate == nil, baggage == nil { return nil }
  }
}
