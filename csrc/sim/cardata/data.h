/* The built-in account's cars. All values are made up, in the format of real ones. */
#ifndef BMWI_SIM_CARDATA_DATA_H
#define BMWI_SIM_CARDATA_DATA_H

#include <jansson.h>

/* By VIN. Values have an "age" in seconds; charging sessions end before `now`. */
json_t *cardata_vehicles(double now);

#endif
