/* The cars of the built-in account. All values are invented, in the format of real ones. */
#ifndef BMWI_SIM_CARDATA_DATA_H
#define BMWI_SIM_CARDATA_DATA_H

#include <jansson.h>

/* By VIN. Values carry an "age" in seconds, sessions end before `now`. */
json_t *cardata_vehicles(double now);

#endif
