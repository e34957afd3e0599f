/* Finds the service and the route for a request. */
#ifndef BMWI_SIM_ROUTE_H
#define BMWI_SIM_ROUTE_H

#include "service.h"

void route_find(struct request *request);
bool route_control(const struct request *request); /* is it below /_sim? */
/* Called with the world locked. */
void route_answer(struct request *request, struct reply *reply);

#endif
