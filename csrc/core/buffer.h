/*
** Bytes: a growable buffer with a fixed maximum, percent-encoding into it, and wiping memory that
** held a secret. Plain C.
*/
#ifndef BMWI_BUFFER_H
#define BMWI_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

#pragma GCC visibility push(hidden)

typedef struct bmwi_buffer {
  char *data; /* always followed by a NUL once anything has been appended */
  size_t len, cap;
  size_t max;  /* appending beyond this fails */
  bool full;   /* the last failure was due to the maximum, not memory */
  bool secret; /* wiped whenever memory is freed */
} bmwi_buffer;

/* Starts an empty buffer that never holds more than `max` bytes. */
void bmwi_buffer_init(bmwi_buffer *b, size_t max, bool secret);

/* Makes room for `more` bytes; false as below. */
bool bmwi_buffer_reserve(bmwi_buffer *b, size_t more);

/* Appends; false leaves the buffer as it was (`full` says why). */
bool bmwi_buffer_add(bmwi_buffer *b, const void *data, size_t len);
bool bmwi_buffer_text(bmwi_buffer *b, const char *text);

/* Percent-encodes everything except the unreserved characters of RFC 3986. With `form` a space
** becomes '+', as in application/x-www-form-urlencoded. */
bool bmwi_buffer_escape(bmwi_buffer *b, const char *data, size_t len, bool form);

/* Adds "name=value" with both sides escaped. A `form` must be the buffer's only content: pairs are
** separated by '&', and a space becomes '+' (application/x-www-form-urlencoded). */
bool bmwi_buffer_pair(bmwi_buffer *b, const char *name, const char *value, size_t len, bool form);
/* The same, for a string in a form. */
bool bmwi_buffer_field(bmwi_buffer *form, const char *name, const char *value);

void bmwi_buffer_clear(bmwi_buffer *b); /* empty, memory kept */
void bmwi_buffer_free(bmwi_buffer *b);  /* empty, memory freed */

/* The length of the UTF-8 sequence at `text`, within `left` bytes; 0: it is invalid (RFC 3629). */
size_t bmwi_utf8_length(const char *text, size_t left);

/* Copies as much of a string as fits, without splitting a UTF-8 character. */
void bmwi_cut(char *out, size_t size, const char *text);

/* Writes a finite number as the shortest decimal that reads back as the same number, or with a
** fixed number of decimal places; always with a point, whatever the locale. */
#define BMWI_DECIMAL 40
void bmwi_decimal(char out[BMWI_DECIMAL], double value);
void bmwi_decimal_places(char out[BMWI_DECIMAL], double value, int places);

/* Overwrites memory in a way that the compiler cannot optimise away. */
void bmwi_wipe(void *p, size_t len);

/* Copies a string; NULL stays NULL. bmwi_drop wipes, frees and sets to NULL. */
char *bmwi_copy(const char *text);
void bmwi_drop(char **text);

#pragma GCC visibility pop

#endif
