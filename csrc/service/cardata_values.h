/*
** CarData's values: one parser for REST (strings) and the stream (numbers, booleans, strings), for
** units and for timestamps. Plain C, without memory of its own: the caller owns the strings.
*/
#ifndef BMWI_CARDATA_VALUES_H
#define BMWI_CARDATA_VALUES_H

#include <stdbool.h>
#include <stddef.h>

#pragma GCC visibility push(hidden)

typedef enum bmwi_value_kind {
  BMWI_VALUE_NONE,
  BMWI_VALUE_NUMBER,
  BMWI_VALUE_BOOLEAN,
  BMWI_VALUE_TEXT
} bmwi_value_kind;

/* Why there is no value. Each reason has a word for programs and a sentence for users. */
typedef enum bmwi_reason {
  BMWI_REASON_NONE,
  BMWI_REASON_ABSENT,
  BMWI_REASON_REFUSED,
  BMWI_REASON_LEFT_OUT,
  BMWI_REASON_NULL,
  BMWI_REASON_NOT_AVAILABLE,
  BMWI_REASON_INVALID,
  BMWI_REASON_UNKNOWN,
  BMWI_REASON_UNREADABLE,
  BMWI_REASON_UNIT,
  BMWI_REASON_ZERO,
  BMWI_REASON_NOT_FITTED,
  BMWI_REASON_COMBINED,
  BMWI_REASON_UNPAIRED,
  BMWI_REASONS
} bmwi_reason;

typedef struct bmwi_value {
  bmwi_value_kind kind;
  bmwi_reason reason; /* if there is no value */
  double number;
  bool boolean;
  const char *text;
  size_t len;
} bmwi_value;

const char *bmwi_reason_word(bmwi_reason reason);
const char *bmwi_reason_sentence(bmwi_reason reason);
bmwi_reason bmwi_reason_named(const char *word); /* BMWI_REASON_NONE: no such word */

/* Reads a descriptor's text value: a number, a boolean, no value, or the text itself. */
void bmwi_value_read(bmwi_value *value, const char *descriptor, const char *text, size_t len);
/* The same for a number; one that is not finite is no value. */
void bmwi_value_number(bmwi_value *value, double number);

/* The canonical spelling of a unit ("km", "%", "l", "min", ...); NULL for an unknown one. */
const char *bmwi_unit(const char *text, size_t len);

/* A timestamp in seconds since 1970, from ISO 8601 (UTC if it has no zone) or a number of seconds
** or milliseconds. */
bool bmwi_time(double *epoch, const char *text, size_t len);
bool bmwi_time_number(double *epoch, double number);

/* "2015-10-30T17:45:04+0000", the classic service's format; false outside the years 1970 to
** 9999. */
#define BMWI_TIME_SIZE 25
bool bmwi_time_text(char out[BMWI_TIME_SIZE], double epoch);

/* Whether BMW treats two words as equal: ignores case, and '-' equals '_'. */
bool bmwi_same_word(const char *word, const char *text, size_t len);

#pragma GCC visibility pop

#endif
