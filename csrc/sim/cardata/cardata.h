/* BMW CarData, as a value: the log-in by a code and the REST service. */
#ifndef BMWI_SIM_CARDATA_H
#define BMWI_SIM_CARDATA_H

#include "../service.h"

extern const struct service cardata_service;

#endif
