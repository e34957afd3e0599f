/* The stream's broker: a thread of its own that waits for clients and for its own times. */
#ifndef BMWI_SIM_CARDATA_BROKER_H
#define BMWI_SIM_CARDATA_BROKER_H

#include "session.h"

/* `tick` is called with the time, by world_now, whenever something has happened or the time that it
   returned last has come; it returns the next one. false: it has said what is wrong. */
bool broker_start(const struct place *place, const char *key, const char *cert,
                  double (*tick)(double now));
void broker_announce(void);
void broker_end(void);
bool broker_running(void);
void broker_wake(void); /* call after any change that it must act on */

/* Stops and starts to listen, on the same port. */
const char *broker_listen(bool wanted); /* NULL or a problem */
bool broker_listening(void);
/* TCP handshakes get no answer for this long. NULL or a problem. */
const char *broker_stall(double seconds);

#endif
