/* Makes the response to be sent: as it is, or as a fault requires. */
#ifndef BMWI_SIM_STREAM_H
#define BMWI_SIM_STREAM_H

#include "fault.h"
#include "http.h"

struct MHD_Response;

struct MHD_Response *stream_response(struct request *request, struct reply *reply,
                                     const struct fault *fault);
/* Resets the TCP connection instead of closing it. */
void stream_reset(struct MHD_Connection *connection);

#endif
