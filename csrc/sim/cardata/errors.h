/* The errors of the log-in and of the REST service, by name. */
#ifndef BMWI_SIM_CARDATA_ERRORS_H
#define BMWI_SIM_CARDATA_ERRORS_H

#include "../http.h"

/* false: no such name. With a NULL reply it only checks the name. */
bool error_reply(struct reply *reply, const char *name, const char *detail);

#endif
