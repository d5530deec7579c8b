import Glibc

/// The environment variables that change what libcurl, OpenSSL and c-ares do, and that weaken the security of a connection.
///
/// `SSLKEYLOGFILE` has libcurl write the keys of every TLS connection to a file. `CURL_SSL_BACKEND` chooses another TLS
/// library, without our options. The others name a configuration file, or folders with code to load, for OpenSSL: a
/// configuration can lower the protocol version and the key sizes for every connection. SECURITY.md lists the variables that stay.
package let weakeningVariables = [
  "SSLKEYLOGFILE", "CURL_SSL_BACKEND", "OPENSSL_CONF", "OPENSSL_CONF_INCLUDE", "OPENSSL_ENGINES",
  "OPENSSL_MODULES",
]

/// Removes ``weakeningVariables`` from the environment of this process, once. Use it before libcurl or OpenSSL starts.
///
/// Programs that this process starts get the variables of an `Environment`, which keeps them.
package let removeWeakeningVariables: Void = {
  for name in weakeningVariables { unsafe unsetenv(name) }
}()
