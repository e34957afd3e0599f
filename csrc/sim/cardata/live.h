/* A car that charges and drives all the time, for demonstrations. */
#ifndef BMWI_SIM_CARDATA_LIVE_H
#define BMWI_SIM_CARDATA_LIVE_H

#include <jansson.h>

const char *live_control(const json_t *options); /* "live", "live_vin"; NULL or a problem */
const char *live_set_start(const char *value);   /* --live: from the start and after each reset */
double live_tick(double now);                    /* returns when the next values are due */
void live_reset(void);

#endif
