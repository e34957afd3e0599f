/*
** Transfer: see transfer.h.
*/
#include "core/transfer.h"

#include <curl/curl.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define MAX_HEADER_BYTES (256 * 1024) /* for all headers of one response */
#define MAX_LOCATION 2048             /* for a redirect; only its beginning is shown */

bool bmwi_transfer_body(bmwi_transfer *t, const char *data, size_t len) {
  if (bmwi_buffer_add(&t->body, data, len)) return true;
  if (t->body.full) t->too_large = true;
  else t->no_memory = true;
  return false;
}

/* The value of this header ("date:") as a string in `out`; NULL if the line is another one. */
static const char *header(const char *line, size_t len, const char *name, char *out, size_t size) {
  size_t start = strlen(name);
  if (len < start || len >= size || strncasecmp(line, name, start) != 0) return NULL;
  memcpy(out, line, len);
  out[len] = '\0';
  return out + start + strspn(out + start, " \t");
}

/* Seconds or a date. Newer versions of libcurl (8.14, for example) never report more than six
** hours. */
static double retry_after(const char *text) {
  if (!isdigit((unsigned char)*text)) return difftime(curl_getdate(text, NULL), time(NULL));
  return (double)strtoull(text, NULL, 10); /* the largest of all if it is larger */
}

static void read_retry_after(bmwi_transfer *t, const char *line, size_t len) {
  char text[64];
  const char *value = header(line, len, "retry-after:", text, sizeof text);
  double seconds = value != NULL ? retry_after(value) : 0;
  if (seconds > 0) t->retry_after = seconds;
}

static void read_date(bmwi_transfer *t, const char *line, size_t len) {
  char text[64];
  const char *value = header(line, len, "date:", text, sizeof text);
  if (value != NULL) bmwi_cut(t->date, sizeof t->date, value); /* parsed on demand */
}

static void read_location(bmwi_transfer *t, const char *line, size_t len) {
  char text[MAX_LOCATION];
  if (len >= sizeof text) len = sizeof text - 1;
  const char *value = header(line, len, "location:", text, sizeof text);
  if (value == NULL) return;
  text[strcspn(text, "\r\n")] = '\0';
  bmwi_drop(&t->location);
  t->location = bmwi_copy(value); /* omitted if there is no memory */
}

/* An interim response (1xx) and a proxy's response to CONNECT have headers of their own, which
** another status line follows. Trailers come without one. */
static bool begins_response(const char *line, size_t len) {
  return len >= 5 && strncasecmp(line, "HTTP/", 5) == 0;
}

static void forget_headers(bmwi_transfer *t) {
  t->retry_after = -1;
  t->date[0] = '\0';
  bmwi_drop(&t->location);
}

/* Headers are only counted, not kept: libcurl 7.88 does not limit their total size. */
bool bmwi_transfer_header(bmwi_transfer *t, const char *line, size_t len) {
  t->in_headers = line[0] != '\r' && line[0] != '\n';
  if (!t->in_headers) {
    t->headers_end = true;
  } else if (t->headers_end && begins_response(line, len)) {
    t->headers_end = false;
    forget_headers(t);
  }
  t->header_bytes += len;
  switch (line[0]) {
    case 'r': /* FALLTHROUGH */
    case 'R': read_retry_after(t, line, len); break;
    case 'd': /* FALLTHROUGH */
    case 'D': read_date(t, line, len); break;
    case 'l': /* FALLTHROUGH */
    case 'L': read_location(t, line, len); break;
    default: break;
  }
  if (t->header_bytes <= MAX_HEADER_BYTES) return true;
  t->too_large = true;
  return false;
}

double bmwi_transfer_date(const bmwi_transfer *t) {
  return t->date[0] != '\0' ? (double)curl_getdate(t->date, NULL) : -1;
}

void bmwi_transfer_begin(bmwi_transfer *t) {
  bmwi_buffer_clear(&t->body);
  t->result = 0;
  t->sent = t->reset = t->too_large = t->no_memory = t->headers_end = false;
  t->in_headers = true;
  t->status = 0;
  t->header_bytes = 0;
  forget_headers(t);
  bmwi_drop(&t->error);
}
