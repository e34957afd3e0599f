/* /_sim: what tests see and change. It is routed as a service is. */
#ifndef BMWI_SIM_CONTROL_H
#define BMWI_SIM_CONTROL_H

#include "service.h"

extern const struct service control_service;

#endif
