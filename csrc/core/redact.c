/*
** Redaction: see redact.h.
*/
#include "core/redact.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "core/base64.h"
#include "core/buffer.h"

/* How a byte may be written in a server's text: unchanged, or escaped for a URL (once or twice), a
** form, JSON, C or HTML. */
static const struct {
  const char *start;
  int base, digits; /* of the following number; 0 digits: any number, up to a ';' */
} escapes[] = {
  {"%25", 16, 2}, {"%", 16, 2}, {"\\u00", 16, 2}, {"\\x", 16, 2}, {"&#x", 16, 0}, {"&#", 10, 0},
};
static const struct {
  const char *text;
  char byte;
} entities[] = {
  {"&quot;", '"'}, {"&amp;", '&'}, {"&apos;", '\''}, {"&lt;", '<'}, {"&gt;", '>'},
};

/* The possible readings of the first part of a secret: the length of each in the text. */
#define MAX_READINGS 16
typedef struct readings {
  size_t count, lengths[MAX_READINGS];
} readings;

static void add_reading(readings *r, size_t length) {
  for (size_t i = 0; i < r->count; i++)
    if (r->lengths[i] == length) return;
  if (r->count < MAX_READINGS) r->lengths[r->count++] = length;
}

/* The length of this row's escape at `p` if it represents `byte`, or 0. */
static size_t escaped(const char *p, size_t row, unsigned char byte) {
  size_t at = strlen(escapes[row].start), digits = 0;
  char number[8], *end;
  if (strncmp(p, escapes[row].start, at) != 0) return 0;
  size_t most = escapes[row].digits > 0 ? (size_t)escapes[row].digits : sizeof number - 1;
  while (digits < most && isxdigit((unsigned char)p[at + digits])) {
    number[digits] = p[at + digits];
    digits++;
  }
  number[digits] = '\0';
  if (digits == 0 || strtol(number, &end, escapes[row].base) != byte || *end != '\0') return 0;
  if (escapes[row].digits > 0) return digits == most ? at + digits : 0;
  return p[at + digits] == ';' ? at + digits + 1 : 0;
}

/* Adds each length that `byte` may have at `p`, relative to `start`. */
static void read_byte(readings *r, const char *p, size_t start, unsigned char byte) {
  p += start;
  if ((unsigned char)*p == byte || (*p == '+' && byte == ' ')) add_reading(r, start + 1);
  for (size_t i = 0; i < sizeof entities / sizeof entities[0]; i++) {
    size_t len = strlen(entities[i].text);
    if (entities[i].byte == (char)byte && strncmp(p, entities[i].text, len) == 0)
      add_reading(r, start + len);
  }
  for (size_t i = 0; i < sizeof escapes / sizeof escapes[0]; i++) {
    size_t len = escaped(p, i, byte);
    if (len > 0) add_reading(r, start + len);
  }
  size_t slashes = strspn(p, "\\"); /* escaped, perhaps several times */
  if (byte == '\\') {
    for (size_t len = 2; len <= slashes; len *= 2) add_reading(r, start + len);
  } else if (slashes > 0 && (unsigned char)p[slashes] == byte) {
    add_reading(r, start + slashes + 1);
  }
}

/* The length of the text at `p` that spells `secret`, or 0. Follows all possible readings: "%25"
** may be an escaped '%', or just these three bytes. */
static size_t spelt(const char *p, const char *secret, size_t len) {
  readings now = {1, {0}};
  for (size_t i = 0; i < len && now.count > 0; i++) {
    readings next = {0, {0}};
    for (size_t k = 0; k < now.count; k++)
      read_byte(&next, p, now.lengths[k], (unsigned char)secret[i]);
    now = next;
  }
  size_t longest = 0;
  for (size_t k = 0; k < now.count; k++)
    if (now.lengths[k] > longest) longest = now.lengths[k];
  return longest;
}

static void blot(char *p, size_t len) {
  memcpy(p, "***", 3);
  memmove(p + 3, p + len, strlen(p + len) + 1);
}

/* Blanks out base64 that contains the secret at any position: searches for the part that does not
** depend on the neighbouring bytes, for each of the three alignments. */
static void redact_base64(char *text, const char *secret, size_t len) {
  for (size_t place = 0; place < 3; place++) {
    bmwi_buffer plain, encoded;
    bmwi_buffer_init(&plain, 64 * 1024, true);
    bmwi_buffer_init(&encoded, 128 * 1024, true);
    if (bmwi_buffer_add(&plain, "\0\0", place) && bmwi_buffer_add(&plain, secret, len) &&
        bmwi_buffer_reserve(&encoded, BMWI_BASE64_ENCODED(plain.len))) {
      size_t first = (place * 8 + 5) / 6, end = plain.len * 8 / 6;
      char *core = encoded.data + first;
      bmwi_base64_encode(encoded.data, plain.data, plain.len);
      encoded.data[end] = '\0';
      for (int alphabet = 0; end >= first + 6 && alphabet < 2; alphabet++) {
        for (char *p = strstr(text, core); p != NULL; p = strstr(p + 3, core)) blot(p, end - first);
        for (char *p = core; *p != '\0'; p++) /* now in the URL alphabet */
          *p = *p == '+' ? '-' : *p == '/' ? '_' : *p;
      }
    }
    bmwi_buffer_free(&plain);
    bmwi_buffer_free(&encoded);
  }
}

void bmwi_redact(char *text, const char *secret, size_t least) {
  size_t len = secret != NULL ? strlen(secret) : 0;
  if (len < least || len < 3) return;
  for (char *p = text; *p != '\0'; p++) {
    size_t found = spelt(p, secret, len);
    if (found == 0) continue;
    blot(p, found);
    p += 2;
  }
  redact_base64(text, secret, len);
}
