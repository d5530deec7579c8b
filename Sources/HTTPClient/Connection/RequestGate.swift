import CCurl

/// Lets a request out once.
///
/// Where a connection that was used before breaks without a byte of an answer, libcurl sends the request again by
/// itself, over a new connection. Whether it is sent again, and with which signature, is for the caller to decide.
final class RequestGate {
  private let limits: ConnectionLimits
  private(set) var hasBegun = false
  /// Whether libcurl was about to send the request again.
  private(set) var refused = false

  init(_ limits: ConnectionLimits) {
    self.limits = limits
  }

  /// Begins with another request.
  func begin() {
    hasBegun = false
    refused = false
  }

  /// Whether the request may go out now.
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
