/*
** Poll: many sockets and one timer behind one descriptor that a host can watch.
** epoll on Linux, kqueue elsewhere. Plain POSIX, no libcurl.
*/
#ifndef BMWI_POLL_H
#define BMWI_POLL_H

#include <stdbool.h>

#pragma GCC visibility push(hidden)

#define BMWI_POLL_MAX 64 /* events of one wait */

struct bmwi_watch;

typedef struct bmwi_poll {
  int fd;       /* negative: not open */
  int timer;    /* makes `fd` readable when it expires; negative until one is wanted */
  double armed; /* what the timer is set to; negative: off */
  struct bmwi_watch *watches; /* of connections, by descriptor */
  int room;
} bmwi_poll;

/* What happened to a socket. */
typedef struct bmwi_event {
  int fd;
  unsigned tag;
  bool readable, writable, failed;
} bmwi_event;

/* False without descriptors. */
bool bmwi_poll_open(bmwi_poll *poll);
void bmwi_poll_close(bmwi_poll *poll);

/* A connection was made, or is to be closed. Between the two it is watched on while nobody uses it,
** which saves two system calls of each exchange; what happens to it then ends that. A descriptor
** that is closed behind our back and used again is another socket: its inode says so. */
void bmwi_poll_opened(bmwi_poll *poll, int fd);
void bmwi_poll_closing(bmwi_poll *poll, int fd);
/* Whether this is such a connection. */
bool bmwi_poll_owns(const bmwi_poll *poll, int fd);

/* Watches a socket from now on, or (neither) no longer. `known`: it is being watched already. Its
** events have that tag; 0 is libcurl's. */
void bmwi_poll_watch(bmwi_poll *poll, int fd, bool readable, bool writable, bool known,
                     unsigned tag);

/* Has `fd` become readable at a moment of the monotonic clock (negative: never), from the first
** call of bmwi_poll_timer on. An expired timer stays readable until bmwi_poll_wait has seen it. */
void bmwi_poll_timer(bmwi_poll *poll);
void bmwi_poll_arm(bmwi_poll *poll, double wake);

/* Waits at most `seconds` (negative: as long as it takes). Returns how many sockets have
** something, the timer left out; `more`: others may have, too. */
int bmwi_poll_wait(bmwi_poll *poll, double seconds, bmwi_event events[BMWI_POLL_MAX], bool *more);

#pragma GCC visibility pop

#endif
