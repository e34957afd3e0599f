/* The calls per day of the whole account: all cars, all tokens, failed calls too. */
#ifndef BMWI_SIM_CARDATA_QUOTA_H
#define BMWI_SIM_CARDATA_QUOTA_H

#include "../http.h"

void quota_count(long more);
void quota_reply(struct reply *reply); /* the error for an exceeded quota */
bool quota_exceeded(void);             /* did the last call exceed it? */
json_t *quota_report(void);
void quota_reset(void);

#endif
