import WireFormats

/// Keeps web pages away from a server on this machine.
///
/// A page that somebody looks at can have their browser send requests to 127.0.0.1. With a name of its own that leads there
/// (DNS rebinding) it even gets to read the answers: invoke the function, read events and reports. A browser can't send the
/// request without saying whom it speaks for: in `Host` the name that it looked up, in `Origin` the page (RFC 6454), and
/// in `Sec-Fetch-Site` how the two relate (Fetch Metadata), also if there is no `Origin`. AWS's CLI and SDKs, runtimes and
/// curl send a `Host` of the endpoint that they were given, and neither of the others.
struct BrowserGuard {
  /// The answer to a request that isn't served; nil for one that is.
  static func refusal(of request: ReceivedRequest) -> Answer? {
    complaint(about: request).map { complaint in
      Answer(
        status: 403, headers: [HeaderField("x-amzn-ErrorType", "ForbiddenException")],
        object: ["message": "\(complaint). The emulator serves programs on this machine, not web pages."])
    }
  }

  private static func complaint(about request: ReceivedRequest) -> String? {
    let hosts = request.values(of: "host")
    guard hosts.count == 1, let host = hosts.first else {
      return "The request has \(hosts.count) Host headers instead of one"
    }
    guard isLoopback(host) else {
      return "The Host header '\(excerpt(host))' isn't localhost, an address of 127.0.0.0/8 or [::1]"
    }
    for origin in request.values(of: "origin") where origin.lowercased() != "http://\(host.lowercased())" {
      return "The Origin header '\(excerpt(origin))' is that of a web page"
    }
    for site in request.values(of: "sec-fetch-site") where site != "same-origin" && site != "none" {
      return "The Sec-Fetch-Site header '\(excerpt(site))' is that of a web page"
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
    guard port.isEmpty || port.first == ":" && UInt16(port.dropFirst()) != nil else { return false }
    if ["localhost", "localhost.", "[::1]"].contains(name) { return true }
    let parts = name.split(separator: ".", omittingEmptySubsequences: false)
    return parts.count == 4 && parts[0] == "127" && parts.allSatisfy(isOctet)
  }

  private static func isOctet(_ text: Substring) -> Bool {
    (1...3).contains(text.utf8.count) && text.utf8.allSatisfy { (0x30...0x39).contains($0) }
      && UInt8(text) != nil
  }

  private static func excerpt(_ value: String) -> String {
    String(decoding: value.utf8.prefix(80), as: UTF8.self)
  }
}
