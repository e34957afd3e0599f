/*
** Transfer: what one exchange asks of libcurl, and what its callbacks note of the answer.
*/
#ifndef BMWI_TRANSFER_H
#define BMWI_TRANSFER_H

#include "core/engine.h"

#pragma GCC visibility push(hidden)

/* Readies the easy handle and the place for the answer. `bundle`: libcurl knows a file of the
** system's authorities. False without memory. */
bool bmwi_transfer_ask(bmwi_transfer *t, const bmwi_transport *transport,
                       const bmwi_request *request, bool bundle);

#pragma GCC visibility pop

#endif
