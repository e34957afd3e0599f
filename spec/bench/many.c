/*
** A plain libcurl program for many requests at once: curl_multi_socket_action
** over epoll. Each handle is made once and used again.
** usage: many URL CA-FILE AT-ONCE          a worker
**        many URL CA-FILE AT-ONCE decode   another, which gives each body to cjson.decode
**        many URL CA-FILE N hold CAP       memory of N handles that wait
*/
#include <sys/epoll.h>
#include <time.h>

#include "decode.h"

static CURLM *multi;
static int poller;
static double timer = -1; /* when libcurl wants to be called; negative: not */
static CURL **handles;
static body *bodies;
static long at_once;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int on_socket(CURL *easy, curl_socket_t s, int what, void *user, void *known) {
  struct epoll_event event = {.data = {.fd = s}};
  (void)easy;
  (void)user;
  if (what == CURL_POLL_REMOVE) {
    epoll_ctl(poller, EPOLL_CTL_DEL, s, NULL);
    return 0;
  }
  if (what & CURL_POLL_IN) event.events |= EPOLLIN;
  if (what & CURL_POLL_OUT) event.events |= EPOLLOUT;
  epoll_ctl(poller, known == NULL ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, s, &event);
  if (known == NULL) curl_multi_assign(multi, s, &poller);
  return 0;
}

static int on_timer(CURLM *m, long ms, void *user) {
  (void)m;
  (void)user;
  timer = ms < 0 ? -1 : now() + (double)ms / 1000;
  return 0;
}

static void step(double most) {
  struct epoll_event events[64];
  int running;
  double left = timer < 0 ? most : timer - now();
  if (left > most) left = most;
  int n = epoll_wait(poller, events, 64, left > 0 ? (int)(left * 1000 + 0.999) : 0);
  for (int i = 0; i < n; i++) {
    int what = 0;
    if (events[i].events & EPOLLIN) what |= CURL_CSELECT_IN;
    if (events[i].events & EPOLLOUT) what |= CURL_CSELECT_OUT;
    if (events[i].events & (EPOLLERR | EPOLLHUP)) what |= CURL_CSELECT_ERR;
    curl_multi_socket_action(multi, events[i].data.fd, what, &running);
  }
  if (timer >= 0 && timer <= now()) {
    timer = -1;
    curl_multi_socket_action(multi, CURL_SOCKET_TIMEOUT, 0, &running);
  }
}

static void run(long n) {
  long started = 0, ended = 0;
  for (; started < n && started < at_once; started++) {
    bodies[started].len = 0;
    curl_multi_add_handle(multi, handles[started]);
  }
  while (ended < n) {
    CURLMsg *message;
    int left;
    step(10);
    while ((message = curl_multi_info_read(multi, &left)) != NULL) {
      CURL *easy = message->easy_handle;
      body *b;
      check_answer(easy, message->data.result);
      curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&b);
      curl_multi_remove_handle(multi, easy);
      decode(b);
      ended++;
      if (started == n) continue;
      started++;
      b->len = 0;
      curl_multi_add_handle(multi, easy);
    }
  }
}

static void prepare(long first, long last, const char *url, const char *ca) {
  for (long i = first; i < last; i++) {
    handles[i] = make(url, ca, &bodies[i]);
    curl_easy_setopt(handles[i], CURLOPT_PRIVATE, &bodies[i]);
  }
}

static void wait_for(long first, long last, double seconds) {
  double end = now() + seconds;
  for (long i = first; i < last; i++) curl_multi_add_handle(multi, handles[i]);
  while (now() < end) step(0.1);
}

/* Memory of one more handle while all connections are busy. */
static void hold(long cap, const char *url, const char *ca) {
  prepare(0, cap, url, ca);
  wait_for(0, cap, 1);
  double before = memory("VmRSS");
  prepare(cap, at_once, url, ca);
  wait_for(cap, at_once, 1);
  printf("%.0f\n", (memory("VmRSS") - before) / (double)(at_once - cap));
}

int main(int argc, char **argv) {
  check(argc >= 4 && argc <= 6, "usage: many URL CA-FILE N [decode | hold CAP]");
  curl_global_init(CURL_GLOBAL_DEFAULT);
  at_once = atol(argv[3]);
  long cap = argc == 6 ? atol(argv[5]) : at_once;
  multi = curl_multi_init();
  poller = epoll_create1(EPOLL_CLOEXEC);
  handles = calloc((size_t)at_once, sizeof *handles);
  bodies = calloc((size_t)at_once, sizeof *bodies);
  check(multi != NULL && poller >= 0 && handles != NULL && bodies != NULL, "no memory");
  curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket);
  curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer);
  curl_multi_setopt(multi, CURLMOPT_MAX_HOST_CONNECTIONS, cap);
  curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, cap);
  if (argc == 6) {
    hold(cap, argv[1], argv[2]);
    return 0;
  }
  prepare(0, at_once, argv[1], argv[2]);
  if (argc == 5) open_lua();
  work(RUSAGE_SELF, run, tidy);
  return 0;
}
