/* The answers about cars, and /_sim/car, where tests inspect and change cars. */
#ifndef BMWI_SIM_CLASSIC_ANSWER_H
#define BMWI_SIM_CLASSIC_ANSWER_H

#include "../http.h"

void answer_list(struct request *request, struct reply *reply);
void answer_vehicle(struct request *request, struct reply *reply);
void answer_car(struct request *request, struct reply *reply);

void answer_report(struct request *request, struct reply *reply); /* these two: /_sim/car */
void answer_change(struct request *request, struct reply *reply);

#endif
