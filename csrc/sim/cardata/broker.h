/* The stream's broker: its thread, its listening socket and its event loop. */
#ifndef BMWI_SIM_CARDATA_BROKER_H
#define BMWI_SIM_CARDATA_BROKER_H

#include "session.h"

/* `tick` is called, with world_now, after every event and at the time that it last returned; it
   returns the time of its next call. false: it has printed why. */
bool broker_start(const struct place *place, const char *key, const char *cert,
                  double (*tick)(double now));
void broker_announce(void);
void broker_end(void);
bool broker_running(void);
void broker_wake(void); /* to be called after any change that the thread must act on */

/* Stops listening, or starts again on the same port. */
const char *broker_listen(bool wanted); /* NULL or a problem */
bool broker_listening(void);
/* For this long TCP handshakes get no answer. NULL or a problem. */
const char *broker_stall(double seconds);

#endif
