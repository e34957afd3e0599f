#include "form.h"

#include "text.h"

#include <stdlib.h>
#include <string.h>

static int hex_digit(char c) {
  return c >= '0' && c <= '9'   ? c - '0'
         : c >= 'a' && c <= 'f' ? c - 'a' + 10
         : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                : -1;
}

static char *decode(const char *text, size_t length, size_t *decoded) {
  char *out = must_alloc(length + 1);
  size_t n = 0;
  for (size_t i = 0; i < length; i++) {
    if (text[i] == '+') {
      out[n++] = ' ';
    } else if (text[i] == '%' && i + 2 < length && hex_digit(text[i + 1]) >= 0 &&
               hex_digit(text[i + 2]) >= 0) {
      out[n++] = (char)(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
      i += 2;
    } else {
      out[n++] = text[i];
    }
  }
  *decoded = n;
  return out;
}

void fields_add(struct fields *fields, char *name, char *value, size_t length) {
  if (fields->count == fields->room) {
    fields->room = fields->room == 0 ? 8 : fields->room * 2;
    struct field *list = must_alloc(fields->room * sizeof *list);
    if (fields->count > 0) {
      memcpy(list, fields->list, fields->count * sizeof *list);
    }
    free(fields->list);
    fields->list = list;
  }
  fields->list[fields->count++] = (struct field){.name = name, .value = value, .length = length};
}

void fields_decode(struct fields *out, const char *text, size_t length) {
  const size_t most = 1000;
  for (size_t start = 0; start < length && out->count < most;) {
    const char *end = memchr(text + start, '&', length - start);
    size_t size = end != NULL ? (size_t)(end - text) - start : length - start;
    const char *equals = size > 0 ? memchr(text + start, '=', size) : NULL;
    size_t name = equals != NULL ? (size_t)(equals - text) - start : size;
    if (size > 0) {
      size_t skip = name < size ? name + 1 : size, ignored, decoded;
      char *key = decode(text + start, name, &ignored);
      char *value = decode(text + start + skip, size - skip, &decoded);
      fields_add(out, key, value, decoded);
    }
    start += size + 1;
  }
}

const struct field *field_find(const struct fields *fields, const char *name) {
  for (size_t i = 0; i < fields->count; i++) {
    if (strcmp(fields->list[i].name, name) == 0) {
      return &fields->list[i];
    }
  }
  return NULL;
}

const char *field_value(const struct fields *fields, const char *name) {
  const struct field *field = field_find(fields, name);
  return field != NULL ? field->value : NULL;
}

bool field_repeated(const struct fields *fields) {
  for (size_t i = 0; i < fields->count; i++) {
    if (field_find(fields, fields->list[i].name) != &fields->list[i]) {
      return true;
    }
  }
  return false;
}

void fields_free(struct fields *fields) {
  for (size_t i = 0; i < fields->count; i++) {
    free(fields->list[i].name);
    free(fields->list[i].value);
  }
  free(fields->list);
  memset(fields, 0, sizeof *fields);
}
