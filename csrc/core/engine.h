/*
** The engine: HTTP exchanges and timers over one curl_multi, behind one pollable descriptor and one
** deadline. One engine for each Lua state. No lua.h.
**
** A transfer is one exchange or one pause. It is embedded in its owner (an operation), never
** allocated here, and is returned once by bmwi_engine_next when it is complete. No callback runs
** user code.
*/
#ifndef BMWI_ENGINE_H
#define BMWI_ENGINE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/handle.h"
#include "core/stream.h"
#include "core/transfer.h"

#pragma GCC visibility push(hidden)

#define BMWI_TIME_SLICE 0.005 /* approximate seconds of a step: the host gets its turn */

typedef struct bmwi_engine bmwi_engine;

/* Opens an engine in memory of this size, which the owner keeps until nothing can use it any more.
** False without memory or descriptors. */
size_t bmwi_engine_size(void);
bool bmwi_engine_open(bmwi_engine *engine);
/* No transfer may be pending; from then on none can be started. */
void bmwi_engine_close(bmwi_engine *engine);

/* The versions of libcurl and its TLS library; available after an engine was made. */
const char *bmwi_engine_version(void);

/* Whether this process has opened the engine (false in a forked child), and not closed it. */
bool bmwi_engine_mine(const bmwi_engine *engine);

void bmwi_transfer_init(bmwi_transfer *t, size_t max_body, bool secret);
/* Ends whatever it is doing and frees what it holds. */
void bmwi_transfer_release(bmwi_engine *engine, bmwi_transfer *t);

/* Starts an exchange that must complete within `seconds`. False without memory. */
bool bmwi_engine_send(bmwi_engine *engine, bmwi_transfer *t, bmwi_transport *transport,
                      const bmwi_request *request, double seconds);
/* Resets handles that hold this transport's options; call before freeing it. */
void bmwi_engine_forget(bmwi_engine *engine, const bmwi_transport *transport);
/* Starts a pause until the monotonic time `wake`. False without memory. */
bool bmwi_engine_pause(bmwi_engine *engine, bmwi_transfer *t, double wake);
/* Stops an exchange or a pause; the transfer is not returned. */
void bmwi_engine_stop(bmwi_engine *engine, bmwi_transfer *t);
/* Stops it and returns it as complete. */
void bmwi_engine_complete(bmwi_engine *engine, bmwi_transfer *t);
/* The same for all of them. */
void bmwi_engine_complete_all(bmwi_engine *engine);

/* A descriptor that is readable when step has something to do, including timers (from the first
** call on, if arm is called after each change). */
int bmwi_engine_fd(bmwi_engine *engine);
void bmwi_engine_arm(bmwi_engine *engine);
/* Makes a step due, even without other work, until this is undone. */
void bmwi_engine_ask(bmwi_engine *engine, bool step);
/* Whether anything is pending, or complete but not yet returned. */
bool bmwi_engine_busy(const bmwi_engine *engine);
/* Seconds until step must run at the latest (0: now, negative: not needed). */
double bmwi_engine_timeout(const bmwi_engine *engine);
/* Waits at most `seconds` (negative: indefinitely; 0: not at all) and advances everything for about
** 5 ms; remaining work makes the next step due. Returns early on a signal. */
void bmwi_engine_step(bmwi_engine *engine, double seconds);
/* The next complete transfer, or NULL. */
bmwi_transfer *bmwi_engine_next(bmwi_engine *engine);
/* Postpones a returned transfer; release makes all of them be returned again. */
void bmwi_engine_defer(bmwi_engine *engine, bmwi_transfer *t);
void bmwi_engine_release(bmwi_engine *engine);

/* Sets the maximum number of connections to one server (64 by default); 0: unlimited. Returns the
** previous limit. Open connections above a lower limit are closed at once or, if exchanges are
** running, when these complete; new exchanges wait until then. */
long bmwi_engine_limit(bmwi_engine *engine, long connections);

/* Its streams, which a step serves too. */
bmwi_streams *bmwi_engine_streams(bmwi_engine *engine);

/* A number in [0, 1), for jitter only. */
double bmwi_engine_random(bmwi_engine *engine);

#pragma GCC visibility pop

#endif
