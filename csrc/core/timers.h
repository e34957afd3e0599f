/*
** Timers: a binary heap of times. A timer is embedded in its owner and knows its slot, so that it
** can be removed from the middle. Plain C.
*/
#ifndef BMWI_TIMERS_H
#define BMWI_TIMERS_H

#include <stdbool.h>
#include <stddef.h>

#pragma GCC visibility push(hidden)

typedef struct bmwi_timer {
  size_t slot; /* place in the heap */
  double wake;
} bmwi_timer;

typedef struct bmwi_timer_entry {
  double wake; /* the timer's, so that the heap is sorted without reading the timers */
  bmwi_timer *timer;
} bmwi_timer_entry;

typedef struct bmwi_timers {
  bmwi_timer_entry *heap; /* the earliest comes first */
  size_t count, cap;
} bmwi_timers;

/* Makes room for one more; false without memory. */
bool bmwi_timers_reserve(bmwi_timers *timers);
/* Adds one for which there is room. */
void bmwi_timers_add(bmwi_timers *timers, bmwi_timer *timer, double wake);
void bmwi_timers_remove(bmwi_timers *timers, bmwi_timer *timer);
void bmwi_timers_free(bmwi_timers *timers);

#pragma GCC visibility pop

#endif
