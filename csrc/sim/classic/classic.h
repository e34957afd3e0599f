/* The classic service, as BMW ran it until 2021. */
#ifndef BMWI_SIM_CLASSIC_H
#define BMWI_SIM_CLASSIC_H

#include "../service.h"

extern const struct service classic_service;

#endif
