/*
** OpenSSL's base64 of 1 MiB. usage: base64 encode|decode
*/
#include <openssl/evp.h>

#include "worker.h"

#define SIZE (1024 * 1024)

static unsigned char bytes[SIZE + 4], text[SIZE / 3 * 4 + 8];
static int length;

static void encode(long n) {
  for (long i = 0; i < n; i++) length = EVP_EncodeBlock(text, bytes, SIZE);
}

static void decode(long n) {
  for (long i = 0; i < n; i++) check(EVP_DecodeBlock(bytes, text, length) > 0, "EVP_DecodeBlock");
}

int main(int argc, char **argv) {
  unsigned x = 1;
  check(argc == 2, "usage: base64 encode|decode");
  for (int i = 0; i < SIZE; i++) bytes[i] = (unsigned char)((x = x * 1664525U + 1013904223U) >> 24);
  encode(1);
  work(RUSAGE_SELF, strcmp(argv[1], "encode") == 0 ? encode : decode, NULL);
  return 0;
}
