/* BMW CarData: log-in with a code, REST service and stream. */
#ifndef BMWI_SIM_CARDATA_H
#define BMWI_SIM_CARDATA_H

#include "../service.h"

extern const struct service cardata_service;

#endif
