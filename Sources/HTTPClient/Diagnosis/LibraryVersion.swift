import CCurl

/// The versions of libcurl, its TLS library and its resolver, such as `libcurl/7.88.1 OpenSSL/3.0.22 c-ares/1.18.1`
/// (curl_version(3)).
package var libcurlVersion: String { unsafe String(cString: curl_version()) }
