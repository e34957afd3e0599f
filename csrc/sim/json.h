/* Encodes JSON, and reads the members of received JSON. */
#ifndef BMWI_SIM_JSON_H
#define BMWI_SIM_JSON_H

#include "text.h"

#include <jansson.h>
#include <stdbool.h>

/* Compact; numbers have the fewest digits that read back as the same double. */
void bytes_json(struct bytes *out, const json_t *value);

/* A string from any bytes; invalid UTF-8 becomes U+FFFD. */
json_t *json_text(const char *data, size_t length);

/* NULL, or a problem unless it is an object with no other members, so that typos are reported. */
const char *unknown_member(const json_t *options, const char *const names[]);

bool json_flag(const json_t *options, const char *name, bool fallback);
double json_number(const json_t *options, const char *name, double fallback);
const char *json_word(const json_t *options, const char *name); /* NULL: not a string */

/* The place of a setting is in either `flag` or `number`; the other is NULL. */
struct json_setting {
  const char *name;
  bool *flag;
  double *number;
  double least, most;
  double fallback; /* what null sets it to */
};

/* Sets the members that the object has; if one is invalid, sets none. NULL or a problem.
   The rows end with a nameless one; `more` lists members that the caller reads itself. */
const char *json_settings(const json_t *options, const struct json_setting rows[],
                          const char *const more[]);

#endif
