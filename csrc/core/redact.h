/*
** Redaction: takes secrets out of texts of strangers, however they are spelt. Plain C, no I/O.
*/
#ifndef BMWI_REDACT_H
#define BMWI_REDACT_H

#include <stddef.h>

#pragma GCC visibility push(hidden)

/* Blots out a secret: as it is, escaped for an URL, a form, JSON, C or HTML, or inside base64.
** One shorter than `least` is left alone: it would blot out words that happen to match. */
void bmwi_redact(char *text, const char *secret, size_t least);

#pragma GCC visibility pop

#endif
