/*
** SHA-256 of FIPS 180-4, for one text in memory. Plain C.
*/
#ifndef BMWI_SHA256_H
#define BMWI_SHA256_H

#include <stddef.h>

#pragma GCC visibility push(hidden)

#define BMWI_SHA256_SIZE 32

void bmwi_sha256(unsigned char digest[BMWI_SHA256_SIZE], const void *data, size_t len);

#pragma GCC visibility pop

#endif
