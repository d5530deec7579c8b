package import Platform

/// Which proxy requests go through, and which hosts they reach without.
///
/// From `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` or the same in lower case, which counts before upper case, as in
/// the AWS CLI. The URL of a proxy may hold a user name and a password; they are never shown.
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

  /// The proxy for `url`; empty for none, which keeps libcurl from looking at the environment itself.
  func proxy(for url: String) -> String {
    (url.lowercased().hasPrefix("https:") ? forHTTPS : forHTTP) ?? ""
  }

  package var description: String { forHTTPS == nil && forHTTP == nil ? "no proxy" : "a proxy" }
  package var customMirror: Mirror { Mirror(self, children: []) }
}
