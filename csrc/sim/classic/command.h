/* The progress of commands. Nothing runs in the background: each request for a car first settles
   the commands that have become due. */
#ifndef BMWI_SIM_CLASSIC_COMMAND_H
#define BMWI_SIM_CLASSIC_COMMAND_H

#include "../http.h"
#include "car.h"

void commands_settle(struct car *car);
void commands_reset(void);
json_t *commands_report(const struct car *car);
const char *commands_control(const json_t *options);

/* The request's subject is the car, as in all handlers of this service. */
void command_execute(struct request *request, struct reply *reply);
void command_execution(struct request *request, struct reply *reply);
void command_history(struct request *request, struct reply *reply);

#endif
