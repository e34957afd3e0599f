/*
** Guard: what libcurl must not do to the process that it is in: end it by SIGPIPE, or hand its
** sockets to the programs that the process starts. Plain POSIX, no libcurl.
*/
#ifndef BMWI_GUARD_H
#define BMWI_GUARD_H

#include <signal.h>
#include <stdbool.h>

#pragma GCC visibility push(hidden)

typedef struct bmwi_guard {
  sigset_t before; /* the thread's signal mask */
  bool blocked;    /* SIGPIPE was blocked already: nothing was changed */
} bmwi_guard;

/* Around calls of libcurl that may write to a connection. A TLS library may do that by write(2),
** and with CURLOPT_NOSIGNAL libcurl leaves SIGPIPE to its caller. */
void bmwi_guard_enter(bmwi_guard *guard);
void bmwi_guard_leave(const bmwi_guard *guard);

/* Closes a socket of libcurl's in programs that are started. If it is one of a pair, as that of
** the resolver's thread is, the other one, too. */
void bmwi_guard_socket(int fd);
/* The same for a pair that libcurl does not report, as the one to wake a multi handle: `lowest` is
** taken before it is made, then looked at, then something is written to it, then it is known. */
#define BMWI_PAIR_NEAR 16 /* descriptors among which it is looked for */
typedef struct bmwi_pair {
  int lowest, before[BMWI_PAIR_NEAR];
} bmwi_pair;
int bmwi_pair_lowest(void);
void bmwi_pair_look(bmwi_pair *pair, int lowest);
void bmwi_pair_guard(const bmwi_pair *pair);

/* A byte that is 1 in this process and 0 in those that it forks, which saves asking for the
** process's number; NULL where there is no such thing. */
const volatile char *bmwi_guard_mark(void);
void bmwi_guard_unmark(const volatile char *mark);

#pragma GCC visibility pop

#endif
