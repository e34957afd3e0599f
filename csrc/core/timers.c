/*
** Timers: see timers.h. Owns the array of the heap, not the timers in it.
*/
#include "core/timers.h"

#include <stdlib.h>

static void put(bmwi_timers *timers, size_t slot, bmwi_timer_entry entry) {
  timers->heap[slot] = entry;
  entry.timer->slot = slot;
}

/* Puts the entry from the free `slot` to where it belongs. */
static void settle(bmwi_timers *timers, size_t slot, bmwi_timer_entry entry) {
  bmwi_timer_entry *heap = timers->heap;
  while (slot > 0 && entry.wake < heap[(slot - 1) / 2].wake) {
    put(timers, slot, heap[(slot - 1) / 2]);
    slot = (slot - 1) / 2;
  }
  for (;;) {
    size_t child = 2 * slot + 1;
    if (child >= timers->count) break;
    if (child + 1 < timers->count && heap[child + 1].wake < heap[child].wake) child++;
    if (entry.wake <= heap[child].wake) break;
    put(timers, slot, heap[child]);
    slot = child;
  }
  put(timers, slot, entry);
}

bool bmwi_timers_reserve(bmwi_timers *timers) {
  if (timers->count < timers->cap) return true;
  size_t cap = timers->cap == 0 ? 64 : timers->cap * 2;
  bmwi_timer_entry *heap = realloc(timers->heap, cap * sizeof *heap);
  if (heap == NULL) return false;
  timers->heap = heap;
  timers->cap = cap;
  return true;
}

void bmwi_timers_add(bmwi_timers *timers, bmwi_timer *timer, double wake) {
  timer->wake = wake;
  settle(timers, timers->count++, (bmwi_timer_entry){wake, timer});
}

void bmwi_timers_remove(bmwi_timers *timers, bmwi_timer *timer) {
  bmwi_timer_entry last = timers->heap[--timers->count];
  if (last.timer != timer) settle(timers, timer->slot, last);
}

void bmwi_timers_free(bmwi_timers *timers) {
  free(timers->heap);
  *timers = (bmwi_timers){0};
}
