import Glibc
import Platform
import Testing

@Suite struct `The environment variables of libraries` {
  /// That a program that connects removes them is tested with those that show an effect, `SSLKEYLOGFILE` and `OPENSSL_CONF`.
  @Test func `are removed from the environment, each of them`() async {
    // In a process of its own: the environment is everybody's, and they are removed once.
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
