/*
** Bytes: a growable buffer that knows its maximum from birth, percent-encoding
** into it, and the wiping of memory that held a secret. Plain C.
*/
#ifndef BMWI_BUFFER_H
#define BMWI_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

#pragma GCC visibility push(hidden)

typedef struct bmwi_buffer {
  char *data; /* always followed by a NUL once anything was appended */
  size_t len, cap;
  size_t max;  /* appending beyond this fails */
  bool full;   /* the last failure was the maximum, not memory */
  bool secret; /* wiped whenever memory is given back */
} bmwi_buffer;

/* Starts an empty buffer that never holds more than `max` bytes. */
void bmwi_buffer_init(bmwi_buffer *b, size_t max, bool secret);

/* Makes room for `more` bytes; false as below. */
bool bmwi_buffer_reserve(bmwi_buffer *b, size_t more);

/* Appends; false leaves the buffer as it was (`full` says why). */
bool bmwi_buffer_add(bmwi_buffer *b, const void *data, size_t len);
bool bmwi_buffer_text(bmwi_buffer *b, const char *text);

/* Percent-encodes all but RFC 3986's unreserved characters. `form` writes a
** blank as '+', as application/x-www-form-urlencoded does. */
bool bmwi_buffer_escape(bmwi_buffer *b, const char *data, size_t len, bool form);

/* Adds "name=value" with both sides escaped. In a `form`, which is all that the buffer holds, '&'
** stands before all but the first pair, and a blank is '+' (application/x-www-form-urlencoded). */
bool bmwi_buffer_pair(bmwi_buffer *b, const char *name, const char *value, size_t len, bool form);
/* The same for a text in a form. */
bool bmwi_buffer_field(bmwi_buffer *form, const char *name, const char *value);

void bmwi_buffer_clear(bmwi_buffer *b); /* empty, memory kept */
void bmwi_buffer_free(bmwi_buffer *b);  /* empty, memory given back */

/* Copies as much of a text as there is room for, no character of UTF-8 in part. */
void bmwi_cut(char *out, size_t size, const char *text);

/* Writes a finite number as the shortest decimal that reads back as the same one, or with
** so many places, with a point whatever the locale. */
#define BMWI_DECIMAL 40
void bmwi_decimal(char out[BMWI_DECIMAL], double value);
void bmwi_decimal_places(char out[BMWI_DECIMAL], double value, int places);

/* Overwrites memory in a way the compiler may not leave out. */
void bmwi_wipe(void *p, size_t len);

/* Copies a text; NULL stays NULL. bmwi_drop wipes, frees and sets to NULL. */
char *bmwi_copy(const char *text);
void bmwi_drop(char **text);

#pragma GCC visibility pop

#endif
