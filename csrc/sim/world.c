/* Must come first: plain C11 hides clocks and signals. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t world = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t stop_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t stop_condition;
static bool stopping;
static int wake[2] = {-1, -1};
static struct timespec started;
static double started_epoch;
static double advanced;
static double speed = 1;
const double never = 1e18;
static void (*watcher)(void);

#ifdef __APPLE__
static const clockid_t pause_clock = CLOCK_REALTIME;
#else
static const clockid_t pause_clock = CLOCK_MONOTONIC;
#endif

void world_lock(void) { pthread_mutex_lock(&world); }

void world_unlock(void) { pthread_mutex_unlock(&world); }

double world_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)(now.tv_sec - started.tv_sec) + (double)(now.tv_nsec - started.tv_nsec) / 1e9 +
         advanced;
}

/* Called with the lock held, like everything that reads the clock. */
void world_advance(double seconds) {
  advanced += seconds;
  if (watcher != NULL) {
    watcher();
  }
}

double world_speed(void) { return speed; }

const char *world_set_speed(const char *value) {
  char *end;
  speed = strtod(value, &end);
  return end != value && *end == '\0' && speed > 0 && speed <= 1e6 ? NULL : "a number above 0";
}

void world_watch(void (*then)(void)) { watcher = then; }

void world_reset(void) { advanced = 0; }

double world_epoch(void) { return started_epoch + world_now(); }

bool world_pause(double seconds) {
  struct timespec until;
  clock_gettime(pause_clock, &until);
  until.tv_sec += (time_t)seconds;
  until.tv_nsec += (long)((seconds - (double)(time_t)seconds) * 1e9);
  if (until.tv_nsec >= 1000000000L) {
    until.tv_sec++;
    until.tv_nsec -= 1000000000L;
  }
  pthread_mutex_lock(&stop_mutex);
  int result = 0;
  while (!stopping && result == 0) {
    result = pthread_cond_timedwait(&stop_condition, &stop_mutex, &until);
  }
  bool running = !stopping;
  pthread_mutex_unlock(&stop_mutex);
  return running;
}

/* Async-signal-safe: only wakes the main thread. */
void world_stop(void) {
  int saved = errno;
  ssize_t ignored = write(wake[1], "x", 1);
  (void)ignored;
  errno = saved;
}

static void on_signal(int number) {
  (void)number;
  world_stop();
}

bool world_start(void) {
  pthread_condattr_t attributes;
  pthread_condattr_init(&attributes);
#ifndef __APPLE__
  pthread_condattr_setclock(&attributes, pause_clock);
#endif
  pthread_cond_init(&stop_condition, &attributes);
  pthread_condattr_destroy(&attributes);
  struct timespec epoch;
  clock_gettime(CLOCK_MONOTONIC, &started);
  clock_gettime(CLOCK_REALTIME, &epoch);
  started_epoch = (double)epoch.tv_sec + (double)epoch.tv_nsec / 1e9;
  if (pipe(wake) != 0 || fcntl(wake[1], F_SETFL, O_NONBLOCK) != 0) {
    perror("bmwi-sim: pipe");
    return false;
  }
  struct sigaction action;
  memset(&action, 0, sizeof action);
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  action.sa_handler = on_signal;
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGINT, &action, NULL);
  action.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &action, NULL);
  return true;
}

void world_wait(bool watch_stdout) {
  /* Without events, poll only reports that standard output's reader is gone. */
  struct pollfd watched[2] = {{.fd = wake[0], .events = POLLIN},
                              {.fd = watch_stdout ? STDOUT_FILENO : -1}};
  for (;;) {
    int ready = poll(watched, 2, -1);
    if (ready < 0 && errno != EINTR) {
      break;
    }
    if (ready > 0 && (watched[0].revents != 0 || watched[1].revents != 0)) {
      break;
    }
  }
}

void world_finish(void) {
  pthread_mutex_lock(&stop_mutex);
  stopping = true;
  pthread_cond_broadcast(&stop_condition);
  pthread_mutex_unlock(&stop_mutex);
}
