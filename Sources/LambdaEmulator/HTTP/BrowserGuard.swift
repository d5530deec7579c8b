import WireFormats

/// Keeps web pages away from a server on this machine.
///
/// A web page can make the visitor's browser send requests to 127.0.0.1. If the page's own host name resolves to that
/// address (DNS rebinding), the page can read the responses too: it could invoke the function and read events and reports. A browser always
/// sends headers that identify the page: in `Host` the name that it looked up, in `Origin` the page (RFC 6454), and in
/// `Sec-Fetch-Site` how the two relate (Fetch Metadata), also if there is no `Origin`. AWS's CLI and SDKs, runtimes and
/// curl send a `Host` of the endpoint that they were given, and neither of the others.
struct BrowserGuard {
  /// The answer to a request that isn't served; nil for one that is.
  static func refusal(of request: ReceivedRequest) -> Answer? {
    complaint(about: request).map { complaint in
      Answer(
        status: 403, headers: [HeaderField(.amznErrorType, "ForbiddenException")],
        object: ["message": "\(complaint). The emulator serves programs on this machine, not web pages."])
    }
  }

  private static func complaint(about request: ReceivedRequest) -> String? {
    let hosts = request.values(of: .host)
    guard hosts.count == 1, let host = hosts.first else {
      return "The request has \(hosts.count) Host headers instead of one"
    }
    guard isLoopback(host) else {
      return "The Host header '\(excerpt(host))' isn't localhost, an address of 127.0.0.0/8 or [::1]"
    }
    // It counts in place of Host (RFC 9112, section 3.2.2). A program sends the same in both.
    if let authority = request.authority, !isLoopback(authority) {
      return
        "The host '\(excerpt(authority))' of the request target isn't localhost, an address of 127.0.0.0/8 or [::1]"
    }
    for origin in request.values(of: "origin") where origin.lowercased() != "http://\(host.lowercased())" {
      return "The request has the Origin '\(excerpt(origin))', so a web page sent it"
    }
    for site in request.values(of: "sec-fetch-site") where site != "same-origin" && site != "none" {
      return "The request has the Sec-Fetch-Site '\(excerpt(site))', so a web page sent it"
    }
    return nil
  }

  /// Whether a Host header, with or without a port, names this machine.
  static func isLoopback(_ host: String) -> Bool {
    // The address in brackets has colons of its own.
    let end =
      host.hasPrefix("[") ? host.firstIndex(of: "]").map { host.index(after: $0) } : host.firstIndex(of: ":")
    let name = host[..<(end ?? host.endIndex)].lowercased()
    let port = host[(end ?? host.endIndex)...]
    // The digits of a port may be missing (RFC 3986, section 3.2.3).
    guard port.isEmpty || port.first == ":" else { return false }
    guard port.count < 2 || UInt16(port.dropFirst()) != nil else { return false }
    if name == "[::1]" { return true }
    // No other machine can have a name below `localhost` (RFC 6761, section 6.3).
    let labels = (name.hasSuffix(".") ? name.dropLast() : name[...]).split(
      separator: ".", omittingEmptySubsequences: false)
    if labels.last == "localhost", labels.allSatisfy(isLabel) { return true }
    let parts = name.split(separator: ".", omittingEmptySubsequences: false)
    return parts.count == 4 && parts[0] == "127" && parts.allSatisfy(isOctet)
  }

  private static func isLabel(_ text: Substring) -> Bool {
    !text.isEmpty && text.utf8.allSatisfy { isLetterOrDigit($0) || "-_".utf8.contains($0) }
  }

  private static func isOctet(_ text: Substring) -> Bool {
    (1...3).contains(text.utf8.count) && text.utf8.allSatisfy { (0x30...0x39).contains($0) }
      && UInt8(text) != nil
  }

  private static func excerpt(_ value: String) -> String {
    String(decoding: value.utf8.prefix(80), as: UTF8.self)
  }
}
