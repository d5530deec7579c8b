import WireFormats

/// Rejects requests from web pages.
///
/// A web page can make the visitor's browser send requests to 127.0.0.1. If the page's own host name resolves to that address
/// (DNS rebinding), the page can also read the responses: it could invoke the function and read events and reports. Browsers
/// identify the page in headers: `Host` is the host name in the URL, `Origin` is the page's origin (RFC 6454), and
/// `Sec-Fetch-Site` is the relation between the two (Fetch Metadata). Some requests have `Sec-Fetch-Site` but no `Origin`. AWS's CLI and
/// SDKs, runtimes and curl send the configured endpoint in `Host`, and neither of the other two headers.
struct BrowserGuard {
  /// Returns the response to a request from a web page; nil if the request is allowed.
  ///
  /// If `allowsLocalPages` is true, a page that a server on this machine sent may send requests: for example a front end at
  /// `http://localhost:3000` that is developed together with the function.
  static func refusal(of request: ReceivedRequest, allowsLocalPages: Bool = false) -> Answer? {
    complaint(about: request, allowsLocalPages).map { complaint in
      Answer(
        status: 403, headers: [HeaderField(.amznErrorType, "ForbiddenException")],
        object: [
          "message":
            "\(complaint). Only programs \(allowsLocalPages ? "and pages " : "")on this machine may send requests."
        ])
    }
  }

  private static func complaint(about request: ReceivedRequest, _ allowsLocalPages: Bool) -> String? {
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
    let origins = request.values(of: "origin")
    if allowsLocalPages, origins.count == 1, origins.allSatisfy(isLoopbackOrigin) { return nil }
    for origin in origins where origin.lowercased() != "http://\(host.lowercased())" {
      return "The request has the Origin '\(excerpt(origin))', so a web page sent it"
    }
    // `Host` names this machine, so a page of the same site is also on this machine, at another port.
    let sites = ["same-origin", "none"] + (allowsLocalPages ? ["same-site"] : [])
    for site in request.values(of: "sec-fetch-site") where !sites.contains(site) {
      return "The request has the Sec-Fetch-Site '\(excerpt(site))', so a web page sent it"
    }
    return nil
  }

  /// Returns whether an origin, such as `http://localhost:3000`, names this machine.
  private static func isLoopbackOrigin(_ origin: String) -> Bool {
    let parts = URLParts(origin)
    guard let scheme = parts.scheme?.lowercased(), ["http", "https"].contains(scheme), parts.target.isEmpty,
      parts.userInformation == nil
    else { return false }
    return isLoopback(parts.authority)
  }

  /// Returns whether a Host header, with or without a port, names this machine.
  static func isLoopback(_ host: String) -> Bool {
    let parts = URLParts(host)
    // Only a host with an optional port, which may be empty as in "localhost:".
    guard parts.scheme == nil, parts.userInformation == nil, parts.target.isEmpty, parts.port != .malformed
    else { return false }
    // A name may end in a dot, which HostName doesn't allow: libcurl removes it. An address may not.
    let name = parts.host.hasSuffix(".") ? parts.host.dropLast() : parts.host[...]
    guard let checked = try? HostName(name).text else { return false }
    if checked == "[::1]" { return true }
    // Names below `localhost` always resolve to this machine (RFC 6761, section 6.3).
    if checked == "localhost" || checked.hasSuffix(".localhost") { return true }
    // If the last label is a number, HostName has checked that this is an IPv4 address.
    let labels = parts.host.split(separator: ".", omittingEmptySubsequences: false)
    return labels.first == "127" && labels.last.map { UInt8($0) != nil } == true
  }

  private static func excerpt(_ value: String) -> String {
    String(decoding: value.utf8.prefix(80), as: UTF8.self)
  }
}
