import CCurl

/// Lets libcurl send a request only once.
///
/// If a reused connection breaks before any byte of the response, libcurl sends the request again by itself, over a new
/// connection. The caller must decide whether to send it again, and with which signature.
final class RequestGate {
  private let limits: ConnectionLimits
  private(set) var hasBegun = false
  /// Whether libcurl was about to send the request again.
  private(set) var refused = false

  init(_ limits: ConnectionLimits) {
    self.limits = limits
  }

  /// Resets the gate for another request.
  func begin() {
    hasBegun = false
    refused = false
  }

  /// Returns whether libcurl may send the request now.
  func letOut() -> Bool {
    limits.noteConnection()
    refused = hasBegun
    hasBegun = true
    return !refused
  }
}

func beginRequest(
  _ context: UnsafeMutableRawPointer?, _ address: UnsafeMutablePointer<CChar>?,
  _ ownAddress: UnsafeMutablePointer<CChar>?, _ port: Int32, _ ownPort: Int32
) -> Int32 {
  guard let context = unsafe context else { return CURL_PREREQFUNC_ABORT }
  let gate = unsafe Unmanaged<RequestGate>.fromOpaque(context).takeUnretainedValue()
  return gate.letOut() ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT
}
