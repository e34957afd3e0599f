/*
** Poll: see poll.h. Owns the epoll (or kqueue) descriptor and its timer.
*/
#include "core/poll.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"

#if defined(__linux__)
#include <sys/epoll.h>
#include <sys/timerfd.h>
#else
#include <sys/event.h>
#endif

#define LONGEST_WAIT 86400.0 /* seconds; a longer wait is continued after waking up */

void bmwi_poll_close(bmwi_poll *poll) {
  if (poll->timer >= 0 && poll->timer != poll->fd) close(poll->timer);
  if (poll->fd >= 0) close(poll->fd);
  poll->fd = poll->timer = -1;
  free(poll->watches);
  poll->watches = NULL;
  poll->room = 0;
}

#if defined(__linux__)

bool bmwi_poll_open(bmwi_poll *poll) {
  poll->fd = epoll_create1(EPOLL_CLOEXEC);
  poll->timer = -1;
  poll->armed = -1;
  return poll->fd >= 0;
}

void bmwi_poll_timer(bmwi_poll *poll) {
  if (poll->timer >= 0) return;
  poll->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  struct epoll_event event = {.events = EPOLLIN, .data = {.u64 = (unsigned)poll->timer}};
  if (poll->timer >= 0) epoll_ctl(poll->fd, EPOLL_CTL_ADD, poll->timer, &event);
}

static void set_timer(bmwi_poll *poll, double wake) {
  struct itimerspec when = {.it_value = {0, 0}};
  if (wake >= 0) {
    when.it_value.tv_sec = (time_t)wake;
    when.it_value.tv_nsec = (long)((wake - (double)when.it_value.tv_sec) * 1e9) + 1; /* 0 is off */
    if (when.it_value.tv_nsec > 999999999) when.it_value.tv_nsec = 999999999;
  }
  timerfd_settime(poll->timer, TFD_TIMER_ABSTIME, &when, NULL);
}

/* A connection as registered with epoll. */
struct bmwi_watch {
  ino_t inode;     /* 0: none */
  uint32_t events; /* the events that it is watched for */
  bool idle;       /* currently unused */
};

/* NULL if it is not one of our connections. */
static struct bmwi_watch *watch_of(const bmwi_poll *poll, int fd) {
  return fd < poll->room && poll->watches[fd].inode != 0 ? &poll->watches[fd] : NULL;
}

static ino_t inode_of(int fd) {
  struct stat st;
  return fstat(fd, &st) == 0 ? st.st_ino : 0;
}

/* Without memory it is watched like any other socket. */
void bmwi_poll_opened(bmwi_poll *poll, int fd) {
  if (fd >= poll->room) {
    int room = fd < 64 ? 64 : 2 * fd;
    struct bmwi_watch *more = realloc(poll->watches, (size_t)room * sizeof *more);
    if (more == NULL) return;
    for (int i = poll->room; i < room; i++) more[i] = (struct bmwi_watch){.inode = 0};
    poll->watches = more;
    poll->room = room;
  }
  poll->watches[fd] = (struct bmwi_watch){.inode = inode_of(fd)};
}

static void control(bmwi_poll *poll, int fd, uint32_t events, bool known, unsigned tag) {
  struct epoll_event event = {.events = events,
                              .data = {.u64 = (uint64_t)tag << 32 | (unsigned)fd}};
  epoll_ctl(poll->fd,
            events == 0 ? EPOLL_CTL_DEL
            : known     ? EPOLL_CTL_MOD
                        : EPOLL_CTL_ADD,
            fd, &event);
}

/* Another process may have it open too, and epoll would continue to watch it. */
void bmwi_poll_closing(bmwi_poll *poll, int fd) {
  struct bmwi_watch *watch = watch_of(poll, fd);
  if (watch == NULL) return;
  if (watch->events != 0) control(poll, fd, 0, true, 0);
  watch->inode = 0;
}

bool bmwi_poll_owns(const bmwi_poll *poll, int fd) { return watch_of(poll, fd) != NULL; }

void bmwi_poll_watch(bmwi_poll *poll, int fd, bool readable, bool writable, bool known,
                     unsigned tag) {
  uint32_t events = (readable ? (uint32_t)EPOLLIN : 0) | (writable ? (uint32_t)EPOLLOUT : 0);
  struct bmwi_watch *watch = tag == 0 ? watch_of(poll, fd) : NULL;
  if (watch != NULL && !known && inode_of(fd) != watch->inode) {
    watch->inode = 0;
    watch = NULL;
  }
  if (watch == NULL) {
    control(poll, fd, events, known, tag);
    return;
  }
  watch->idle = events == 0 && watch->events != 0;
  if (watch->idle) events = EPOLLIN; /* until something happens to it */
  if (watch->events == events) return;
  control(poll, fd, events, watch->events != 0, 0);
  watch->events = events;
}

/* After an event on an unused connection, stops watching it: libcurl notices when it uses it. */
static bool unwatch_idle(bmwi_poll *poll, int fd) {
  struct bmwi_watch *watch = watch_of(poll, fd);
  if (watch == NULL || !watch->idle) return false;
  control(poll, fd, 0, true, 0);
  watch->events = 0;
  watch->idle = false;
  return true;
}

int bmwi_poll_wait(bmwi_poll *poll, double seconds, bmwi_event events[BMWI_POLL_MAX], bool *more) {
  struct epoll_event found[BMWI_POLL_MAX];
  if (seconds > LONGEST_WAIT) seconds = LONGEST_WAIT;
  int ms = seconds < 0 ? -1 : (int)bmwi_milliseconds(seconds);
  int count = epoll_wait(poll->fd, found, BMWI_POLL_MAX, ms), sockets = 0;
  *more = count == BMWI_POLL_MAX;
  for (int i = 0; i < count; i++) {
    int fd = (int)(found[i].data.u64 & 0xFFFFFFFF);
    if (fd == poll->timer) {
      bmwi_poll_arm(poll, -1);
      continue;
    }
    if (found[i].data.u64 >> 32 == 0 && unwatch_idle(poll, fd)) continue;
    events[sockets++] = (bmwi_event){
      .fd = fd,
      .tag = (unsigned)(found[i].data.u64 >> 32),
      .readable = (found[i].events & EPOLLIN) != 0,
      .writable = (found[i].events & EPOLLOUT) != 0,
      .failed = (found[i].events & (EPOLLERR | EPOLLHUP)) != 0,
    };
  }
  return sockets;
}

#else

bool bmwi_poll_open(bmwi_poll *poll) {
  poll->fd = kqueue();
  poll->timer = -1;
  poll->armed = -1;
  return poll->fd >= 0;
}

void bmwi_poll_timer(bmwi_poll *poll) { poll->timer = poll->fd; } /* kqueue has its own timers */

static void set_timer(bmwi_poll *poll, double wake) {
  struct kevent change;
  double left = wake < 0 ? 0 : wake - bmwi_now();
  if (left < 0) left = 0;
  EV_SET(&change, 1, EVFILT_TIMER, wake < 0 ? EV_DELETE : EV_ADD | EV_ONESHOT, 0,
         bmwi_milliseconds(left), NULL);
  kevent(poll->fd, &change, 1, NULL, 0, NULL);
}

/* kqueue forgets closed descriptors; saving system calls here has not been tried. */
void bmwi_poll_opened(bmwi_poll *poll, int fd) { (void)poll, (void)fd; }
void bmwi_poll_closing(bmwi_poll *poll, int fd) { (void)poll, (void)fd; }
bool bmwi_poll_owns(const bmwi_poll *poll, int fd) {
  (void)poll, (void)fd;
  return false;
}

void bmwi_poll_watch(bmwi_poll *poll, int fd, bool readable, bool writable, bool known,
                     unsigned tag) {
  struct kevent change;
  void *user = (void *)(uintptr_t)tag;
  (void)known;
  EV_SET(&change, fd, EVFILT_READ, readable ? EV_ADD : EV_DELETE, 0, 0, user);
  kevent(poll->fd, &change, 1, NULL, 0, NULL);
  EV_SET(&change, fd, EVFILT_WRITE, writable ? EV_ADD : EV_DELETE, 0, 0, user);
  kevent(poll->fd, &change, 1, NULL, 0, NULL);
}

int bmwi_poll_wait(bmwi_poll *poll, double seconds, bmwi_event events[BMWI_POLL_MAX], bool *more) {
  struct kevent found[BMWI_POLL_MAX];
  struct timespec wait = {.tv_sec = 0, .tv_nsec = 0};
  if (seconds > LONGEST_WAIT) seconds = LONGEST_WAIT;
  if (seconds > 0) {
    wait.tv_sec = (time_t)seconds;
    wait.tv_nsec = (long)((seconds - (double)wait.tv_sec) * 1e9);
  }
  int count = kevent(poll->fd, NULL, 0, found, BMWI_POLL_MAX, seconds < 0 ? NULL : &wait);
  int sockets = 0;
  *more = count == BMWI_POLL_MAX;
  for (int i = 0; i < count; i++) {
    if (found[i].filter == EVFILT_TIMER) {
      poll->armed = -1; /* it fires once */
      continue;
    }
    events[sockets++] = (bmwi_event){
      .fd = (int)found[i].ident,
      .tag = (unsigned)(uintptr_t)found[i].udata,
      .readable = found[i].filter == EVFILT_READ,
      .writable = found[i].filter != EVFILT_READ,
    };
  }
  return sockets;
}

#endif

void bmwi_poll_arm(bmwi_poll *poll, double wake) {
  if (poll->timer < 0 || wake == poll->armed) return;
  poll->armed = wake;
  set_timer(poll, wake);
}
