import COpenSSL
import Platform

/// Starts OpenSSL, once a process; asked for before an algorithm is fetched.
///
/// A release is linked statically, and there OpenSSL must not read the machine's openssl.cnf: a provider that it names
/// would be loaded with the machine's C library, which aborts where that is of another version. Other builds read it.
let openSSLStart: Void = {
  removeWeakeningVariables
  guard releaseComponents != nil else { return }
  // Where this fails, so does the fetch that follows, and that one says so.
  _ = OPENSSL_init_crypto(UInt64(OPENSSL_INIT_NO_LOAD_CONFIG), nil)
}()
