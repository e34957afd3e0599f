/*
** Transfer: see transfer.h. Owns libcurl's callbacks of one exchange and its options.
*/
#include "core/transfer.h"

#include <curl/curl.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "core/clock.h"

#define HEADERS 5                     /* lines that are sent beside libcurl's own */
#define MAX_HEADER_BYTES (256 * 1024) /* of all headers of one answer */

struct bmwi_scratch {
  struct curl_slist headers[HEADERS];
  char error[CURL_ERROR_SIZE];
};

/* ---- libcurl's callbacks: they touch the transfer's own memory only ------ */

static size_t on_body(char *data, size_t size, size_t count, void *user) {
  bmwi_transfer *t = user;
  if (bmwi_buffer_add(&t->body, data, size * count)) return size * count;
  if (t->body.full) t->too_large = true;
  else t->no_memory = true;
  return 0;
}

/* Called before each time the request is sent. libcurl repeats one by itself when a
** connection that others use, too, breaks before the answer: not what may do things twice. */
#if LIBCURL_VERSION_NUM >= 0x075000
static int on_request(void *user, char *to, char *from, int port, int local_port) {
  bmwi_transfer *t = user;
  (void)to, (void)from, (void)port, (void)local_port;
  if (t->sent) return CURL_PREREQFUNC_ABORT;
  t->sent = true;
  return CURL_PREREQFUNC_OK;
}
#endif

/* The value of a header of this name ("date:"), as a text in `out`; NULL for another line. */
static const char *header(const char *line, size_t len, const char *name, char *out, size_t size) {
  size_t start = strlen(name);
  if (len < start || len >= size || strncasecmp(line, name, start) != 0) return NULL;
  memcpy(out, line, len);
  out[len] = '\0';
  return out + start + strspn(out + start, " \t");
}

/* Seconds, or a date. Newer libcurls (8.14, say) never report more than six hours. */
static double retry_after(const char *text) {
  if (!isdigit((unsigned char)*text)) return difftime(curl_getdate(text, NULL), time(NULL));
  errno = 0;
  double seconds = (double)strtoull(text, NULL, 10);
  return errno == 0 ? seconds : 0;
}

static void read_header(bmwi_transfer *t, const char *line, size_t len) {
  char text[64];
  const char *value = header(line, len, "retry-after:", text, sizeof text);
  double seconds = value != NULL ? retry_after(value) : 0;
  if (seconds > 0) t->retry_after = seconds;
  value = header(line, len, "date:", text, sizeof text);
  if (value != NULL) bmwi_cut(t->date, sizeof t->date, value); /* read where it is asked for */
}

/* Headers are not kept, only counted: libcurl 7.88 sets no limit to their sum. */
static size_t on_header(char *data, size_t size, size_t count, void *user) {
  bmwi_transfer *t = user;
  t->in_headers = data[0] != '\r' && data[0] != '\n';
  t->header_bytes += size * count;
  read_header(t, data, size * count);
  if (t->header_bytes <= MAX_HEADER_BYTES) return size * count;
  t->too_large = true;
  return 0;
}

double bmwi_transfer_date(const bmwi_transfer *t) {
  return t->date[0] != '\0' ? (double)curl_getdate(t->date, NULL) : -1;
}

/* ---- what is asked of libcurl --------------------------------------------- */

/* libcurl reads the list where it is. */
static bool set_headers(bmwi_transfer *t, const bmwi_request *request, struct curl_slist **first) {
  bmwi_buffer *line = &t->authorization;
  if (request->credentials != NULL &&
      (!bmwi_buffer_text(line, "Authorization: ") || !bmwi_buffer_text(line, request->scheme) ||
       !bmwi_buffer_add(line, " ", 1) || !bmwi_buffer_text(line, request->credentials)))
    return false;
  const char *const lines[HEADERS] = {request->credentials != NULL ? line->data : NULL,
                                      request->accept, request->header, request->content_type,
                                      "Expect:"};
  struct curl_slist *next = NULL;
  for (int i = HEADERS - 1; i >= 0; i--) {
    if (lines[i] == NULL) continue;
    t->scratch->headers[i] = (struct curl_slist){(char *)lines[i], next};
    next = &t->scratch->headers[i];
  }
  *first = next;
  return true;
}

static bool set_options(bmwi_transfer *t, const bmwi_transport *transport,
                        const bmwi_request *request, struct curl_slist *headers, bool bundle) {
  CURL *easy = t->easy;
  bool plain = strncmp(request->url, "http:", 5) == 0;
  CURLcode failed = CURLE_OK;
#define SET(option, value) \
  do { \
    if (failed == CURLE_OK) failed = curl_easy_setopt(easy, option, value); \
  } while (0)
  SET(CURLOPT_URL, request->url);
  SET(CURLOPT_PATH_AS_IS, 1L);
  SET(CURLOPT_PRIVATE, t);
  SET(CURLOPT_ERRORBUFFER, t->scratch->error);
  SET(CURLOPT_HTTPHEADER, headers);
  SET(CURLOPT_WRITEFUNCTION, on_body);
  SET(CURLOPT_WRITEDATA, t);
  SET(CURLOPT_HEADERFUNCTION, on_header);
  SET(CURLOPT_HEADERDATA, t);
  SET(CURLOPT_ACCEPT_ENCODING, "");
  SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
  if (strcmp(request->method, "POST") == 0) {
    SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body->len);
    SET(CURLOPT_POSTFIELDS, request->body->len > 0 ? request->body->data : "");
  } else if (strcmp(request->method, "GET") != 0) {
    SET(CURLOPT_CUSTOMREQUEST, request->method);
  }
  if (request->once) {
    /* libcurl repeats a request by itself when a kept connection turns out to
    ** be dead, even if the server had taken it. Not with a command, nor where each counts. */
    SET(CURLOPT_FRESH_CONNECT, 1L);
#if LIBCURL_VERSION_NUM >= 0x075000
    SET(CURLOPT_PREREQDATA, t);
    SET(CURLOPT_PREREQFUNCTION, on_request);
#else
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1); /* no other call joins it there */
#endif
  } else if (!plain) {
    SET(CURLOPT_PIPEWAIT, 1L); /* rather share a coming HTTP/2 connection */
  }
#undef SET
  return failed == CURLE_OK && bmwi_transport_set(transport, easy, plain, bundle);
}

bool bmwi_transfer_ask(bmwi_transfer *t, const bmwi_transport *transport,
                       const bmwi_request *request, bool bundle) {
  struct curl_slist *headers;
  if (t->scratch == NULL) t->scratch = malloc(sizeof *t->scratch);
  if (t->scratch == NULL) return false;
  bmwi_buffer_clear(&t->body);
  t->result = CURLE_OK;
  t->sent = t->reset = t->too_large = t->no_memory = false;
  t->in_headers = true;
  t->status = 0;
  t->header_bytes = 0;
  t->retry_after = -1;
  t->date[0] = '\0';
  bmwi_drop(&t->location);
  t->scratch->error[0] = '\0';
  t->error = t->scratch->error;
  return set_headers(t, request, &headers) && set_options(t, transport, request, headers, bundle);
}
