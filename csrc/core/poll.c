/*
** Poll: see poll.h. Owns the epoll (or kqueue) descriptor and the timer in it.
*/
#include "core/poll.h"

#include <stdint.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"

#if defined(__linux__)
#include <sys/epoll.h>
#include <sys/timerfd.h>
#else
#include <sys/event.h>
#endif

#define LONGEST_WAIT 86400.0 /* seconds; whoever waits longer comes back and waits again */

void bmwi_poll_close(bmwi_poll *poll) {
  if (poll->timer >= 0 && poll->timer != poll->fd) close(poll->timer);
  if (poll->fd >= 0) close(poll->fd);
  poll->fd = poll->timer = -1;
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

void bmwi_poll_watch(bmwi_poll *poll, int fd, bool readable, bool writable, bool known,
                     unsigned tag) {
  struct epoll_event event = {.data = {.u64 = (uint64_t)tag << 32 | (unsigned)fd}};
  if (readable) event.events |= EPOLLIN;
  if (writable) event.events |= EPOLLOUT;
  int change = event.events == 0 ? EPOLL_CTL_DEL : known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
  epoll_ctl(poll->fd, change, fd, &event);
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

void bmwi_poll_timer(bmwi_poll *poll) { poll->timer = poll->fd; } /* kqueue has timers of its own */

static void set_timer(bmwi_poll *poll, double wake) {
  struct kevent change;
  double left = wake < 0 ? 0 : wake - bmwi_now();
  if (left < 0) left = 0;
  EV_SET(&change, 1, EVFILT_TIMER, wake < 0 ? EV_DELETE : EV_ADD | EV_ONESHOT, 0,
         bmwi_milliseconds(left), NULL);
  kevent(poll->fd, &change, 1, NULL, 0, NULL);
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
  if (seconds > 0) {
    wait.tv_sec = (time_t)(seconds < LONGEST_WAIT ? seconds : LONGEST_WAIT);
    wait.tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9);
  }
  int count = kevent(poll->fd, NULL, 0, found, BMWI_POLL_MAX, seconds < 0 ? NULL : &wait);
  int sockets = 0;
  *more = count == BMWI_POLL_MAX;
  for (int i = 0; i < count; i++) {
    if (found[i].filter == EVFILT_TIMER) {
      poll->armed = -1; /* it was for once */
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
