/* /_sim, where tests inspect and change the simulator. It is routed like a service. */
#ifndef BMWI_SIM_CONTROL_H
#define BMWI_SIM_CONTROL_H

#include "service.h"

extern const struct service control_service;

#endif
