/* Commands over time. Nothing runs in the background: whoever asks for a car first brings it up to
   the present moment, and then what is due has happened. */
#ifndef BMWI_SIM_CLASSIC_COMMAND_H
#define BMWI_SIM_CLASSIC_COMMAND_H

#include "../http.h"
#include "car.h"

void commands_settle(struct car *car);
void commands_reset(void);
json_t *commands_report(const struct car *car);
const char *commands_control(const json_t *options);

/* The request's subject is the car, here and in the other files. */
void command_execute(struct request *request, struct reply *reply);
void command_execution(struct request *request, struct reply *reply);
void command_history(struct request *request, struct reply *reply);

#endif
