/* The service types: which cars support them, and their effect on a car. */
#ifndef BMWI_SIM_CLASSIC_TYPES_H
#define BMWI_SIM_CLASSIC_TYPES_H

#include "../http.h"
#include "car.h"

/* `member` is the list entry's word on the type, NULL when none decides. */
struct service_type {
  const char *name;
  const char *member;
  bool (*effect)(struct car *car, struct event *event); /* true: the car is changed */
};

enum { TYPES = 19 };
extern const struct service_type service_types[TYPES];

int type_number(const char *name); /* -1: no service type */
bool type_allowed(const struct car *car, int type, struct reply *reply);

#endif
