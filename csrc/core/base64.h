/*
** Base64 of RFC 4648 section 4: padded, no line breaks. Plain C.
*/
#ifndef BMWI_BASE64_H
#define BMWI_BASE64_H

#include <stdbool.h>
#include <stddef.h>

#pragma GCC visibility push(hidden)

/* The maximum number of bytes that encoding or decoding `len` bytes needs, without a NUL. */
#define BMWI_BASE64_ENCODED(len) (((len) + 2) / 3 * 4)
#define BMWI_BASE64_DECODED(len) ((len) / 4 * 3)

/* Writes BMWI_BASE64_ENCODED(len) characters, no NUL. */
void bmwi_base64_encode(char *out, const void *data, size_t len);

/* RFC 4648 section 5 without padding, as PKCE (RFC 7636) requires. Needs the same space; returns
** the number of characters written; no NUL. */
size_t bmwi_base64url_encode(char *out, const void *data, size_t len);

/* Strict: false for an invalid character, bad padding or set trailing bits. `*written` is the
** number of bytes at `out`. */
bool bmwi_base64_decode(unsigned char *out, size_t *written, const char *text, size_t len);

#pragma GCC visibility pop

#endif
