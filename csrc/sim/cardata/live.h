/* A car that charges and drives, so that there is something to see. */
#ifndef BMWI_SIM_CARDATA_LIVE_H
#define BMWI_SIM_CARDATA_LIVE_H

#include <jansson.h>

const char *live_control(const json_t *options); /* "live", "live_vin"; NULL or a problem */
const char *live_set_start(const char *value);   /* --live */
double live_tick(double now);                    /* when the next values come */
void live_reset(void);

#endif
