/* Growing bytes, JSON text and form fields. Numbers are written with the fewest digits that
   give the same double back, since jansson would turn 16.6 into 16.600000000000001. */
#include "sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *must_alloc(size_t size) {
  void *memory = calloc(1, size > 0 ? size : 1);
  if (memory == NULL) {
    fputs("bmwi-sim: out of memory\n", stderr);
    abort();
  }
  return memory;
}

char *must_copy(const char *text, size_t length) {
  char *copy = must_alloc(length + 1);
  memcpy(copy, text, length);
  return copy;
}

static void make_room(struct bytes *out, size_t more) {
  size_t need = out->length + more + 1;
  if (need <= out->room) {
    return;
  }
  size_t room = out->room < 256 ? 256 : out->room;
  while (room < need) {
    room *= 2;
  }
  char *at = realloc(out->at, room);
  if (at == NULL) {
    fputs("bmwi-sim: out of memory\n", stderr);
    abort();
  }
  out->at = at;
  out->room = room;
}

void bytes_add(struct bytes *out, const void *data, size_t length) {
  make_room(out, length);
  if (length > 0) {
    memcpy(out->at + out->length, data, length);
  }
  out->length += length;
  out->at[out->length] = '\0';
}

void bytes_text(struct bytes *out, const char *text) {
  bytes_add(out, text, strlen(text));
}

void bytes_format(struct bytes *out, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  /* clang-tidy 14 does not see va_start in the second and later files of one run. */
  /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized) */
  int length = vsnprintf(NULL, 0, format, arguments);
  va_end(arguments);
  if (length < 0) {
    return;
  }
  make_room(out, (size_t)length);
  va_start(arguments, format);
  vsnprintf(out->at + out->length, (size_t)length + 1, format, arguments);
  va_end(arguments);
  out->length += (size_t)length;
}

void bytes_free(struct bytes *out) {
  free(out->at);
  memset(out, 0, sizeof *out);
}

/* The length of the UTF-8 character that starts here, 0 when it is not one. */
static size_t utf8_length(const unsigned char *at, size_t left) {
  size_t length = at[0] < 0x80 ? 1 : at[0] < 0xC2 ? 0 : at[0] < 0xE0 ? 2 : at[0] < 0xF0 ? 3
                : at[0] < 0xF5 ? 4 : 0;
  if (length > left) {
    return 0;
  }
  for (size_t i = 1; i < length; i++) {
    if ((at[i] & 0xC0) != 0x80) {
      return 0;
    }
  }
  /* Overlong forms, surrogates and what lies above U+10FFFF are no characters. */
  if ((at[0] == 0xE0 && at[1] < 0xA0) || (at[0] == 0xED && at[1] > 0x9F) ||
      (at[0] == 0xF0 && at[1] < 0x90) || (at[0] == 0xF4 && at[1] > 0x8F)) {
    return 0;
  }
  return length;
}

void bytes_json_string(struct bytes *out, const char *data, size_t length) {
  const unsigned char *at = (const unsigned char *)data;
  bytes_add(out, "\"", 1);
  for (size_t i = 0; i < length;) {
    if (at[i] == '"' || at[i] == '\\') {
      char pair[2] = {'\\', (char)at[i]};
      bytes_add(out, pair, 2);
      i++;
    } else if (at[i] == '\n' || at[i] == '\r' || at[i] == '\t') {
      bytes_text(out, at[i] == '\n' ? "\\n" : at[i] == '\r' ? "\\r" : "\\t");
      i++;
    } else if (at[i] < 0x20) {
      bytes_format(out, "\\u%04x", at[i]);
      i++;
    } else {
      size_t size = utf8_length(at + i, length - i);
      if (size == 0) {
        bytes_text(out, "\xEF\xBF\xBD");
        i++;
      } else {
        bytes_add(out, at + i, size);
        i += size;
      }
    }
  }
  bytes_add(out, "\"", 1);
}

static void add_real(struct bytes *out, double value) {
  char text[40];
  for (int digits = 15; digits <= 17; digits++) {
    snprintf(text, sizeof text, "%.*g", digits, value);
    double back = strtod(text, NULL);
    if (!(back < value) && !(back > value)) {
      break;
    }
  }
  bytes_text(out, text);
  if (strpbrk(text, ".e") == NULL) {
    bytes_text(out, ".0");
  }
}

void bytes_json(struct bytes *out, const json_t *value) {
  switch (json_typeof(value)) {
  case JSON_OBJECT: {
    const char *name;
    json_t *member;
    const char *comma = "{";
    /* jansson's iteration takes a non-const object but does not change it. */
    json_object_foreach((json_t *)value, name, member) {
      bytes_text(out, comma);
      bytes_json_string(out, name, strlen(name));
      bytes_text(out, ":");
      bytes_json(out, member);
      comma = ",";
    }
    bytes_text(out, *comma == '{' ? "{}" : "}");
    break;
  }
  case JSON_ARRAY:
    bytes_text(out, "[");
    for (size_t i = 0; i < json_array_size(value); i++) {
      if (i > 0) {
        bytes_text(out, ",");
      }
      bytes_json(out, json_array_get(value, i));
    }
    bytes_text(out, "]");
    break;
  case JSON_STRING:
    bytes_json_string(out, json_string_value(value), json_string_length(value));
    break;
  case JSON_INTEGER:
    bytes_format(out, "%lld", (long long)json_integer_value(value));
    break;
  case JSON_REAL:
    add_real(out, json_real_value(value));
    break;
  case JSON_TRUE:
    bytes_text(out, "true");
    break;
  case JSON_FALSE:
    bytes_text(out, "false");
    break;
  case JSON_NULL:
    bytes_text(out, "null");
    break;
  }
}

static int hex_digit(char c) {
  return c >= '0' && c <= '9' ? c - '0'
       : c >= 'a' && c <= 'f' ? c - 'a' + 10
       : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
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

void fields_decode(struct fields *out, const char *text, size_t length) {
  const size_t most = 1000;
  size_t room = 0;
  for (size_t start = 0; start < length && out->count < most;) {
    const char *end = memchr(text + start, '&', length - start);
    size_t size = end != NULL ? (size_t)(end - text) - start : length - start;
    const char *equals = size > 0 ? memchr(text + start, '=', size) : NULL;
    size_t name = equals != NULL ? (size_t)(equals - text) - start : size;
    if (size > 0) {
      if (out->count == room) {
        room = room == 0 ? 8 : room * 2;
        struct field *list = must_alloc(room * sizeof *list);
        if (out->count > 0) {
          memcpy(list, out->list, out->count * sizeof *list);
        }
        free(out->list);
        out->list = list;
      }
      struct field *field = &out->list[out->count++];
      size_t ignored;
      field->name = decode(text + start, name, &ignored);
      size_t skip = name < size ? name + 1 : size;
      field->value = decode(text + start + skip, size - skip, &field->length);
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
