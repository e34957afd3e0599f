/*
** The engine: HTTP exchanges and timers over one curl_multi, behind one
** pollable descriptor and one deadline. One engine per Lua state. No lua.h.
**
** A transfer is one exchange or one pause. It is embedded in whoever wants it
** (an operation), never allocated here, and comes back once through
** bmwi_engine_next when it is complete. No callback runs user code.
*/
#ifndef BMWI_ENGINE_H
#define BMWI_ENGINE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/handle.h"
#include "core/stream.h"
#include "core/transfer.h"

#pragma GCC visibility push(hidden)

#define BMWI_TIME_SLICE 0.005 /* seconds of a step, roughly; then the host has its turn */

typedef struct bmwi_engine bmwi_engine;

/* NULL without memory or descriptors. */
bmwi_engine *bmwi_engine_new(void);
/* Every transfer must have been released before. */
void bmwi_engine_free(bmwi_engine *engine);

/* What libcurl says of itself and its TLS library, once an engine was made. */
const char *bmwi_engine_version(void);

/* Whether this process made the engine (false in a forked child). */
bool bmwi_engine_mine(const bmwi_engine *engine);

void bmwi_transfer_init(bmwi_transfer *t, size_t max_body, bool secret);
/* Ends whatever it does and gives back what it holds. */
void bmwi_transfer_release(bmwi_engine *engine, bmwi_transfer *t);

/* Starts an exchange that must be over in `seconds`. False without memory. */
bool bmwi_engine_send(bmwi_engine *engine, bmwi_transfer *t, bmwi_transport *transport,
                      const bmwi_request *request, double seconds);
/* Resets what is kept with the options of this transport, before it ends. */
void bmwi_engine_forget(bmwi_engine *engine, const bmwi_transport *transport);
/* Starts a pause until the monotonic time `wake`. False without memory. */
bool bmwi_engine_pause(bmwi_engine *engine, bmwi_transfer *t, double wake);
/* Stops an exchange or a pause; the transfer does not come back. */
void bmwi_engine_stop(bmwi_engine *engine, bmwi_transfer *t);
/* Stops it and hands it back at once, as complete. */
void bmwi_engine_complete(bmwi_engine *engine, bmwi_transfer *t);
/* The same for all of them. */
void bmwi_engine_complete_all(bmwi_engine *engine);

/* One descriptor that is readable when step has something to do, timers included
** (from the first call on, and if arm is called after each change). */
int bmwi_engine_fd(bmwi_engine *engine);
void bmwi_engine_arm(bmwi_engine *engine);
/* Makes a step due, whatever is under way, until it is taken back. */
void bmwi_engine_ask(bmwi_engine *engine, bool step);
/* Whether anything is under way, or complete and not handed back. */
bool bmwi_engine_busy(const bmwi_engine *engine);
/* Seconds until step must run at the latest (0: now, negative: never by itself). */
double bmwi_engine_timeout(const bmwi_engine *engine);
/* Waits at most `seconds` (negative: as long as it takes; 0: not at all) and
** moves everything on, for some 5 ms: what is left then makes the next one due.
** Returns early on a signal. */
void bmwi_engine_step(bmwi_engine *engine, double seconds);
/* The next complete transfer, or NULL. */
bmwi_transfer *bmwi_engine_next(bmwi_engine *engine);
/* Puts off one that has come; release lets all of them come again. */
void bmwi_engine_defer(bmwi_engine *engine, bmwi_transfer *t);
void bmwi_engine_release(bmwi_engine *engine);

/* At most so many connections to one server (64 unless set otherwise); 0: no limit.
** Returns the limit before.
** What is open beyond a lower limit is closed at once, or, with exchanges under way,
** once these are complete, and those that come meanwhile wait for it. */
long bmwi_engine_limit(bmwi_engine *engine, long connections);

/* Its streams: a step serves them, too. */
bmwi_streams *bmwi_engine_streams(bmwi_engine *engine);

/* A number from [0, 1), for jitter only. */
double bmwi_engine_random(bmwi_engine *engine);

#pragma GCC visibility pop

#endif
