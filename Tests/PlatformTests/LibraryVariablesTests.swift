import Glibc
import Platform
import Testing

@Suite struct `The environment variables of libraries` {
  /// Other tests check that a program that connects removes the variables, using the two that have a visible effect:
  /// `SSLKEYLOGFILE` and `OPENSSL_CONF`.
  @Test func `are removed from the environment, each of them`() async {
    // Runs in a separate process: all tests share the environment, and the variables are removed only once.
    await #expect(processExitsWith: .success) {
      for name in weakeningVariables { unsafe setenv(name, "value", 1) }
      unsafe setenv("SSL_CERT_FILE", "value", 1)
      _ = removeWeakeningVariables
      let isGone = weakeningVariables.allSatisfy { unsafe getenv($0) == nil }
      let isKept = unsafe getenv("SSL_CERT_FILE") != nil
      exit(isGone && isKept ? EXIT_SUCCESS : EXIT_FAILURE)
    }
  }
}
