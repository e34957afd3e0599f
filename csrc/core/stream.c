/*
** Streams: see stream.h. Each has its own multi and easy handle: by libcurl's contract, the easy
** handle must stay in the multi while it is used.
*/
#include "core/stream.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/guard.h"

#define FAR 60.0 /* seconds, until the owner has set a time */

static bmwi_stream *stream_of(bmwi_timer *timer) {
  return (bmwi_stream *)((char *)timer - offsetof(bmwi_stream, timer));
}

/* Schedules the timer. */
static void set_timer(bmwi_stream *stream) {
  bmwi_timers *timers = &stream->streams->timers;
  bool curl = !stream->open && stream->curl_wake >= 0 && stream->curl_wake < stream->wake;
  double wake = curl ? stream->curl_wake : stream->wake;
  if (wake == stream->timer.wake) return;
  bmwi_timers_remove(timers, &stream->timer);
  bmwi_timers_add(timers, &stream->timer, wake);
}

void bmwi_stream_wake(bmwi_stream *stream, double wake) {
  stream->wake = wake;
  set_timer(stream);
}

void bmwi_stream_watch(bmwi_stream *stream, bool in, bool out) {
  if (in == stream->in && out == stream->out) return;
  bmwi_poll_watch(stream->streams->poll, stream->fd, in, out, stream->watched, stream->tag);
  stream->in = in;
  stream->out = out;
  stream->watched = in || out;
}

/* ---- libcurl's callbacks while connecting --------------------------------------------------- */

static int on_socket(CURL *easy, curl_socket_t s, int what, void *user, void *known) {
  bmwi_stream *stream = user;
  (void)easy;
  if (stream->streams == NULL || stream->open) return 0; /* its socket is managed by us */
  if (known == NULL) bmwi_guard_socket(s);
  bool in = what == CURL_POLL_IN || what == CURL_POLL_INOUT;
  bool out = what == CURL_POLL_OUT || what == CURL_POLL_INOUT;
  bmwi_poll_watch(stream->streams->poll, s, in, out, known != NULL, stream->tag);
  if (known == NULL) curl_multi_assign(stream->multi, s, stream);
  return 0;
}

static int on_timer(CURLM *multi, long ms, void *user) {
  (void)multi;
  ((bmwi_stream *)user)->curl_wake = ms < 0 ? -1 : bmwi_now() + (double)ms / 1000;
  return 0;
}

/* ---- lifetime ------------------------------------------------------------------------------- */

static bool set_options(bmwi_stream *stream, const char *url, const bmwi_transport *transport) {
  CURL *easy = stream->easy;
  bool plain = strncmp(url, "http:", 5) == 0;
  CURLcode failed = CURLE_OK;
#define SET(option, value) \
  do { \
    if (failed == CURLE_OK) failed = curl_easy_setopt(easy, option, value); \
  } while (0)
  SET(CURLOPT_URL, url);
  SET(CURLOPT_ERRORBUFFER, stream->error);
  SET(CURLOPT_CONNECT_ONLY, 1L);
  SET(CURLOPT_HTTPPROXYTUNNEL, 1L);
  SET(CURLOPT_SSL_ENABLE_ALPN, 0L); /* not HTTP */
  SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
  SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_3);
#undef SET
  return failed == CURLE_OK && bmwi_transport_set(transport, easy, plain);
}

/* Calls libcurl, which connects, and handles the result. */
static void call_libcurl(bmwi_stream *stream, curl_socket_t s, int what) {
  int running, messages;
  curl_socket_t fd = CURL_SOCKET_BAD;
  long os_errno = 0;
  CURLMcode failed = curl_multi_socket_action(stream->multi, s, what, &running);
  CURLMsg *message = failed == CURLM_OK ? curl_multi_info_read(stream->multi, &messages) : NULL;
  if (failed != CURLM_OK) stream->result = CURLE_OUT_OF_MEMORY;
  if (message == NULL) return;
  stream->result = message->data.result;
  curl_easy_getinfo(stream->easy, CURLINFO_OS_ERRNO, &os_errno);
  curl_easy_getinfo(stream->easy, CURLINFO_ACTIVESOCKET, &fd);
  stream->reset = os_errno == ECONNRESET;
  if (stream->result == CURLE_OK && fd == CURL_SOCKET_BAD) stream->result = CURLE_COULDNT_CONNECT;
  if (stream->result != CURLE_OK) return;
  stream->open = true;
  stream->fd = (int)fd;
  stream->in = stream->out = stream->watched = false;
  bmwi_poll_watch(stream->streams->poll, stream->fd, false, false, true, stream->tag);
  bmwi_stream_watch(stream, true, false); /* whatever libcurl watched it for */
}

bool bmwi_stream_open(bmwi_stream *stream, bmwi_streams *streams, const char *url,
                      const bmwi_transport *transport) {
  if (!bmwi_timers_reserve(&streams->timers)) return false;
  bmwi_guard guard;
  bmwi_transport_guard(&guard);
  stream->multi = bmwi_multi_new();
  stream->easy = curl_easy_init();
  stream->error = calloc(1, CURL_ERROR_SIZE);
  stream->streams = streams;
  stream->open = false;
  stream->result = CURLE_OK;
  stream->curl_wake = -1;
  stream->tag = ++streams->last_tag != 0 ? streams->last_tag : ++streams->last_tag;
  stream->wake = bmwi_now() + FAR;
  bmwi_timers_add(&streams->timers, &stream->timer, stream->wake);
  bmwi_queue_add(&streams->all, &stream->link);
  bool ok = stream->multi != NULL && stream->easy != NULL && stream->error != NULL &&
            set_options(stream, url, transport);
  if (ok) {
    curl_multi_setopt(stream->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(stream->multi, CURLMOPT_SOCKETDATA, stream);
    curl_multi_setopt(stream->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(stream->multi, CURLMOPT_TIMERDATA, stream);
    ok = curl_multi_add_handle(stream->multi, stream->easy) == CURLM_OK;
  }
  bmwi_guard_leave(&guard);
  if (!ok) bmwi_stream_close(stream);
  else set_timer(stream);
  return ok;
}

void bmwi_stream_close(bmwi_stream *stream) {
  if (stream->streams == NULL) return;
  bmwi_guard guard;
  bmwi_transport_guard(&guard); /* TLS sends close_notify */
  if (stream->open) bmwi_stream_watch(stream, false, false);
  bmwi_timers_remove(&stream->streams->timers, &stream->timer);
  bmwi_queue_leave(&stream->link);
  if (stream->multi != NULL && stream->easy != NULL)
    curl_multi_remove_handle(stream->multi, stream->easy);
  stream->streams = NULL; /* its other sockets are closed too */
  curl_easy_cleanup(stream->easy);
  if (stream->multi != NULL) curl_multi_cleanup(stream->multi);
  bmwi_guard_leave(&guard);
  free(stream->error);
  stream->multi = stream->easy = stream->error = NULL;
  stream->open = false;
}

/* ---- reading and writing -------------------------------------------------------------------- */

/* A peer that closes without TLS's close_notify is at its end too, although some TLS libraries, and
** libcurl before 7.77, report an error. */
static bool is_end(const char *error) {
  static const char *const words[] = {"unexpected eof", "errno 0", "non-properly terminated"};
  for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
    if (strstr(error, words[i]) != NULL) return true;
  return false;
}

static bmwi_io judge(bmwi_stream *stream, CURLcode result) {
  long os_errno = 0;
  if (result == CURLE_AGAIN) return BMWI_IO_AGAIN;
  if (is_end(stream->error)) return BMWI_IO_EOF;
  curl_easy_getinfo(stream->easy, CURLINFO_OS_ERRNO, &os_errno);
  stream->result = result;
  stream->reset = os_errno == ECONNRESET || os_errno == EPIPE;
  return BMWI_IO_FAILED;
}

bmwi_io bmwi_stream_read(bmwi_stream *stream, char *to, size_t size, size_t *done) {
  CURLcode result = curl_easy_recv(stream->easy, to, size, done);
  if (result != CURLE_OK) return judge(stream, result);
  return *done == 0 ? BMWI_IO_EOF : BMWI_IO_DONE;
}

bmwi_io bmwi_stream_write(bmwi_stream *stream, const char *data, size_t len, size_t *done) {
  bmwi_guard guard;
  bmwi_transport_guard(&guard);
  CURLcode result = curl_easy_send(stream->easy, data, len, done);
  bmwi_guard_leave(&guard);
  if (result != CURLE_OK) return judge(stream, result);
  return *done == 0 ? BMWI_IO_AGAIN : BMWI_IO_DONE;
}

/* ---- for the engine ------------------------------------------------------------------------- */

double bmwi_streams_due(const bmwi_streams *streams) {
  return streams->timers.count > 0 ? streams->timers.heap[0].wake : -1;
}

void bmwi_stream_serve(bmwi_stream *stream) {
  bmwi_guard guard;
  bmwi_transport_guard(&guard);
  stream->wake = bmwi_now() + FAR;
  stream->serve(stream, stream->streams);
  if (stream->streams != NULL) set_timer(stream);
  bmwi_guard_leave(&guard);
}

void bmwi_streams_event(bmwi_streams *streams, const bmwi_event *event) {
  bmwi_link *link = streams->all.first;
  while (link != NULL && ((bmwi_stream *)link)->tag != event->tag) link = link->next;
  bmwi_stream *stream = (bmwi_stream *)link;
  if (stream == NULL) return;
  if (!stream->open) {
    call_libcurl(stream, event->fd,
                 (event->readable ? CURL_CSELECT_IN : 0) |
                   (event->writable ? CURL_CSELECT_OUT : 0) |
                   (event->failed ? CURL_CSELECT_ERR : 0));
    if (!stream->open && stream->result == CURLE_OK) {
      set_timer(stream);
      return;
    }
  }
  bmwi_stream_serve(stream);
}

/* Each at most once: one that has more to do is due again, after the others. */
void bmwi_streams_serve(bmwi_streams *streams) {
  double now = bmwi_now();
  for (size_t n = streams->timers.count; n > 0 && streams->timers.count > 0; n--) {
    if (streams->timers.heap[0].wake > now) return;
    bmwi_stream *stream = stream_of(streams->timers.heap[0].timer);
    bool connects = !stream->open && stream->curl_wake >= 0 && stream->curl_wake <= now;
    if (connects) {
      stream->curl_wake = -1;
      call_libcurl(stream, CURL_SOCKET_TIMEOUT, 0);
    }
    if (connects && !stream->open && stream->result == CURLE_OK && stream->wake > now)
      set_timer(stream);
    else bmwi_stream_serve(stream);
  }
}

void bmwi_streams_end(bmwi_streams *streams) {
  while (streams->all.first != NULL) {
    bmwi_stream *stream = (bmwi_stream *)streams->all.first;
    stream->serve(stream, NULL);
  }
  bmwi_timers_free(&streams->timers);
}
