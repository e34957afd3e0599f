/* SHA-256 (FIPS 180-4) and base64url without padding (RFC 4648 section 5). */
#ifndef BMWI_SIM_SHA256_H
#define BMWI_SIM_SHA256_H

#include "text.h"

void sha256(const void *data, size_t length, unsigned char out[32]);
void add_base64url(struct bytes *out, const void *data, size_t length);

#endif
