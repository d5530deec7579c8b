// The parts of OpenSSL that signing and TLS set-up use.
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

// Makes a context of HMAC one of HMAC-SHA-256; parameters end in a macro's array, which Swift can't write.
static inline int copenssl_mac_use_sha256(EVP_MAC_CTX *context) {
  char name[] = "SHA256";
  OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0),
      OSSL_PARAM_construct_end(),
  };
  return EVP_MAC_CTX_set_params(context, parameters);
}

// Writes a name as `CN=localhost,O=Somebody` (RFC 2253), control characters escaped; the flags are a macro of macros.
static inline int copenssl_print_name(BIO *output, const X509_NAME *name) {
  return X509_NAME_print_ex(output, name, 0, XN_FLAG_RFC2253);
}

// Certificates of a chain; a stack is a macro's type.
static inline int copenssl_chain_count(const STACK_OF(X509) *chain) {
  return chain ? sk_X509_num(chain) : 0;
}

static inline X509 *copenssl_chain_element(const STACK_OF(X509) *chain, int index) {
  return sk_X509_value(chain, index);
}

// What the other side sent, or the chain that was built of it where one was.
static inline STACK_OF(X509) *copenssl_chain(X509_STORE_CTX *context) {
  STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(context);
  return sk_X509_num(chain) > 0 ? chain : X509_STORE_CTX_get0_untrusted(context);
}

#endif
