import WireFormats

/// Rejects requests from web pages.
///
/// A web page can make the visitor's browser send requests to 127.0.0.1. If the page's own host name resolves to that address
/// (DNS rebinding), the page can also read the responses: it could invoke the function and read events and reports. Browsers
/// identify the page in headers: `Host` is the host name in the URL, `Origin` is the page's origin (RFC 6454), and
/// `Sec-Fetch-Site` is the relation between the two (Fetch Metadata), which is present even if `Origin` isn't. AWS's CLI and SDKs,
/// runtimes and curl send the configured endpoint in `Host`, and neither of the other two.
struct BrowserGuard {
  /// Returns the response to a request from a web page; nil if the request is allowed.
  static func refusal(of request: ReceivedRequest) -> Answer? {
    complaint(about: request).map { complaint in
      Answer(
        status: 403, headers: [HeaderField(.amznErrorType, "ForbiddenException")],
        object: ["message": "\(complaint). The emulator accepts requests only from programs on this machine."]
      )
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
    // It takes precedence over Host (RFC 9112, section 3.2.2). Programs send the same value in both.
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

  /// Returns whether a Host header, with or without a port, names this machine.
  static func isLoopback(_ host: String) -> Bool {
    // An address in brackets contains colons too.
    let end =
      host.hasPrefix("[") ? host.firstIndex(of: "]").map { host.index(after: $0) } : host.firstIndex(of: ":")
    let name = host[..<(end ?? host.endIndex)].lowercased()
    let port = host[(end ?? host.endIndex)...]
    // The port may be empty, as in "localhost:" (RFC 3986, section 3.2.3).
    guard port.isEmpty || port.first == ":" else { return false }
    guard port.count < 2 || UInt16(port.dropFirst()) != nil else { return false }
    if name == "[::1]" { return true }
    // Names below `localhost` always resolve to this machine (RFC 6761, section 6.3).
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
