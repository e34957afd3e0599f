/*
** Words that appear in paths and forms: VINs and the names of types. Plain C, no I/O.
*/
#ifndef BMWI_WORD_H
#define BMWI_WORD_H

#include <stdbool.h>
#include <stddef.h>

#pragma GCC visibility push(hidden)

#define BMWI_VIN_LENGTH 17

/* Checks a VIN (17 letters and digits; test cars use I, O and Q, which ISO 3779 excludes) and
** writes it in upper case with a NUL to `out` (18 bytes). */
bool bmwi_vin(char *out, const char *text, size_t len);

/* Whether a string is a short word of capital letters, digits and '_'. */
bool bmwi_is_word(const char *text, size_t len);

#pragma GCC visibility pop

#endif
