/*
** Poll: many sockets and one timer behind one descriptor that a host can watch. epoll on Linux,
** kqueue elsewhere. Plain POSIX, no libcurl.
*/
#ifndef BMWI_POLL_H
#define BMWI_POLL_H

#include <stdbool.h>

#pragma GCC visibility push(hidden)

/* The maximum number of events of one wait. Each one's operation is delivered only after all of
** them: with 64, many statuses at once took about 2 % more of the processor (measured). */
#define BMWI_POLL_MAX 16

struct bmwi_watch;

typedef struct bmwi_poll {
  int fd;       /* negative: not open */
  int timer;    /* makes `fd` readable when it expires; negative until one is wanted */
  double armed; /* the time that the timer is set to; negative: off */
  struct bmwi_watch *watches; /* connections, by descriptor */
  int room;
} bmwi_poll;

/* What happened to a socket. */
typedef struct bmwi_event {
  int fd;
  unsigned tag;
  bool readable, writable, failed;
} bmwi_event;

/* False if there are no descriptors left. */
bool bmwi_poll_open(bmwi_poll *poll);
void bmwi_poll_close(bmwi_poll *poll);

/* Call when a connection was opened, and before it is closed. In between it stays registered even
** while it is unused, which saves two system calls for each exchange; an event then unregisters it.
** A descriptor that was closed and reused without our knowledge is recognised by its inode. */
void bmwi_poll_opened(bmwi_poll *poll, int fd);
void bmwi_poll_closing(bmwi_poll *poll, int fd);
/* Whether this is such a connection. */
bool bmwi_poll_owns(const bmwi_poll *poll, int fd);

/* Watches a socket from now on, or stops if neither is set. `known`: it is already being watched.
** Its events carry the tag; 0 is libcurl's. */
void bmwi_poll_watch(bmwi_poll *poll, int fd, bool readable, bool writable, bool known,
                     unsigned tag);

/* Makes `fd` readable at a time on the monotonic clock (negative: never), after bmwi_poll_timer has
** been called once. An expired timer stays readable until bmwi_poll_wait has seen it. */
void bmwi_poll_timer(bmwi_poll *poll);
void bmwi_poll_arm(bmwi_poll *poll, double wake);

/* Waits at most `seconds` (negative: indefinitely). Returns the number of sockets with events,
** without the timer; `more`: there may be others. */
int bmwi_poll_wait(bmwi_poll *poll, double seconds, bmwi_event events[BMWI_POLL_MAX], bool *more);

#pragma GCC visibility pop

#endif
