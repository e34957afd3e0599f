/*
** The clocks.
*/
#ifndef BMWI_CLOCK_H
#define BMWI_CLOCK_H

#include <time.h>

static inline double bmwi_read_clock(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Seconds on a clock that never goes backwards. */
static inline double bmwi_now(void) { return bmwi_read_clock(CLOCK_MONOTONIC); }

/* Seconds since 1970. */
static inline double bmwi_wall(void) { return bmwi_read_clock(CLOCK_REALTIME); }

/* Rounded up, so that nothing is called too early. (Without libm, which a host may not have
** loaded.) */
static inline long bmwi_milliseconds(double seconds) {
  double ms = seconds * 1000;
  long whole = (long)ms;
  return (double)whole < ms ? whole + 1 : whole;
}

#endif
