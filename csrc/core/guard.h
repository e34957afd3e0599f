/*
** Guard: keeps writing from ending the process by a signal, and libcurl from leaking its sockets to
** child programs. Plain POSIX, no libcurl.
*/
#ifndef BMWI_GUARD_H
#define BMWI_GUARD_H

#include <signal.h>
#include <stdbool.h>

#pragma GCC visibility push(hidden)

typedef struct bmwi_guard {
  sigset_t before; /* the thread's signal mask */
  int number;      /* the signal */
  bool blocked;    /* it was already blocked: nothing was changed */
} bmwi_guard;

/* For SIGPIPE (see bmwi_transport_guard), and for SIGXFSZ around writing a file. Both signals go to
** the thread that writes. */
void bmwi_guard_enter(bmwi_guard *guard, int number);
void bmwi_guard_leave(const bmwi_guard *guard);

/* Sets close-on-exec for one of libcurl's sockets and, if it belongs to a pair (like that of the
** resolver thread), for the other one. */
void bmwi_guard_socket(int fd);
/* The same for a pair that libcurl does not report, such as the one that wakes a multi handle. Take
** `lowest` before the pair is created, call look, write something to the pair, and then call
** guard. */
#define BMWI_PAIR_NEAR 16 /* number of descriptors to search */
typedef struct bmwi_pair {
  int lowest, before[BMWI_PAIR_NEAR];
} bmwi_pair;
int bmwi_pair_lowest(void);
void bmwi_pair_look(bmwi_pair *pair, int lowest);
void bmwi_pair_guard(const bmwi_pair *pair);

/* A byte that is 1 in this process and 0 in forked children, which saves a call of getpid; NULL
** where that is not supported. */
char *bmwi_guard_mark(void);
void bmwi_guard_unmark(char *mark);

#pragma GCC visibility pop

#endif
