/* Decides what is streamed, and handles the stream's part of /_sim. */
#ifndef BMWI_SIM_CARDATA_FEED_H
#define BMWI_SIM_CARDATA_FEED_H

#include "../http.h"

double feed_tick(double now); /* see broker_start */

void feed_change_car(struct request *request, struct reply *reply);
void feed_report(struct request *request, struct reply *reply);
const char *feed_control(const json_t *options);

void feed_reset(void);
void feed_end(void);

#endif
