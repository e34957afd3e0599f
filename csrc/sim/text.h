/* Allocation that aborts on failure, growable buffers, random letters. */
#ifndef BMWI_SIM_TEXT_H
#define BMWI_SIM_TEXT_H

#include <stddef.h>

struct bytes {
  char *at; /* NUL-terminated (not counted in the length); NULL while empty */
  size_t length;
  size_t room;
};

void *must_alloc(size_t size); /* zeroed; never NULL */
char *must_copy(const char *text, size_t length);

void bytes_add(struct bytes *out, const void *data, size_t length);
void bytes_text(struct bytes *out, const char *text);
void bytes_format(struct bytes *out, const char *format, ...)
  __attribute__((format(printf, 2, 3), nonnull(2)));
void bytes_free(struct bytes *out);

void random_text(char *out, size_t length); /* letters and digits, NUL-terminated */

#endif
