/* JSON as it goes out, and the members of what came in. */
#ifndef BMWI_SIM_JSON_H
#define BMWI_SIM_JSON_H

#include "text.h"

#include <jansson.h>
#include <stdbool.h>

/* Without blanks, numbers with the fewest digits that give the same doubles back. */
void bytes_json(struct bytes *out, const json_t *value);

/* A text of any bytes; what is not UTF-8 becomes U+FFFD. */
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
