/* Service types: whether a car supports one, and what it does to the car. */
#ifndef BMWI_SIM_CLASSIC_TYPES_H
#define BMWI_SIM_CLASSIC_TYPES_H

#include "../http.h"
#include "car.h"

/* `member`: the member of the vehicle list that says whether it is supported; NULL: always. */
struct service_type {
  const char *name;
  const char *member;
  bool (*effect)(struct car *car, struct event *event); /* true: the car has changed */
};

enum { TYPES = 19 };
extern const struct service_type service_types[TYPES];

int type_number(const char *name); /* -1: no service type */
bool type_allowed(const struct car *car, int type, struct reply *reply);

#endif
