// sign [SECONDS]: computes the same signature as the Swift benchmark in C, with the low-level SHA-256 of libcrypto.
//
// Encodes the topic and writes all texts for each signature, but reuses the signing key. Prints a line of JSON with the microseconds
// per signature (the median of five runs). Exits with 1 if the signature isn't the expected one.
#include "../measuring.h"

#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>
#include <string.h>

static const char secret[] = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", day[] = "20240501", now[] = "20240501T123456Z",
  region[] = "us-east-1", service[] = "iotdata", host[] = "data-ats.iot.us-east-1.amazonaws.com",
  topic[] = "$aws/things/My Thing:1/defender/metrics/json",
  token[] = "IQoJb3JpZ2luX2VjEXAMPLE//////////wEaCXVzLWVhc3QtMSJHMEUCIQ+/abc+def==",
  expected[] = "f5451ce1c81428a5174d243b8da51b3bf79981be4b08199e9dc1b4b770e6d58c";
static unsigned char body[5120];

static void writeHex(const unsigned char digest[32], char text[65]) {
  static const char digits[] = "0123456789abcdef";
  for (int index = 0; index < 32; index++) {
    text[2 * index] = digits[digest[index] >> 4];
    text[2 * index + 1] = digits[digest[index] & 15];
  }
  text[64] = 0;
}

static void encode(const char *text, int keepsSlashes, char *encoded) {
  static const char digits[] = "0123456789ABCDEF";
  for (; *text; text++) {
    unsigned char byte = (unsigned char)*text;
    int isLetter = (byte | 32) >= 'a' && (byte | 32) <= 'z';
    if (isLetter || (byte >= '0' && byte <= '9') || strchr("-._~", byte) || (keepsSlashes && byte == '/')) {
      *encoded++ = (char)byte;
    } else {
      *encoded++ = '%';
      *encoded++ = digits[byte >> 4];
      *encoded++ = digits[byte & 15];
    }
  }
  *encoded = 0;
}

static void hash(const void *first, size_t firstSize, const void *second, size_t secondSize, unsigned char digest[32]) {
  SHA256_CTX context;
  SHA256_Init(&context);
  SHA256_Update(&context, first, firstSize);
  if (secondSize) SHA256_Update(&context, second, secondSize);
  SHA256_Final(digest, &context);
}

// HMAC (RFC 2104) with a key of at most one block.
static void authenticate(const void *key, size_t keySize, const void *data, size_t size, unsigned char code[32]) {
  unsigned char block[64], inner[32];
  memset(block, 0x36, sizeof block);
  for (size_t index = 0; index < keySize; index++) block[index] ^= ((const unsigned char *)key)[index];
  hash(block, sizeof block, data, size, inner);
  for (size_t index = 0; index < sizeof block; index++) block[index] ^= 0x36 ^ 0x5C;
  hash(block, sizeof block, inner, sizeof inner, code);
}

static void deriveKey(unsigned char key[32]) {
  char start[64];
  int size = snprintf(start, sizeof start, "AWS4%s", secret);
  authenticate(start, (size_t)size, day, strlen(day), key);
  authenticate(key, 32, region, strlen(region), key);
  authenticate(key, 32, service, strlen(service), key);
  authenticate(key, 32, "aws4_request", 12, key);
}

static void sign(const unsigned char key[32], char authorization[512]) {
  char label[256], path[512], request[2048], toSign[256], hex[65];
  unsigned char digest[32];
  encode(topic, 0, label);
  encode(label, 1, path);
  hash(body, sizeof body, NULL, 0, digest);
  writeHex(digest, hex);
  int size = snprintf(request, sizeof request,
    "POST\n/topics/%s\nqos=1\nhost:%s\nx-amz-date:%s\nx-amz-security-token:%s\n\nhost;x-amz-date;x-amz-security-token\n%s",
    path, host, now, token, hex);
  hash(request, (size_t)size, NULL, 0, digest);
  writeHex(digest, hex);
  size = snprintf(toSign, sizeof toSign, "AWS4-HMAC-SHA256\n%s\n%s/%s/%s/aws4_request\n%s", now, day, region, service, hex);
  authenticate(key, 32, toSign, (size_t)size, digest);
  writeHex(digest, hex);
  snprintf(authorization, 512,
    "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/%s/%s/%s/aws4_request, "
    "SignedHeaders=host;x-amz-date;x-amz-security-token, Signature=%s", day, region, service, hex);
}

int main(int count, char **arguments) {
  double whole = count > 1 ? atof(arguments[1]) : 1, times[5];
  unsigned char key[32];
  char authorization[512];
  for (size_t index = 0; index < sizeof body; index++) body[index] = (unsigned char)(index % 251);
  deriveKey(key);
  sign(key, authorization);
  if (!strstr(authorization, expected)) return 1;
  for (int part = 0; part < 5; part++) {
    double start = microseconds(CLOCK_MONOTONIC), time = 0;
    long signatures = 0;
    for (; time < whole / 5 * 1e6; time = microseconds(CLOCK_MONOTONIC) - start) {
      for (int index = 0; index < 64; index++) sign(key, authorization);
      signatures += 64;
    }
    times[part] = time / signatures;
  }
  qsort(times, 5, sizeof *times, byValue);
  printf("{\"us\":%f}\n", times[2]);
  return 0;
}
