/* The calls of a day, of the whole account: all cars, all tokens, failed calls too. */
#ifndef BMWI_SIM_CARDATA_QUOTA_H
#define BMWI_SIM_CARDATA_QUOTA_H

#include "../http.h"

void quota_count(long more);
void quota_reply(struct reply *reply); /* that nothing is left */
bool quota_exceeded(void);             /* by the call counted last */
json_t *quota_report(void);
void quota_reset(void);

#endif
