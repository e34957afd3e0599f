/* The lock for all simulated state, the simulator's clock, and shutdown. */
#ifndef BMWI_SIM_WORLD_H
#define BMWI_SIM_WORLD_H

#include <stdbool.h>

extern const double never; /* later than any time */

bool world_start(void);             /* also handles the signals that end the program */
void world_wait(bool watch_stdout); /* for world_stop, or until nobody reads standard output */
void world_finish(void);            /* ends every pause */

void world_lock(void);
void world_unlock(void);
/* To be called without the lock; false: the simulator is being stopped. */
bool world_pause(double seconds);
void world_stop(void);  /* may be called from anywhere, even from signal handlers */
double world_now(void); /* seconds since the start; only a reset sets it back */
void world_advance(double seconds);
/* How many times as fast as in reality. */
double world_speed(void);
const char *world_set_speed(const char *value); /* NULL or what it expects */
/* `then` is called, with the lock held, whenever the clock is advanced. */
void world_watch(void (*then)(void));
void world_reset(void);
double world_epoch(void); /* the same instant as seconds since 1970 */

#endif
