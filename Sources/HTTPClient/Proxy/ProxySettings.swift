package import Platform
import WireFormats

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

  /// The proxy for URLs of the scheme `https`, or `http`.
  func proxy(secure isSecure: Bool) throws(HTTPError) -> Proxy {
    let name = isSecure ? "HTTPS_PROXY" : "HTTP_PROXY"
    guard let text = isSecure ? forHTTPS : forHTTP else { return .none }
    guard let proxy = Proxy(text, namedBy: name) else {
      throw .invalidProxy(
        "\(name) is no URL such as http://user:password@proxy:3128; what isn't a letter or a digit in the password "
          + "has to be written as %2F for a '/', and so on")
    }
    return proxy
  }

  package var description: String { forHTTPS == nil && forHTTP == nil ? "no proxy" : "a proxy" }
  package var customMirror: Mirror { Mirror(self, children: []) }
}

/// A proxy as libcurl takes it: the user name and the password apart from the URL, which libcurl shows in its words.
struct Proxy {
  /// Empty for none, which keeps libcurl from looking at the environment itself.
  let url: String
  /// `user:password`, percent-encoded; nil where the proxy asks for none.
  let userInformation: String?
  /// The variable that names it.
  let variable: String

  static let none = Proxy()

  private init() {
    url = ""
    userInformation = nil
    variable = ""
  }

  /// Nil if it isn't clear which part of `text` is the password.
  init?(_ text: String, namedBy variable: String) {
    let parts = URLParts(text)
    guard !parts.host.isEmpty, !parts.target.utf8.contains(UInt8(ascii: "@")) else { return nil }
    self.variable = variable
    userInformation = parts.userInformation
    url = "\(parts.scheme ?? "http")://\(parts.authority)\(parts.target)"
  }
}
