/* The account's cars and their data. */
#ifndef BMWI_SIM_CARDATA_VEHICLE_H
#define BMWI_SIM_CARDATA_VEHICLE_H

#include "../http.h"

void vehicles_reset(void);
void vehicles_end(void);
json_t *vehicle_find(const char *vin); /* NULL: no car has this VIN */
json_t *vehicle_mappings(void);

/* A descriptor's value as it is sent; NULL: it is left out. */
json_t *vehicle_value(const json_t *vehicle, const char *descriptor);

json_t *vehicle_first(const char **vin); /* NULL: there is none */

/* Changes or adds a car. NULL or a problem. An "age" in `changes` becomes a timestamp. */
const char *vehicle_change(const char *vin, json_t *changes);
void vehicle_report(struct request *request, struct reply *reply); /* /_sim/cardata/car */

#endif
