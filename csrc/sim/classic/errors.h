/* The recorded errors, by name. */
#ifndef BMWI_SIM_CLASSIC_ERRORS_H
#define BMWI_SIM_CLASSIC_ERRORS_H

#include "../http.h"

/* `detail` (a VIN, a service type, a parameter) stands where the recorded text has a name; NULL or
   empty: that of the record. false: no such name. Without a reply it only looks. */
bool recorded_reply(struct reply *reply, const char *name, const char *detail);

#endif
