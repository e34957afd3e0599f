/*
** The engine: see engine.h. Owns the curl_multi and a few idle easy handles for reuse; poll.h and
** timers.h implement the descriptor and the timers.
*/
#define _GNU_SOURCE /* dladdr */
#include "core/engine.h"

#include <curl/curl.h>
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/guard.h"
#include "core/handle.h"
#include "core/poll.h"
#include "core/transfer.h"

#define WATCHDOG 1.0     /* seconds after libcurl's own timeout */
#define IDLE_HANDLES 256 /* kept for reuse: as many exchanges may end before one is resumed */
#define CONNECTIONS 64   /* to one server, by default */
#define SERVERS 4        /* libcurl limits kept connections for all servers together */

struct bmwi_engine {
  CURLM *multi;
  CURLSH *share; /* TLS sessions; without it libcurl keeps them per easy handle */
  bmwi_poll poll;
  char *mark; /* zeroed in forked children, which must not use it; or NULL */
  pid_t pid;
  double curl_wake;     /* when libcurl wants to be called; negative: never */
  bmwi_timers timers;   /* of everything pending: when it must complete */
  long limit;           /* connections to one server; 0: unlimited */
  bool broken;          /* libcurl ran out of memory during an operation */
  bool stale;           /* too many connections may be open: make a new multi when idle */
  bool rushed;          /* the last step left work for the next one */
  bool asked;           /* the owner requested a step */
  bmwi_queue starting;  /* exchanges not yet passed to libcurl */
  size_t exchanges;     /* number of exchanges passed to libcurl */
  bmwi_queue completed; /* not yet returned */
  bmwi_queue deferred;  /* returned, but to be returned again */
  bmwi_handle *idle[IDLE_HANDLES];
  int idle_count;
  bmwi_streams streams;
  unsigned long transports; /* the number used so far */
  uint64_t random;
};

/* xorshift64*: good enough to spread retries. */
double bmwi_engine_random(bmwi_engine *engine) {
  uint64_t x = engine->random;
  x ^= x >> 12, x ^= x << 25, x ^= x >> 27;
  engine->random = x;
  return (double)((x * UINT64_C(2685821657736338717)) >> 11) / 9007199254740992.0;
}

static void act(bmwi_engine *engine, curl_socket_t s, int what) {
  int running;
  if (engine->broken) return; /* serve_due handles that */
  if (curl_multi_socket_action(engine->multi, s, what, &running) != CURLM_OK) engine->broken = true;
}

/* Reports socket events to libcurl for about 5 ms. */
static void serve_sockets(bmwi_engine *engine, const bmwi_event *events, int count) {
  double until = count > 1 ? bmwi_now() + BMWI_TIME_SLICE : 0;
  for (int i = 0; i < count; i++) {
    int what = (events[i].readable ? CURL_CSELECT_IN : 0) |
               (events[i].writable ? CURL_CSELECT_OUT : 0) |
               (events[i].failed ? CURL_CSELECT_ERR : 0);
    if (events[i].tag != 0) bmwi_streams_event(&engine->streams, &events[i]);
    else act(engine, events[i].fd, what);
    if (i + 1 == count || bmwi_now() < until) continue;
    engine->rushed = true; /* the others are reported again */
    break;
  }
}

/* ---- libcurl's callbacks: they only touch the engine's own memory --------- */

/* `known` is NULL for a socket that is not yet watched. */
static int on_socket(CURL *easy, curl_socket_t s, int what, void *user, void *known) {
  bmwi_engine *engine = user;
  (void)easy;
  if (known == NULL && !bmwi_poll_owns(&engine->poll, s)) bmwi_guard_socket(s);
  bool in = what == CURL_POLL_IN || what == CURL_POLL_INOUT;
  bool out = what == CURL_POLL_OUT || what == CURL_POLL_INOUT;
  bmwi_poll_watch(&engine->poll, s, in, out, known != NULL, 0);
  if (known == NULL) curl_multi_assign(engine->multi, s, engine);
  return 0;
}

static int on_timer(CURLM *multi, long ms, void *user) {
  (void)multi;
  ((bmwi_engine *)user)->curl_wake = ms < 0 ? -1 : bmwi_now() + (double)ms / 1000;
  return 0;
}

/* ---- lifetime ------------------------------------------------------------ */

static pthread_once_t global_once = PTHREAD_ONCE_INIT;
static CURLcode global_result;
static char version[256];

static void global_init(void) {
  global_result = curl_global_init(CURL_GLOBAL_DEFAULT);
  /* This writes to memory shared by all threads, so it is done once. curl_version is not used: it
  ** initialises the LDAP library, which looks up this machine's name. */
  const curl_version_info_data *info = curl_version_info(CURLVERSION_NOW);
  snprintf(version, sizeof version, "libcurl/%s %s", info->version,
           info->ssl_version != NULL ? info->ssl_version : "");
  bmwi_transport_setup();
  bmwi_handle_setup();
  /* Keeps this library, and thereby libcurl, in memory permanently: Lua unloads C modules when a
  ** state is closed, while libcurl's resolver thread may still be running. */
  Dl_info self;
  if (dladdr((void *)&global_once, &self) != 0 && self.dli_fname != NULL)
    dlopen(self.dli_fname, RTLD_LAZY | RTLD_NODELETE);
}

static void set_limit(const bmwi_engine *engine, CURLM *multi) {
  curl_multi_setopt(multi, CURLMOPT_MAX_HOST_CONNECTIONS, engine->limit);
  /* Otherwise libcurl closes kept connections above 4 per running handle. */
  curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, engine->limit * SERVERS);
}

static CURLM *new_multi(bmwi_engine *engine) {
  CURLM *multi = bmwi_multi_new();
  if (multi == NULL) return NULL;
  curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket);
  curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, engine);
  curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer);
  curl_multi_setopt(multi, CURLMOPT_TIMERDATA, engine);
  set_limit(engine, multi);
  return multi;
}

/* Makes a new multi without connections, once no exchange is running. */
static void renew(bmwi_engine *engine) {
  bmwi_guard guard;
  CURLM *multi = new_multi(engine);
  if (multi == NULL) return;
  bmwi_transport_guard(&guard);
  curl_multi_cleanup(engine->multi);
  bmwi_guard_leave(&guard);
  engine->multi = multi;
  engine->curl_wake = -1;
  engine->broken = engine->stale = false;
}

size_t bmwi_engine_size(void) { return sizeof(bmwi_engine); }

bool bmwi_engine_open(bmwi_engine *engine) {
  memset(engine, 0, sizeof *engine);
  pthread_once(&global_once, global_init);
  if (global_result != CURLE_OK) return false;
  engine->curl_wake = -1;
  engine->limit = CONNECTIONS;
  engine->pid = getpid();
  engine->mark = bmwi_guard_mark();
  engine->random =
    ((uint64_t)(bmwi_wall() * 1e6) ^ (uint64_t)(uintptr_t)engine ^ (uint64_t)engine->pid << 32) | 1;
  bool open = bmwi_poll_open(&engine->poll);
  engine->streams.poll = &engine->poll;
  engine->multi = new_multi(engine);
  engine->share = curl_share_init();
  if (!open || engine->multi == NULL || engine->share == NULL) {
    bmwi_engine_close(engine);
    return false;
  }
  curl_share_setopt(engine->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
  return true;
}

void bmwi_engine_close(bmwi_engine *engine) {
  if (!bmwi_engine_mine(engine)) return; /* the sockets belong to the parent process */
  bmwi_guard guard;
  bmwi_transport_guard(&guard);
  bmwi_streams_end(&engine->streams);
  while (engine->idle_count > 0) bmwi_handle_free(engine->idle[--engine->idle_count]);
  if (engine->multi != NULL) curl_multi_cleanup(engine->multi);
  if (engine->share != NULL) curl_share_cleanup(engine->share);
  bmwi_guard_leave(&guard);
  bmwi_poll_close(&engine->poll);
  bmwi_guard_unmark(engine->mark);
  bmwi_timers_free(&engine->timers);
  engine->mark = NULL;
  engine->pid = 0;
}

const char *bmwi_engine_version(void) { return version; }

bool bmwi_engine_mine(const bmwi_engine *engine) {
  return engine->mark != NULL ? *(const volatile char *)engine->mark != 0 : engine->pid == getpid();
}

long bmwi_engine_limit(bmwi_engine *engine, long connections) {
  long before = engine->limit;
  bool lower = connections > 0 && (before == 0 || connections < before);
  engine->limit = connections;
  set_limit(engine, engine->multi);
  /* libcurl would continue to use all open connections, so the multi is replaced. */
  engine->stale = engine->stale || lower;
  if (engine->stale && engine->exchanges == 0) renew(engine);
  return before;
}

bmwi_streams *bmwi_engine_streams(bmwi_engine *engine) { return &engine->streams; }

static void complete(bmwi_engine *engine, bmwi_transfer *t) {
  t->phase = BMWI_COMPLETED;
  bmwi_queue_add(&engine->completed, &t->link);
}

bmwi_transfer *bmwi_engine_next(bmwi_engine *engine) {
  bmwi_transfer *t = (bmwi_transfer *)bmwi_queue_take(&engine->completed);
  if (t != NULL) t->phase = BMWI_IDLE;
  return t;
}

void bmwi_engine_defer(bmwi_engine *engine, bmwi_transfer *t) {
  bmwi_queue_leave(&t->link); /* a hook may have completed it a second time */
  t->phase = BMWI_COMPLETED;
  bmwi_queue_add(&engine->deferred, &t->link);
}

void bmwi_engine_release(bmwi_engine *engine) {
  for (bmwi_link *link; (link = bmwi_queue_take(&engine->deferred)) != NULL;)
    bmwi_queue_add(&engine->completed, link);
}

/* ---- transfers ------------------------------------------------------------ */

/* The transfer that owns a timer. */
static bmwi_transfer *transfer_of(bmwi_timer *timer) {
  return (bmwi_transfer *)((char *)timer - offsetof(bmwi_transfer, timer));
}

bool bmwi_engine_pause(bmwi_engine *engine, bmwi_transfer *t, double wake) {
  if (!bmwi_engine_mine(engine) || !bmwi_timers_reserve(&engine->timers)) return false;
  t->phase = BMWI_PAUSING;
  bmwi_timers_add(&engine->timers, &t->timer, wake);
  return true;
}

void bmwi_transfer_init(bmwi_transfer *t, size_t max_body, bool secret) {
  memset(t, 0, sizeof *t);
  t->retry_after = -1;
  bmwi_buffer_init(&t->body, max_body, secret);
}

/* Keeps the handle for reuse; `good`: with its options. It may close the connection, so call it
** only inside a guard. */
static void give_back(bmwi_engine *engine, bmwi_transfer *t, bool good) {
  bmwi_queue_leave(&t->link);
  if (t->handle == NULL) return;
  if (t->phase == BMWI_SENDING) {
    curl_multi_remove_handle(engine->multi, bmwi_handle_easy(t->handle));
    engine->exchanges--;
  }
  bmwi_handle_end(t->handle, good);
  if (engine->idle_count < IDLE_HANDLES) engine->idle[engine->idle_count++] = t->handle;
  else bmwi_handle_free(t->handle);
  t->handle = NULL;
}

/* An idle handle that already has these options, or any idle one, or a new one. */
static bmwi_handle *find_handle(bmwi_engine *engine, const bmwi_transport *transport,
                                const bmwi_request *request) {
  int last = engine->idle_count - 1, i = last;
  while (i >= 0 && !bmwi_handle_fits(engine->idle[i], transport, request)) i--;
  if (last < 0) return bmwi_handle_new(engine->share, &engine->poll);
  if (i < 0) i = last;
  bmwi_handle *found = engine->idle[i];
  engine->idle[i] = engine->idle[last];
  engine->idle_count = last;
  return found;
}

void bmwi_engine_forget(bmwi_engine *engine, const bmwi_transport *transport) {
  if (!bmwi_engine_mine(engine)) return;
  for (int i = 0; i < engine->idle_count; i++) bmwi_handle_forget(engine->idle[i], transport);
}

void bmwi_engine_stop(bmwi_engine *engine, bmwi_transfer *t) {
  if (t->phase != BMWI_IDLE && !bmwi_engine_mine(engine)) return;
  if (t->phase == BMWI_COMPLETED) bmwi_queue_leave(&t->link);
  else if (t->phase != BMWI_IDLE) bmwi_timers_remove(&engine->timers, &t->timer);
  if (t->phase == BMWI_SENDING) bmwi_handle_note_sent(t->handle);
  if (t->phase == BMWI_STARTING || t->phase == BMWI_SENDING) {
    bmwi_guard guard;
    bmwi_transport_guard(&guard);
    give_back(engine, t, false);
    bmwi_guard_leave(&guard);
  }
  t->phase = BMWI_IDLE;
}

/* Not in a forked child: nothing takes it from the queue again there before it is freed. */
void bmwi_engine_complete(bmwi_engine *engine, bmwi_transfer *t) {
  if (!bmwi_engine_mine(engine)) return;
  bmwi_engine_stop(engine, t);
  complete(engine, t);
}

void bmwi_engine_complete_all(bmwi_engine *engine) {
  bmwi_engine_release(engine);
  while (engine->timers.count > 0)
    bmwi_engine_complete(engine, transfer_of(engine->timers.heap[0].timer));
}

void bmwi_transfer_release(bmwi_engine *engine, bmwi_transfer *t) {
  if (engine != NULL) bmwi_engine_stop(engine, t);
  bmwi_buffer_free(&t->body);
  bmwi_drop(&t->location);
  bmwi_drop(&t->error);
}

bool bmwi_engine_send(bmwi_engine *engine, bmwi_transfer *t, bmwi_transport *transport,
                      const bmwi_request *request, double seconds) {
  if (!bmwi_engine_mine(engine) || !bmwi_timers_reserve(&engine->timers)) return false;
  if (transport->serial == 0) transport->serial = ++engine->transports;
  t->handle = find_handle(engine, transport, request);
  if (t->handle == NULL) return false;
  if (!bmwi_handle_ask(t->handle, t, transport, request)) {
    give_back(engine, t, false);
    return false;
  }
  t->phase = BMWI_STARTING;
  bmwi_queue_add(&engine->starting, &t->link);
  bmwi_timers_add(&engine->timers, &t->timer, bmwi_now() + seconds + WATCHDOG);
  return true;
}

/* libcurl limits the length of a header line, and reports a longer one as "out of memory" up to 8.5
** and as CURLE_TOO_LARGE (100) since; it also reports no first byte before a complete line. */
static bool line_too_long(const bmwi_engine *engine, const bmwi_transfer *t, CURLcode result) {
  CURL *easy = bmwi_handle_easy(t->handle);
  curl_off_t first_byte = 0;
  long request_size = 0;
  if (result != CURLE_OUT_OF_MEMORY && (int)result != 100) return false;
  curl_easy_getinfo(easy, CURLINFO_STARTTRANSFER_TIME_T, &first_byte);
  curl_easy_getinfo(easy, CURLINFO_REQUEST_SIZE, &request_size);
  return !engine->broken && !t->no_memory && ((int)result == 100 ? request_size : first_byte) > 0 &&
         (t->in_headers || t->status < 200);
}

/* Records the outcome of a failed exchange. */
static void note_failure(const bmwi_engine *engine, bmwi_transfer *t, CURLcode result) {
  CURL *easy = bmwi_handle_easy(t->handle);
  long os_errno = 0;
  curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &os_errno);
  if (line_too_long(engine, t, result)) {
    t->too_large = true;
    result = CURLE_WRITE_ERROR;
  }
  if (result == CURLE_ABORTED_BY_CALLBACK) { /* by on_request: the first attempt got no response */
    result = CURLE_GOT_NOTHING;
    bmwi_drop(&t->error);
  }
  t->result = t->no_memory ? CURLE_OUT_OF_MEMORY : result;
  bmwi_handle_note_sent(t->handle);
  t->reset = os_errno == ECONNRESET || os_errno == EPIPE || /* libcurl 7.74: message only */
             (t->error != NULL && strstr(t->error, "reset by peer") != NULL);
}

/* Whether the response ended before the headers of the final response did (the others are interim:
** 1xx). libcurl takes such a response for complete. */
static bool cut_off(const bmwi_transfer *t) { return !t->headers_end || t->status < 200; }

static void collect(bmwi_engine *engine, bmwi_transfer *t, CURLcode result) {
  CURL *easy = bmwi_handle_easy(t->handle);
  curl_off_t total = 0;
  curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &t->status);
  curl_easy_getinfo(easy, CURLINFO_TOTAL_TIME_T, &total);
  t->seconds = (double)total / 1e6;
  if (result == CURLE_OK && cut_off(t)) {
    result = CURLE_PARTIAL_FILE;
    t->error = bmwi_copy("the connection was closed before the final response's headers ended");
  }
  bool good = result == CURLE_OK && t->status >= 200 && t->status <= 299;
  if (!good) bmwi_handle_note(t->handle);
  if (result != CURLE_OK) note_failure(engine, t, result);
  else t->sent = true;
  bmwi_timers_remove(&engine->timers, &t->timer);
  give_back(engine, t, good);
  complete(engine, t);
}

/* Whether exchanges can be started now. */
static bool can_start(const bmwi_engine *engine) {
  return engine->starting.first != NULL && !(engine->stale && engine->exchanges > 0);
}

/* Passes exchanges to libcurl one by one: each may open a connection, and fifty TLS connections at
** once would block the host for 50 ms. An exchange that has waited for this, or for its host, until
** its deadline is not sent. */
static void start(bmwi_engine *engine) {
  if (engine->stale && engine->exchanges == 0) renew(engine);
  if (engine->starting.first == NULL) return;
  double until = bmwi_now() + BMWI_TIME_SLICE;
  while (can_start(engine) && !engine->broken) {
    bmwi_transfer *t = (bmwi_transfer *)bmwi_queue_take(&engine->starting);
    double left = t->timer.wake - WATCHDOG - bmwi_now();
    CURL *easy = bmwi_handle_easy(t->handle);
    t->phase = BMWI_SENDING;
    engine->exchanges++;
    if (left <= 0) {
      collect(engine, t, CURLE_OPERATION_TIMEDOUT);
    } else if (curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, bmwi_milliseconds(left)) == CURLE_OK &&
               curl_multi_add_handle(engine->multi, easy) == CURLM_OK) {
      act(engine, CURL_SOCKET_TIMEOUT, 0);
    } else {
      collect(engine, t, CURLE_OUT_OF_MEMORY);
    }
    if (engine->starting.first != NULL && bmwi_now() >= until) break;
  }
}

/* libcurl ran out of memory during an operation: fails all exchanges passed to it, but not the
** pauses. libcurl 7.88 would divide by zero if its connection cache were used after that. */
static void break_off(bmwi_engine *engine) {
  for (size_t i = 0; engine->exchanges > 0; i++) { /* those behind it move up meanwhile */
    bmwi_transfer *t = transfer_of(engine->timers.heap[i % engine->timers.count].timer);
    if (t->phase == BMWI_SENDING) collect(engine, t, CURLE_OUT_OF_MEMORY);
  }
  renew(engine);
}

/* Ends what is due: pauses, and exchanges that libcurl should have completed. */
static void serve_due(bmwi_engine *engine) {
  double now = bmwi_now();
  if (engine->broken) break_off(engine);
  while (engine->timers.count > 0 && engine->timers.heap[0].wake <= now) {
    bmwi_transfer *t = transfer_of(engine->timers.heap[0].timer);
    if (t->phase == BMWI_PAUSING) bmwi_engine_complete(engine, t);
    else collect(engine, t, CURLE_OPERATION_TIMEDOUT);
  }
}

/* The earlier of two times; negative means none. */
static double earlier(double a, double b) { return a >= 0 && a < b ? a : b; }

/* When step must run at the latest; negative: not needed. */
static double due(const bmwi_engine *engine) {
  if (engine->completed.first != NULL || engine->rushed || engine->broken) return 0;
  if (can_start(engine)) return 0;
  double stream = bmwi_streams_due(&engine->streams);
  if (engine->timers.count == 0) return stream; /* libcurl may tend to kept connections later */
  return earlier(stream, earlier(engine->curl_wake, engine->timers.heap[0].wake));
}

int bmwi_engine_fd(bmwi_engine *engine) {
  bmwi_poll_timer(&engine->poll);
  bmwi_engine_arm(engine);
  return engine->poll.fd;
}

void bmwi_engine_arm(bmwi_engine *engine) {
  if (!bmwi_engine_mine(engine)) return;
  bmwi_poll_arm(&engine->poll, engine->asked ? 0 : due(engine));
}

void bmwi_engine_ask(bmwi_engine *engine, bool step) {
  engine->asked = step;
  bmwi_engine_arm(engine);
}

bool bmwi_engine_busy(const bmwi_engine *engine) { return due(engine) >= 0; }

/* Seconds until then; negative: never. */
static double left_until(double wake) {
  double left = wake < 0 ? -1 : wake - bmwi_now();
  return wake >= 0 && left < 0 ? 0 : left;
}

double bmwi_engine_timeout(const bmwi_engine *engine) {
  return engine->asked ? 0 : left_until(due(engine));
}

/* Runs libcurl's timers and collects completed exchanges. */
static void serve_libcurl(bmwi_engine *engine) {
  CURLMsg *message;
  int messages;
  if (engine->curl_wake >= 0 && engine->curl_wake <= bmwi_now()) {
    engine->curl_wake = -1;
    act(engine, CURL_SOCKET_TIMEOUT, 0);
  }
  while ((message = curl_multi_info_read(engine->multi, &messages)) != NULL)
    if (message->msg == CURLMSG_DONE)
      collect(engine, bmwi_handle_transfer(message->easy_handle), message->data.result);
}

void bmwi_engine_step(bmwi_engine *engine, double seconds) {
  if (!bmwi_engine_mine(engine)) return;
  bmwi_guard guard;
  bmwi_event events[BMWI_POLL_MAX];
  bmwi_transport_guard(&guard);
  start(engine); /* before waiting for responses */
  serve_libcurl(engine);
  double left = left_until(due(engine));
  if (seconds < 0 || (left >= 0 && left < seconds)) seconds = left;
  int count = bmwi_poll_wait(&engine->poll, seconds, events, &engine->rushed);
  serve_sockets(engine, events, count);
  serve_libcurl(engine);
  serve_due(engine);
  bmwi_streams_serve(&engine->streams);
  bmwi_guard_leave(&guard);
}
