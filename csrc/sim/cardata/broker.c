/* Must come first: plain C11 hides sockets. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "broker.h"

#include "../world.h"
#include "mqtt.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct place place;
static int listener = -1;
static int wake[2] = {-1, -1};
static pthread_t thread;
static bool running;
static bool stopping;
static bool with_tls;
static double (*tick)(double now);
/* A connection to our own port that fills its listen queue, so that no other handshake succeeds. */
static int filler = -1;
static struct sockaddr_storage filler_address;
static double stalled_until;

enum { BACKLOG = 1024 };

bool broker_running(void) { return running; }

bool broker_listening(void) { return listener >= 0; }

void broker_wake(void) {
  ssize_t ignored = running ? write(wake[1], "x", 1) : 0;
  (void)ignored;
}

static void accept_all(void) {
  for (;;) {
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    int fd = accept(listener, (struct sockaddr *)&address, &length);
    if (fd < 0) {
      return;
    }
    if (filler >= 0 && memcmp(&address, &filler_address, length) == 0) {
      close(fd);
    } else {
      session_open(fd, &address);
    }
  }
}

/* ---- a listener whose queue is full ---- */

const char *broker_stall(double seconds) {
  struct sockaddr_storage address = {0};
  socklen_t length = sizeof address;
  if (listener < 0) {
    return "the broker is not listening";
  }
  if (filler >= 0) {
    return "the broker is already stalled";
  }
  if (getsockname(listener, (struct sockaddr *)&address, &length) == 0) {
    filler = socket(address.ss_family, SOCK_STREAM, 0);
  }
  if (filler < 0 || fcntl(filler, F_SETFD, FD_CLOEXEC) != 0 || listen(listener, 0) != 0 ||
      connect(filler, (struct sockaddr *)&address, length) != 0) {
    return "cannot fill the listen queue";
  }
  length = sizeof filler_address;
  getsockname(filler, (struct sockaddr *)&filler_address, &length);
  stalled_until = world_now() + seconds;
  return NULL;
}

static bool stalled(void) { return filler >= 0 && world_now() < stalled_until; }

static void end_stall(void) {
  if (filler < 0 || stalled()) {
    return;
  }
  if (listener >= 0) {
    listen(listener, BACKLOG);
    accept_all();
  }
  close(filler);
  filler = -1;
}

/* ---- the loop ---- */

/* What to wait for: the wake pipe, the listener, each session. */
struct watched {
  struct pollfd *list;
  size_t count;
  size_t room;
};

static void watch(struct watched *watched, int fd, short events) {
  if (watched->count == watched->room) {
    size_t room = watched->room * 2 + 16;
    struct pollfd *list = must_alloc(room * sizeof *list);
    if (watched->count > 0) {
      memcpy(list, watched->list, watched->count * sizeof *list);
    }
    free(watched->list);
    watched->list = list;
    watched->room = room;
  }
  /* Without events the fd is left out, since poll would report a hang-up again and again. */
  watched->list[watched->count++] = (struct pollfd){.fd = events != 0 ? fd : -1, .events = events};
}

/* In milliseconds, for poll. */
static int wait_time(double due) {
  double left = (due - world_now()) * 1000;
  return left > 3600e3 ? 3600 * 1000 : left > 0 ? (int)left + 1 : 0;
}

static double step(const struct watched *watched) {
  size_t i = 2;
  struct session *last = session_first(); /* sessions accepted below are put before it */
  char drained[64];
  while (read(wake[0], drained, sizeof drained) > 0) {}
  if (listener >= 0 && watched->list[1].revents != 0 && !stalled()) {
    accept_all();
  }
  end_stall();
  for (struct session *s = last; s != NULL; s = s->next, i++) {
    session_step(s, watched->list[i].revents);
    mqtt_take(s);
  }
  double due = tick(world_now());
  due = filler >= 0 && stalled_until < due ? stalled_until : due;
  for (struct session *s = session_first(); s != NULL; s = s->next) {
    mqtt_watch(s);
    session_step(s, 0); /* sends what has been queued */
    mqtt_watch(s);
  }
  sessions_sweep();
  for (struct session *s = session_first(); s != NULL; s = s->next) {
    double then = session_due(s);
    due = then < due ? then : due;
    then = mqtt_due(s);
    due = then < due ? then : due;
  }
  return due;
}

static void *serve(void *unused) {
  struct watched watched = {0};
  (void)unused;
  world_lock();
  double due = tick(world_now());
  while (!stopping) {
    watched.count = 0;
    watch(&watched, wake[0], POLLIN);
    watch(&watched, listener, stalled() ? 0 : POLLIN);
    for (struct session *s = session_first(); s != NULL; s = s->next) {
      watch(&watched, s->link.fd, session_events(s));
    }
    int timeout = wait_time(due);
    world_unlock();
    poll(watched.list, watched.count, timeout);
    world_lock();
    due = step(&watched);
  }
  world_unlock();
  free(watched.list);
  return NULL;
}

static const char *open_listener(void) {
  listener = place_listen(&place);
  if (listener >= 0 && fcntl(listener, F_SETFL, O_NONBLOCK) == 0) {
    return NULL;
  }
  return "cannot listen on the port";
}

const char *broker_listen(bool wanted) {
  if (wanted == (listener >= 0)) {
    return NULL;
  }
  if (wanted) {
    return open_listener();
  }
  shutdown(listener, SHUT_RDWR); /* or poll, in the broker's thread, would keep it open */
  close(listener);
  listener = -1;
  mqtt_end_all("the broker was stopped", 0, END_CUT);
  return NULL;
}

bool broker_start(const struct place *where, const char *key, const char *cert,
                  double (*on_tick)(double now)) {
  place = *where;
  tick = on_tick;
  with_tls = cert != NULL;
  if (!links_start(key, cert) || open_listener() != NULL) {
    return false;
  }
  if (pipe(wake) != 0 || fcntl(wake[0], F_SETFL, O_NONBLOCK) != 0 ||
      fcntl(wake[1], F_SETFL, O_NONBLOCK) != 0 || pthread_create(&thread, NULL, serve, NULL) != 0) {
    perror("bmwi-sim: cannot start the stream's broker");
    return false;
  }
  world_lock();
  running = true;
  world_watch(broker_wake);
  world_unlock();
  return true;
}

void broker_announce(void) {
  world_lock();
  if (running && listener >= 0) {
    place_announce(listener, "streaming", with_tls ? "mqtts" : "mqtt");
  }
  world_unlock();
}

void broker_end(void) {
  if (running) {
    world_lock();
    stopping = true;
    broker_wake();
    world_unlock();
    pthread_join(thread, NULL);
    running = false;
    close(wake[0]);
    close(wake[1]);
  }
  if (filler >= 0) {
    close(filler);
    filler = -1;
  }
  if (listener >= 0) {
    close(listener);
    listener = -1;
  }
  mqtt_reset();
  sessions_sweep();
  links_end();
}
