/* The lock for the simulated world, its clock, and shutting down. */
#ifndef BMWI_SIM_WORLD_H
#define BMWI_SIM_WORLD_H

#include <stdbool.h>

extern const double never; /* later than any time */

bool world_start(void);         /* also takes over the signals that end the program */
void world_wait(bool with_out); /* until world_stop, or until nobody reads standard output */
void world_finish(void);        /* every pause is over */

void world_lock(void);
void world_unlock(void);
/* Waits without the lock held; false when the simulator is being stopped meanwhile. */
bool world_pause(double seconds);
void world_stop(void);  /* may be called from anywhere, even from signal handlers */
double world_now(void); /* seconds since the start; goes back at a reset only */
void world_advance(double seconds);
/* The speed factor of the simulation. */
double world_speed(void);
const char *world_set_speed(const char *value); /* NULL or what is wanted */
/* Called, with the lock held, whenever the clock was advanced. */
void world_watch(void (*then)(void));
void world_reset(void);
double world_epoch(void); /* the same instant as seconds since 1970 */

#endif
