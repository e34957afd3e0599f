/*
** Redaction: removes secrets from messages, however they are encoded. Plain C, no I/O.
*/
#ifndef BMWI_REDACT_H
#define BMWI_REDACT_H

#include <stddef.h>

#pragma GCC visibility push(hidden)

/* Blanks out a secret: unchanged, escaped for a URL, a form, JSON, C or HTML, or inside base64. A
** secret shorter than `least` is ignored: it could blank out ordinary words. */
void bmwi_redact(char *text, const char *secret, size_t least);

#pragma GCC visibility pop

#endif
