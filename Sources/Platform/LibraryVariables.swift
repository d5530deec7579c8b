import Glibc

/// The environment variables that weaken the security of connections by changing libcurl, OpenSSL or c-ares.
///
/// `SSLKEYLOGFILE` makes libcurl write the keys of every TLS connection to a file. `CURL_SSL_BACKEND` selects another TLS
/// library, without our options. The others name a configuration file or directories with loadable code for OpenSSL; a
/// configuration file can lower the protocol version and the key sizes of every connection. SECURITY.md lists the
/// variables that are kept.
package let weakeningVariables = [
  "SSLKEYLOGFILE", "CURL_SSL_BACKEND", "OPENSSL_CONF", "OPENSSL_CONF_INCLUDE", "OPENSSL_ENGINES",
  "OPENSSL_MODULES",
]

/// Removes ``weakeningVariables`` from the environment of this process, once. Use it before libcurl or OpenSSL starts.
///
/// Programs that this process starts get their variables from an `Environment`, which still contains them.
package let removeWeakeningVariables: Void = {
  for name in weakeningVariables { unsafe unsetenv(name) }
}()
