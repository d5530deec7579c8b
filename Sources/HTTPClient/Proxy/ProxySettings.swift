package import Platform
import WireFormats

/// The proxies that requests use, and the hosts that they reach without a proxy.
///
/// Read from `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`. The same names in lower case take precedence, as in the AWS
/// CLI. The URL of a proxy may contain a user name and a password, which are never shown.
package struct ProxySettings: Equatable, Sendable, CustomStringConvertible, CustomReflectable {
  private let forHTTPS: String?
  private let forHTTP: String?
  let exceptions: String?

  package static let none = ProxySettings(Environment([:]))

  package init(_ environment: Environment) {
    forHTTPS = environment.value("https_proxy", "HTTPS_PROXY")
    forHTTP = environment.value("http_proxy", "HTTP_PROXY")
    exceptions = environment.value("no_proxy", "NO_PROXY")
  }

  /// Returns the proxy for `https` URLs if `isSecure` is true, otherwise for `http` URLs.
  func proxy(secure isSecure: Bool) throws(HTTPError) -> Proxy {
    let name = isSecure ? "HTTPS_PROXY" : "HTTP_PROXY"
    guard let text = isSecure ? forHTTPS : forHTTP else { return .none }
    guard let proxy = Proxy(text, namedBy: name) else {
      throw .invalidProxy(
        "\(name) isn't a URL such as http://user:password@proxy:3128. Percent-encode special characters in the password, "
          + "such as %2F for '/'")
    }
    return proxy
  }

  package var description: String { forHTTPS == nil && forHTTP == nil ? "no proxy" : "a proxy" }
  package var customMirror: Mirror { Mirror(self, children: []) }
}

/// A proxy as libcurl expects it. User name and password aren't in the URL, because libcurl's messages show the URL.
struct Proxy {
  /// The URL; empty for no proxy, which keeps libcurl from reading the environment itself.
  let url: String
  /// `user:password`, percent-encoded; nil if the variable's URL has none.
  let userInformation: String?
  /// The environment variable that configures the proxy.
  let variable: String

  static let none = Proxy()

  private init() {
    url = ""
    userInformation = nil
    variable = ""
  }

  /// Nil if there is no host, or if it is unclear which part of `text` is the password.
  init?(_ text: String, namedBy variable: String) {
    let parts = URLParts(text)
    guard !parts.host.isEmpty, !parts.target.utf8.contains(UInt8(ascii: "@")) else { return nil }
    self.variable = variable
    userInformation = parts.userInformation
    url = "\(parts.scheme ?? "http")://\(parts.authority)\(parts.target)"
  }
}
