/* Points of interest sent to a car; those with coordinates are added to its destinations. */
#ifndef BMWI_SIM_CLASSIC_POI_H
#define BMWI_SIM_CLASSIC_POI_H

#include "../http.h"

void poi_send(struct request *request, struct reply *reply);

#endif
