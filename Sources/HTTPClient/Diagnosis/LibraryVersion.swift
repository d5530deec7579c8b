import CCurl

/// The versions of libcurl, of its TLS library and of its resolver, as libcurl tells them: `libcurl/7.88.1
/// OpenSSL/3.0.22 c-ares/1.18.1` (curl_version(3)).
package var libcurlVersion: String { unsafe String(cString: curl_version()) }
