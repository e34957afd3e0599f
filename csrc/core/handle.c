/*
** Handles: see handle.h. Contains libcurl's callbacks for an exchange and its options.
*/
#include "core/handle.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/url.h"

#define LINES 7                /* headers sent besides Host */
#define MAX_HEADER (64 * 1024) /* maximum size of a sent header */

struct bmwi_handle {
  CURL *easy; /* NULL: not yet made */
  CURLSH *share;
  bmwi_poll *poll;
  bmwi_transfer *transfer;
  const char *url;     /* URL of the exchange */
  bool set;            /* it has options */
  unsigned long owner; /* the transport that these options belong to, if they may stay; else 0 */
  char *origin;        /* the server's origin in these options */
  CURLU *server;       /* the same, parsed */
  bmwi_buffer agent, authorization;
  struct curl_slist lines[LINES];
  enum { BODY, FIRST_HEADER, REST_OF_HEADER } incoming; /* what on_body gets next */
  char error[CURL_ERROR_SIZE];
};

/* From 7.84.0 to 8.0.1 (curl issue 11101) libcurl appends a first header that begins with a blank
** to the last header of the handle's previous response, which it has freed. With CURLOPT_HEADER it
** passes each header line to on_body before that, so that on_body can refuse it. */
static bool unfolds_into_freed;
static char encodings[64]; /* a header line: the encodings that libcurl can decompress */

void bmwi_handle_setup(void) {
  const curl_version_info_data *info = curl_version_info(CURLVERSION_NOW);
  unfolds_into_freed = info->version_num >= 0x075400 && info->version_num < 0x080100;
  /* Like libcurl's own message, but for each request. */
  static const struct {
    int feature;
    const char *names;
  } known[] = {
    {CURL_VERSION_LIBZ, "deflate, gzip"},
#if LIBCURL_VERSION_NUM >= 0x073900
    {CURL_VERSION_BROTLI, "br"},
#endif
#if LIBCURL_VERSION_NUM >= 0x074800
    {CURL_VERSION_ZSTD, "zstd"},
#endif
  };
  size_t len = (size_t)snprintf(encodings, sizeof encodings, "Accept-Encoding:"), bare = len;
  for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
    if ((info->features & known[i].feature) != 0)
      len += (size_t)snprintf(encodings + len, sizeof encodings - len, "%s %s",
                              len > bare ? "," : "", known[i].names);
  if (len == bare) snprintf(encodings + len, sizeof encodings - len, " identity");
}

/* ---- libcurl's callbacks: they only touch the exchange's own memory -------- */

/* Refuses a first header that begins with a blank; libcurl passes a long line in parts. */
static bool check_first(bmwi_handle *handle, char c) {
  bool folded = handle->incoming == FIRST_HEADER && (c == ' ' || c == '\t');
  handle->incoming = REST_OF_HEADER;
  if (folded)
    handle->transfer->error = bmwi_copy("the response's first header begins with a blank");
  return !folded;
}

static size_t on_body(char *data, size_t size, size_t count, void *user) {
  bmwi_handle *handle = user;
  bool ok = handle->incoming == BODY ? bmwi_transfer_body(handle->transfer, data, size * count)
                                     : check_first(handle, *data);
  return ok ? size * count : 0;
}

/* Makes libcurl pass the line after a status line to on_body, and no other. A status line is the
** first of all lines, or comes after an empty one. (So does the first trailer, but libcurl never
** passes trailers to on_body.) */
static void watch_first(bmwi_handle *handle) {
  const bmwi_transfer *t = handle->transfer;
  bool status_line = t->header_bytes == 0 || !t->in_headers;
  if (status_line || handle->incoming != BODY)
    curl_easy_setopt(handle->easy, CURLOPT_HEADER, status_line ? 1L : 0L);
  handle->incoming = status_line ? FIRST_HEADER : BODY;
}

static size_t on_header(char *data, size_t size, size_t count, void *user) {
  bmwi_handle *handle = user;
  if (unfolds_into_freed) watch_first(handle);
  return bmwi_transfer_header(handle->transfer, data, size * count) ? size * count : 0;
}

static int on_open(void *user, curl_socket_t s, curlsocktype purpose) {
  (void)purpose;
  fcntl(s, F_SETFD, FD_CLOEXEC);
  bmwi_poll_opened(user, s);
  return CURL_SOCKOPT_OK;
}

static int on_close(void *user, curl_socket_t s) {
  bmwi_poll_closing(user, s);
  return close(s);
}

/* Called right before each time the request is sent, after a proxy's CONNECT and TLS. libcurl
** repeats a request by itself if a shared connection breaks before the response; this prevents that
** for requests with side effects. */
#if LIBCURL_VERSION_NUM >= 0x075000
static int on_request(void *user, char *to, char *from, int port, int local_port) {
  bmwi_transfer *t = ((bmwi_handle *)user)->transfer;
  (void)to, (void)from, (void)port, (void)local_port;
  if (t->sent) return CURL_PREREQFUNC_ABORT;
  t->sent = true;
  return CURL_PREREQFUNC_OK;
}

void bmwi_handle_note_sent(const bmwi_handle *handle) { (void)handle; }
#else
/* libcurl's figures, which count CONNECT, too. They are of the only connection: see set_once. */
void bmwi_handle_note_sent(const bmwi_handle *handle) {
  long request_size = 0, connect_code = 0;
  curl_off_t pretransfer = 0;
  curl_easy_getinfo(handle->easy, CURLINFO_REQUEST_SIZE, &request_size);
  curl_easy_getinfo(handle->easy, CURLINFO_PRETRANSFER_TIME_T, &pretransfer);
  curl_easy_getinfo(handle->easy, CURLINFO_HTTP_CONNECTCODE, &connect_code);
  bool refused_by_proxy = connect_code != 0 && connect_code / 100 != 2;
  handle->transfer->sent = (request_size > 0 || pretransfer > 0) && !refused_by_proxy;
}
#endif

/* ---- lifetime -------------------------------------------------------------- */

bmwi_handle *bmwi_handle_new(void *share, bmwi_poll *poll) {
  bmwi_handle *handle = calloc(1, sizeof *handle);
  if (handle == NULL) return NULL;
  handle->share = share;
  handle->poll = poll;
  bmwi_buffer_init(&handle->agent, MAX_HEADER, false);
  bmwi_buffer_init(&handle->authorization, MAX_HEADER, true);
  return handle;
}

/* The last error of the operating system. Before 8.8 libcurl keeps it for later exchanges. */
static long os_errno(const bmwi_handle *handle) {
  long found = 0;
  curl_easy_getinfo(handle->easy, CURLINFO_OS_ERRNO, &found);
  return found;
}

static void reset(bmwi_handle *handle) {
  if (!handle->set) return;
  if (os_errno(handle) == 0) {
    curl_easy_reset(handle->easy);
  } else {
    curl_easy_cleanup(handle->easy);
    handle->easy = NULL;
  }
  handle->set = false;
  handle->owner = 0;
  bmwi_drop(&handle->origin);
  curl_url_cleanup(handle->server);
  handle->server = NULL;
}

void bmwi_handle_free(bmwi_handle *handle) {
  reset(handle);
  curl_easy_cleanup(handle->easy);
  bmwi_buffer_free(&handle->agent);
  bmwi_buffer_free(&handle->authorization);
  free(handle);
}

void *bmwi_handle_easy(const bmwi_handle *handle) { return handle->easy; }

bmwi_transfer *bmwi_handle_transfer(void *easy) {
  bmwi_handle *handle = NULL;
  curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&handle);
  return handle->transfer;
}

/* ---- libcurl's options ------------------------------------------------------- */

/* libcurl reads the list in place; the first line is always there. */
static bool set_lines(bmwi_handle *handle, const bmwi_request *request) {
  bmwi_buffer *line = &handle->authorization;
  bool post = strcmp(request->method, "POST") == 0;
  bmwi_buffer_clear(line);
  if (request->credentials != NULL &&
      (!bmwi_buffer_text(line, "Authorization: ") || !bmwi_buffer_text(line, request->scheme) ||
       !bmwi_buffer_add(line, " ", 1) || !bmwi_buffer_text(line, request->credentials)))
    return false;
  const char *const lines[LINES] = {encodings,
                                    request->credentials != NULL ? line->data : NULL,
                                    handle->agent.data,
                                    request->accept,
                                    request->header,
                                    request->content_type,
                                    post ? "Expect:" : NULL};
  struct curl_slist *next = NULL;
  for (int i = LINES - 1; i >= 0; i--) {
    if (lines[i] == NULL) continue;
    handle->lines[i] = (struct curl_slist){(char *)lines[i], next};
    next = &handle->lines[i];
  }
  return true;
}

#define SET(option, value) \
  do { \
    if (failed == CURLE_OK) failed = curl_easy_setopt(handle->easy, option, value); \
  } while (0)

/* Options that all exchanges of this transport share. */
static CURLcode set_common(bmwi_handle *handle, const bmwi_transport *transport, bool plain) {
  CURLcode failed = CURLE_OK;
  if (!bmwi_transport_set(transport, handle->easy, plain)) return CURLE_OUT_OF_MEMORY;
  if (!bmwi_transport_proxied(transport, plain)) {
    SET(CURLOPT_USERAGENT, NULL); /* the server gets it in our own header line */
    SET(CURLOPT_NOPROXY, "*");    /* or libcurl looks up no_proxy in the environment each time */
  }
  SET(CURLOPT_PATH_AS_IS, 1L);
#if LIBCURL_VERSION_NUM >= 0x073E00
  /* The minimum: each exchange has such a buffer, and the default of 64 KiB fragments the heap. */
  curl_easy_setopt(handle->easy, CURLOPT_UPLOAD_BUFFERSIZE, 16384L);
#endif
  SET(CURLOPT_PRIVATE, handle);
  SET(CURLOPT_ERRORBUFFER, handle->error);
  SET(CURLOPT_HTTPHEADER, handle->lines);
  SET(CURLOPT_WRITEFUNCTION, on_body);
  SET(CURLOPT_WRITEDATA, handle);
  SET(CURLOPT_HEADERFUNCTION, on_header);
  SET(CURLOPT_HEADERDATA, handle);
  SET(CURLOPT_ACCEPT_ENCODING, "");
  SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
  SET(CURLOPT_SOCKOPTFUNCTION, on_open);
  SET(CURLOPT_SOCKOPTDATA, handle->poll);
  SET(CURLOPT_CLOSESOCKETFUNCTION, on_close);
  SET(CURLOPT_CLOSESOCKETDATA, handle->poll);
  if (!plain) SET(CURLOPT_PIPEWAIT, 1L); /* prefer sharing an HTTP/2 connection */
  return failed;
}

/* Options for this request only; the handle is reset after it. */
static CURLcode set_once(bmwi_handle *handle, const bmwi_request *request) {
  CURLcode failed = CURLE_OK;
  SET(CURLOPT_URL, request->url);
  if (strcmp(request->method, "POST") == 0) {
    SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body->len);
    SET(CURLOPT_POSTFIELDS, request->body->len > 0 ? request->body->data : "");
  } else if (strcmp(request->method, "GET") != 0) {
    SET(CURLOPT_CUSTOMREQUEST, request->method);
  }
  if (request->once) {
    /* libcurl repeats a request by itself if a kept connection turns out to be dead, even if the
    ** server had received it. Not for a command, nor if each request counts. */
    SET(CURLOPT_PIPEWAIT, 0L);
    SET(CURLOPT_FRESH_CONNECT, 1L);
    SET(CURLOPT_FORBID_REUSE, request->alone ? 1L : 0L);
#if LIBCURL_VERSION_NUM >= 0x075000
    SET(CURLOPT_PREREQDATA, handle);
    SET(CURLOPT_PREREQFUNCTION, on_request);
#else
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1); /* no other call can join it there */
#endif
  }
  return failed;
}

/* Sets the server, parsed once; the path is set for each request. */
static CURLcode set_server(bmwi_handle *handle, const bmwi_request *request, unsigned long owner) {
  CURLcode failed = CURLE_OK;
  size_t length = bmwi_url_origin(request->url);
  handle->origin = calloc(length + 1, 1);
  handle->server = curl_url();
  if (handle->origin == NULL || handle->server == NULL) return CURLE_OUT_OF_MEMORY;
  memcpy(handle->origin, request->url, length);
  if (curl_url_set(handle->server, CURLUPART_URL, handle->origin, 0) != CURLUE_OK)
    return set_once(handle, request); /* libcurl reports what is wrong with it */
  SET(CURLOPT_CURLU, handle->server);
  if (failed == CURLE_OK) handle->owner = owner;
  return failed;
}

/* Whether options may stay for such a request, and be used by it: not if it must be sent only
** once. */
static bool is_reading(const bmwi_request *request) {
  return strcmp(request->method, "GET") == 0 && !request->once;
}

/* Nor may they if a proxy needs the full URL in the request line. */
static bool may_stay(const bmwi_transport *transport, const bmwi_request *request, bool plain) {
  return is_reading(request) && !(plain && bmwi_transport_proxied(transport, plain));
}

bool bmwi_handle_fits(const bmwi_handle *handle, const bmwi_transport *transport,
                      const bmwi_request *request) {
  size_t length = bmwi_url_origin(request->url);
  return handle->owner != 0 && handle->owner == transport->serial && is_reading(request) &&
         strncmp(handle->origin, request->url, length) == 0 && handle->origin[length] == '\0';
}

static CURLcode set_all(bmwi_handle *handle, const bmwi_transport *transport,
                        const bmwi_request *request) {
  bool plain = strncmp(request->url, "http:", 5) == 0;
  handle->set = true;
  bmwi_buffer_clear(&handle->agent);
  if (!bmwi_buffer_text(&handle->agent, "User-Agent: ") ||
      !bmwi_buffer_text(&handle->agent, transport->user_agent))
    return CURLE_OUT_OF_MEMORY;
  CURLcode failed = set_common(handle, transport, plain);
  if (failed != CURLE_OK) return failed;
  if (!may_stay(transport, request, plain)) return set_once(handle, request);
  return set_server(handle, request, transport->serial);
}

bool bmwi_handle_ask(bmwi_handle *handle, bmwi_transfer *t, const bmwi_transport *transport,
                     const bmwi_request *request) {
  CURLcode failed = CURLE_OK;
  bmwi_transfer_begin(t);
  handle->transfer = t;
  handle->url = request->url;
  handle->error[0] = '\0';
  if (!bmwi_handle_fits(handle, transport, request)) {
    reset(handle);
    if (handle->easy == NULL) {
      handle->easy = curl_easy_init();
      if (handle->easy == NULL) return false;
      SET(CURLOPT_SHARE, handle->share);
    }
    if (failed == CURLE_OK) failed = set_all(handle, transport, request);
  }
  if (handle->owner != 0) {
    const char *target = request->url + bmwi_url_origin(request->url);
    SET(CURLOPT_REQUEST_TARGET, *target != '\0' ? target : "/");
  }
  return failed == CURLE_OK && set_lines(handle, request);
}

/* ---- after the exchange ------------------------------------------------------------ */

/* Resolves a redirect's target against the request's URL. */
static void resolve(char **location, const char *url) {
  char *whole = NULL;
  CURLU *parsed = curl_url();
  if (parsed != NULL && curl_url_set(parsed, CURLUPART_URL, url, 0) == CURLUE_OK &&
      curl_url_set(parsed, CURLUPART_URL, *location, CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK &&
      curl_url_get(parsed, CURLUPART_URL, &whole, 0) == CURLUE_OK) {
    bmwi_drop(location);
    *location = bmwi_copy(whole);
  }
  curl_free(whole);
  curl_url_cleanup(parsed);
}

void bmwi_handle_note(const bmwi_handle *handle) {
  bmwi_transfer *t = handle->transfer;
  if (t->location != NULL) resolve(&t->location, handle->url);
  if (t->error == NULL && handle->error[0] != '\0') t->error = bmwi_copy(handle->error);
}

void bmwi_handle_end(bmwi_handle *handle, bool good) {
  bmwi_buffer_clear(&handle->authorization);
  handle->transfer = NULL;
  handle->url = NULL;
  if (!good || handle->owner == 0 || os_errno(handle) != 0) reset(handle);
}

void bmwi_handle_forget(bmwi_handle *handle, const bmwi_transport *transport) {
  if (handle->owner != 0 && handle->owner == transport->serial) reset(handle);
}
