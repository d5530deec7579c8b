import Glibc
package import Platform

/// The certificate authorities that TLS connections trust.
package enum TrustStore: Equatable, Sendable, CustomStringConvertible {
  /// A file of PEM certificates, and the variable that names it.
  case file(path: String, namedBy: String)
  /// The system's own bundle.
  case system(path: String)

  /// The bundles' paths on Debian, Amazon Linux and Fedora, Alpine, and openSUSE.
  package static let systemBundles = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
    "/etc/ssl/ca-bundle.pem",
  ]

  /// Chooses the store that the environment configures: `AWS_CA_BUNDLE` as in the AWS CLI, `SSL_CERT_FILE` as in
  /// OpenSSL, or the system's first readable bundle.
  package init(_ environment: Environment) {
    for name in ["AWS_CA_BUNDLE", "SSL_CERT_FILE"] {
      if let path = environment.value(name) {
        self = .file(path: path, namedBy: name)
        return
      }
    }
    let found = Self.systemBundles.first { unsafe access($0, R_OK) == 0 }
    self = .system(path: found ?? Self.systemBundles[0])
  }

  var path: String {
    switch self {
    case .file(let path, _), .system(let path): path
    }
  }

  package var description: String {
    switch self {
    case .file(let path, let name): "\(path) (\(name))"
    case .system(let path): "the system's bundle \(path)"
    }
  }

  /// The source of the path, for a message about a file that can't be used.
  var origin: String {
    switch self {
    case .file(_, let name): "the file that \(name) names"
    case .system: "the system's certificate bundle (set AWS_CA_BUNDLE to use another)"
    }
  }
}
