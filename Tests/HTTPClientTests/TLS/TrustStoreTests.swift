import HTTPClient
import Platform
import Testing

struct `The trust store` {
  @Test(arguments: [
    (["AWS_CA_BUNDLE": "/a", "SSL_CERT_FILE": "/b"], TrustStore.file(path: "/a", namedBy: "AWS_CA_BUNDLE")),
    (["AWS_CA_BUNDLE": "", "SSL_CERT_FILE": "/b"], .file(path: "/b", namedBy: "SSL_CERT_FILE")),
  ])
  func `is the one that the environment configures`(variables: [String: String], expected: TrustStore) {
    #expect(TrustStore(Environment(variables)) == expected)
  }

  @Test func `is one of the system's if the environment configures none`() {
    guard case .system(let path) = TrustStore(Environment([:])) else {
      Issue.record("not the system's")
      return
    }
    #expect(TrustStore.systemBundles.contains(path))
  }
}
