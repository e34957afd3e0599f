/*
** Bytes: see buffer.h. All growing memory of the plain C code is managed here.
*/
#include "core/buffer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A volatile pointer, so that the compiler cannot optimise the call away. */
static void *(*const volatile set)(void *, int, size_t) = memset;

void bmwi_wipe(void *p, size_t len) { set(p, 0, len); }

char *bmwi_copy(const char *text) {
  if (text == NULL) return NULL;
  size_t size = strlen(text) + 1;
  char *copy = malloc(size);
  if (copy != NULL) memcpy(copy, text, size);
  return copy;
}

void bmwi_drop(char **text) {
  if (*text == NULL) return;
  bmwi_wipe(*text, strlen(*text));
  free(*text);
  *text = NULL;
}

void bmwi_buffer_init(bmwi_buffer *b, size_t max, bool secret) {
  memset(b, 0, sizeof *b);
  b->max = max;
  b->secret = secret;
}

void bmwi_buffer_clear(bmwi_buffer *b) {
  if (b->secret && b->data != NULL) bmwi_wipe(b->data, b->cap);
  b->len = 0;
  b->full = false;
}

void bmwi_buffer_free(bmwi_buffer *b) {
  bmwi_buffer_clear(b);
  free(b->data);
  b->data = NULL;
  b->cap = 0;
}

/* Makes room for `more` bytes and a NUL. A secret is copied by hand, because realloc would leave
** the old copy in memory. */
bool bmwi_buffer_reserve(bmwi_buffer *b, size_t more) {
  if (more > b->max - b->len) {
    b->full = true;
    return false;
  }
  size_t need = b->len + more + 1;
  if (need <= b->cap) return true;
  size_t cap = b->cap < 64 ? 64 : b->cap;
  while (cap < need) cap *= 2;
  if (cap > b->max + 1) cap = b->max + 1;
  char *data;
  if (b->secret) {
    data = malloc(cap);
    if (data != NULL && b->data != NULL) {
      memcpy(data, b->data, b->len);
      bmwi_wipe(b->data, b->cap);
      free(b->data);
    }
  } else {
    data = realloc(b->data, cap);
  }
  if (data == NULL) return false;
  b->data = data;
  b->cap = cap;
  return true;
}

bool bmwi_buffer_add(bmwi_buffer *b, const void *data, size_t len) {
  if (!bmwi_buffer_reserve(b, len)) return false;
  if (len > 0) memcpy(b->data + b->len, data, len);
  b->len += len;
  b->data[b->len] = '\0';
  return true;
}

bool bmwi_buffer_text(bmwi_buffer *b, const char *text) {
  return bmwi_buffer_add(b, text, strlen(text));
}

static bool unreserved(unsigned char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

/* Percent-encodes everything except the unreserved characters of RFC 3986. */
bool bmwi_buffer_escape(bmwi_buffer *b, const char *data, size_t len, bool form) {
  static const char hex[] = "0123456789ABCDEF";
  size_t before = b->len;
  for (size_t i = 0, plain; i<len; i += plain> 0 ? plain : 1) {
    unsigned char c = (unsigned char)data[i];
    char out[3] = {'%', hex[c >> 4], hex[c & 15]};
    bool ok;
    for (plain = 0; i + plain < len && unreserved((unsigned char)data[i + plain]);) plain++;
    if (plain > 0) ok = bmwi_buffer_add(b, &data[i], plain);
    else if (form && c == ' ') ok = bmwi_buffer_add(b, "+", 1);
    else ok = bmwi_buffer_add(b, out, 3);
    if (!ok) {
      b->len = before;
      return false;
    }
  }
  return true;
}

bool bmwi_buffer_pair(bmwi_buffer *b, const char *name, const char *value, size_t len, bool form) {
  return (!form || b->len == 0 || bmwi_buffer_add(b, "&", 1)) &&
         bmwi_buffer_escape(b, name, strlen(name), form) && bmwi_buffer_add(b, "=", 1) &&
         bmwi_buffer_escape(b, value, len, form);
}

bool bmwi_buffer_field(bmwi_buffer *form, const char *name, const char *value) {
  return bmwi_buffer_pair(form, name, value, strlen(value), true);
}

size_t bmwi_utf8_length(const char *text, size_t left) {
  const unsigned char *p = (const unsigned char *)text;
  size_t len = *p < 0x80 ? 1 : *p < 0xC2 ? 0 : *p < 0xE0 ? 2 : *p < 0xF0 ? 3 : *p < 0xF5 ? 4 : 0;
  if (len == 0 || len > left) return 0;
  for (size_t i = 1; i < len; i++)
    if ((p[i] & 0xC0) != 0x80) return 0;
  bool bad = (*p == 0xE0 && p[1] < 0xA0) || (*p == 0xED && p[1] > 0x9F) ||
             (*p == 0xF0 && p[1] < 0x90) || (*p == 0xF4 && p[1] > 0x8F);
  return bad ? 0 : len;
}

void bmwi_cut(char *out, size_t size, const char *text) {
  size_t len = strlen(text);
  if (len >= size) {
    len = size - 1;
    /* Moves back to the start of a character that the cut would split. */
    size_t start = len;
    while (start > 0 && len - start < 3 && ((unsigned char)text[start] & 0xC0) == 0x80) start--;
    if ((unsigned char)text[start] >= 0xC0) len = start;
  }
  memmove(out, text, len);
  out[len] = '\0';
}

/* A locale's decimal point may have several bytes. */
static void put_point(char *text) {
  char *to = text;
  for (const char *p = text; *p != '\0'; p++) {
    if (strchr("+-.0123456789e", *p) != NULL) *to++ = *p;
    else if (to > text && to[-1] != '.') *to++ = '.';
  }
  *to = '\0';
}

void bmwi_decimal(char out[BMWI_DECIMAL], double value) {
  const double most = 9007199254740992.0; /* whole numbers below it are exact */
  if (value > -most && value < most && value == (double)(long long)value) {
    snprintf(out, BMWI_DECIMAL, "%.0f", value);
    return;
  }
  double size = value < 0 ? -value : value;
  bool tiny = size >= 1e-9 && size < 1e-4; /* "%g" would write an exponent */
  for (int digits = tiny ? 5 : 15; digits <= (tiny ? 26 : 17); digits++) {
    snprintf(out, BMWI_DECIMAL, tiny ? "%.*f" : "%.*g", digits, value);
    if (strtod(out, NULL) == value) break;
  }
  put_point(out);
}

void bmwi_decimal_places(char out[BMWI_DECIMAL], double value, int places) {
  snprintf(out, BMWI_DECIMAL, "%.*f", places, value);
  put_point(out);
}
