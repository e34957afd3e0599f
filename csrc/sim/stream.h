/* Sends a response: complete, or as a fault requires. */
#ifndef BMWI_SIM_STREAM_H
#define BMWI_SIM_STREAM_H

#include "fault.h"
#include "http.h"

struct MHD_Response;

struct MHD_Response *stream_response(struct request *request, struct reply *reply,
                                     const struct fault *fault);
/* The peer sees a reset, not an orderly end. */
void stream_reset(struct MHD_Connection *connection);

#endif
