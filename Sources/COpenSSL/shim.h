// The parts of OpenSSL that signing and the TLS configuration use.
#ifndef COPENSSL_SHIM_H
#define COPENSSL_SHIM_H

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

// Sets the digest of an HMAC context to SHA-256. In C because the parameters are built with macros.
static inline int copenssl_mac_use_sha256(EVP_MAC_CTX *context) {
  char name[] = "SHA256";
  OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0),
      OSSL_PARAM_construct_end(),
  };
  return EVP_MAC_CTX_set_params(context, parameters);
}

// Writes a name in the form `CN=localhost,O=Somebody` (RFC 2253), with control characters escaped. In C because the flags are macros.
static inline int copenssl_print_name(BIO *output, const X509_NAME *name) {
  return X509_NAME_print_ex(output, name, 0, XN_FLAG_RFC2253);
}

// Returns the number of certificates in a chain. In C because STACK_OF is a macro.
static inline int copenssl_chain_count(const STACK_OF(X509) *chain) {
  return chain ? sk_X509_num(chain) : 0;
}

static inline X509 *copenssl_chain_element(const STACK_OF(X509) *chain, int index) {
  return sk_X509_value(chain, index);
}

// Adds a certificate after those that a TLS context has; takes a reference. In C because it is a macro.
static inline int copenssl_add_chain_certificate(SSL_CTX *context, X509 *certificate) {
  return (int)SSL_CTX_add1_chain_cert(context, certificate);
}

// Returns the chain that OpenSSL has built, or the certificates that the peer sent if it built none.
static inline STACK_OF(X509) *copenssl_chain(X509_STORE_CTX *context) {
  STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(context);
  return sk_X509_num(chain) > 0 ? chain : X509_STORE_CTX_get0_untrusted(context);
}

#endif
