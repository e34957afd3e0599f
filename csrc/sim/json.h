/* Encodes JSON, and reads the members of received JSON. */
#ifndef BMWI_SIM_JSON_H
#define BMWI_SIM_JSON_H

#include "text.h"

#include <jansson.h>
#include <stdbool.h>

/* Without blanks; numbers have the fewest digits that read back as the same double. */
void bytes_json(struct bytes *out, const json_t *value);

/* A text from any bytes; invalid UTF-8 becomes U+FFFD. */
json_t *json_text(const char *data, size_t length);

/* NULL: an object with these members only; otherwise what is wrong, so that a typo shows. */
const char *unknown_member(const json_t *options, const char *const names[]);

bool json_flag(const json_t *options, const char *name, bool otherwise);
double json_number(const json_t *options, const char *name, double otherwise);
const char *json_word(const json_t *options, const char *name); /* NULL: no text */

/* A setting: `flag` or `number` is set, the other NULL. */
struct json_setting {
  const char *name;
  bool *flag;
  double *number;
  double least, most;
  double otherwise; /* what null sets it to */
};

/* Sets what the object names, nothing else and nothing at all if it is wrong. NULL or a problem.
   The rows end with one without a name; `more` are further names that the caller reads itself. */
const char *json_settings(const json_t *options, const struct json_setting rows[],
                          const char *const more[]);

#endif
