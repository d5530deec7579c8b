import COpenSSL
import Platform

/// Initialises OpenSSL once per process; evaluate it before fetching an algorithm.
///
/// A release is linked statically, and its OpenSSL must not read the machine's openssl.cnf: a provider named there
/// would be loaded with the machine's C library, which aborts if its version differs. Other builds read the file.
let openSSLStart: Void = {
  removeWeakeningVariables
  guard releaseComponents != nil else { return }
  // If this fails, the fetch that follows fails too and reports it.
  _ = OPENSSL_init_crypto(UInt64(OPENSSL_INIT_NO_LOAD_CONFIG), nil)
}()
