/* Errors as recorded from the service, by name. */
#ifndef BMWI_SIM_CLASSIC_ERRORS_H
#define BMWI_SIM_CLASSIC_ERRORS_H

#include "../http.h"

/* `detail` (a VIN, a service type, a parameter) is put into the text; NULL or empty: the recorded
   one. false: no such name. With a NULL reply it only checks the name. */
bool recorded_reply(struct reply *reply, const char *name, const char *detail);

#endif
