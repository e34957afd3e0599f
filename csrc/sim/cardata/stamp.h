/* Timestamps in the REST service's format. */
#ifndef BMWI_SIM_CARDATA_STAMP_H
#define BMWI_SIM_CARDATA_STAMP_H

#include "../json.h"

json_t *stamp(double epoch);         /* 2026-09-07T20:35:44.995Z */
json_t *stamp_seconds(double epoch); /* without milliseconds */
/* Seconds since 1970; negative: not a timestamp. */
double read_stamp(const char *text);

#endif
