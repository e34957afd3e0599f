/* The example responses in the BMW i Remote API document. */
#ifndef BMWI_SIM_CLASSIC_DATA_H
#define BMWI_SIM_CLASSIC_DATA_H

#include <jansson.h>

json_t *data_vehicles(void);
/* Without its envelope; the charging profile and navigation have none. */
json_t *data_answer(const char *name, const char *vin);

#endif
