#include "json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The length of the UTF-8 character that starts here; 0: invalid. */
static size_t utf8_length(const unsigned char *at, size_t left) {
  size_t length = at[0] < 0x80   ? 1
                  : at[0] < 0xC2 ? 0
                  : at[0] < 0xE0 ? 2
                  : at[0] < 0xF0 ? 3
                  : at[0] < 0xF5 ? 4
                                 : 0;
  if (length > left) {
    return 0;
  }
  for (size_t i = 1; i < length; i++) {
    if ((at[i] & 0xC0) != 0x80) {
      return 0;
    }
  }
  /* Overlong forms, surrogates and anything above U+10FFFF are invalid. */
  if ((at[0] == 0xE0 && at[1] < 0xA0) || (at[0] == 0xED && at[1] > 0x9F) ||
      (at[0] == 0xF0 && at[1] < 0x90) || (at[0] == 0xF4 && at[1] > 0x8F)) {
    return 0;
  }
  return length;
}

json_t *json_text(const char *data, size_t length) {
  struct bytes mended = {0};
  for (size_t i = 0; i < length;) {
    size_t size = utf8_length((const unsigned char *)data + i, length - i);
    if (size == 0) {
      bytes_text(&mended, "\xEF\xBF\xBD");
      i++;
    } else {
      bytes_add(&mended, data + i, size);
      i += size;
    }
  }
  json_t *text = json_stringn(mended.length > 0 ? mended.at : "", mended.length);
  bytes_free(&mended);
  return text;
}

/* How many digits its numbers need for each to read back as the same double. */
static int digits_needed(const json_t *value) {
  int most = 15;
  const char *name;
  json_t *part;
  size_t i;
  if (json_is_real(value)) {
    char text[40];
    double number = json_real_value(value);
    for (; most < 17; most++) {
      snprintf(text, sizeof text, "%.*g", most, number);
      double back = strtod(text, NULL);
      if (!(back < number) && !(back > number)) {
        break;
      }
    }
  }
  /* jansson's iteration takes a non-const object but does not change it. */
  json_object_foreach((json_t *)value, name, part) {
    int needed = digits_needed(part);
    most = needed > most ? needed : most;
  }
  json_array_foreach(value, i, part) {
    int needed = digits_needed(part);
    most = needed > most ? needed : most;
  }
  return most;
}

static int add_part(const char *data, size_t length, void *out) {
  bytes_add(out, data, length);
  return 0;
}

void bytes_json(struct bytes *out, const json_t *value) {
  size_t flags = JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(digits_needed(value));
  json_dump_callback(value, add_part, out, flags);
}

const char *unknown_member(const json_t *options, const char *const names[]) {
  static const struct json_setting none[] = {{0}};
  return json_settings(options, none, names);
}

bool json_flag(const json_t *options, const char *name, bool fallback) {
  const json_t *value = json_object_get(options, name);
  return value != NULL ? json_is_true(value) : fallback;
}

double json_number(const json_t *options, const char *name, double fallback) {
  const json_t *value = json_object_get(options, name);
  return json_is_number(value) ? json_number_value(value) : fallback;
}

const char *json_word(const json_t *options, const char *name) {
  return json_string_value(json_object_get(options, name));
}

static bool setting_good(const struct json_setting *row, const json_t *value) {
  double number = json_number_value(value);
  return json_is_null(value) ||
         (row->flag != NULL ? json_is_boolean(value)
                            : json_is_number(value) && number >= row->least && number <= row->most);
}

static const struct json_setting *find_setting(const struct json_setting rows[], const char *name) {
  for (; rows->name != NULL; rows++) {
    if (strcmp(rows->name, name) == 0) {
      return rows;
    }
  }
  return NULL;
}

const char *json_settings(const json_t *options, const struct json_setting rows[],
                          const char *const more[]) {
  static char problem[128];
  const char *name;
  json_t *value;
  if (!json_is_object(options)) {
    return "a JSON object is expected";
  }
  json_object_foreach((json_t *)options, name, value) {
    const struct json_setting *row = find_setting(rows, name);
    bool known = row != NULL;
    for (size_t i = 0; more != NULL && more[i] != NULL; i++) {
      known = known || strcmp(more[i], name) == 0;
    }
    if (!known || (row != NULL && !setting_good(row, value))) {
      snprintf(problem, sizeof problem, "%s %.80s", known ? "wrong value of" : "unknown member",
               name);
      return problem;
    }
  }
  json_object_foreach((json_t *)options, name, value) {
    const struct json_setting *row = find_setting(rows, name);
    if (row != NULL && row->flag != NULL) {
      *row->flag = json_is_null(value) ? row->fallback > 0 : json_is_true(value);
    } else if (row != NULL) {
      *row->number = json_is_null(value) ? row->fallback : json_number_value(value);
    }
  }
  return NULL;
}
