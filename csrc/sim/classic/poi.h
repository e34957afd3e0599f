/* Points of interest sent to a car; those with a place are its destinations from then on. */
#ifndef BMWI_SIM_CLASSIC_POI_H
#define BMWI_SIM_CLASSIC_POI_H

#include "../http.h"

void poi_send(struct request *request, struct reply *reply);

#endif
