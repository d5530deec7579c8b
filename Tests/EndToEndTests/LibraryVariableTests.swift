import Glibc
import LambdaEmulator
import Platform
import TestSupport
import Testing

/// Tests of environment variables that could weaken the TLS of this package's programs.
@Suite(.ownThreads, .timeLimit(.minutes(5))) struct `The variables of libraries` {
  /// With this build of OpenSSL, only `SSLKEYLOGFILE` and `OPENSSL_CONF` would have an effect. `LibraryVariablesTests` tests that the
  /// others are removed, too.
  @Test func `have no effect`() async throws {
    let authority = try ThrowawayAuthority()
    let server = try ScriptedServer(
      [.close(httpResponse(body: "{}"))],
      tls: TLSServerContext(authority.issue("server", names: "DNS:localhost")))
    defer { server.stop() }
    let directory = try TemporaryDirectory()
    // A client that reads this can't connect, because the server here doesn't offer these ciphers.
    let configuration = try directory.write(
      "openssl.cnf",
      """
      openssl_conf = start
      [start]
      ssl_conf = all
      [all]
      system_default = weak
      [weak]
      CipherString = NULL-SHA256:@SECLEVEL=0
      Ciphersuites = TLS_AES_128_CCM_8_SHA256
      """)
    let variables = [
      "AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "s", "AWS_REGION": "eu-west-1",
      "AWS_CA_BUNDLE": authority.certificateFile, "SSLKEYLOGFILE": directory.path + "/keys",
      "CURL_SSL_BACKEND": "gnutls", "OPENSSL_CONF": configuration, "OPENSSL_CONF_INCLUDE": directory.path,
      "OPENSSL_ENGINES": directory.path, "OPENSSL_MODULES": directory.path,
    ]
    #expect(weakeningVariables.allSatisfy { variables[$0] != nil })
    let run = try await BuiltProgram("defender").run(
      ["publish", "--topic", "t", "--endpoint", "https://localhost:\(server.port)"], environment: variables)
    #expect(run.status == .code(0), "\(run.errorText)")
    #expect(unsafe access(directory.path + "/keys", F_OK) != 0, "the keys of a connection are in a file")
  }

  @Test func `are kept for a credential_process`() async throws {
    let server = try ScriptedServer { _ in .close(httpResponse(body: "{}")) }
    defer { server.stop() }
    let directory = try TemporaryDirectory()
    let config = try directory.write(
      "config",
      """
      [default]
      credential_process = printf '{"Version":1,"AccessKeyId":"%s","SecretAccessKey":"s"}' "$OPENSSL_CONF"
      """)
    let run = try await BuiltProgram("defender").run(
      ["publish", "--topic", "t", "--endpoint", server.url],
      environment: [
        "PATH": "/usr/bin:/bin", "AWS_REGION": "eu-west-1", "AWS_CONFIG_FILE": config, "OPENSSL_CONF": "KEPT",
      ])
    #expect(run.status == .code(0), "\(run.errorText)")
    #expect(server.received.first?.header("Authorization")?.contains("Credential=KEPT/") == true)
  }
}
