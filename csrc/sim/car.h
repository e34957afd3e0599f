/* What the files about cars share: the car itself, its commands, and the words for both. */
#ifndef BMWI_SIM_CAR_H
#define BMWI_SIM_CAR_H

#include "sim.h"

enum answer { STATUS, LAST_TRIP, ALL_TRIPS, PROFILE, DESTINATIONS, RANGE_MAP, NAVIGATION, ANSWERS };

enum outcome { EXECUTED, NOT_EXECUTED, TIMED_OUT, NEVER, OUTCOMES };
enum { STEPS = 3 }; /* INITIATED, PENDING, DELIVERED come before the outcome */

/* How the commands of one service type go, set on /_sim/commands. */
struct course {
  enum outcome outcome;
  int stuck_at;
  long previous_first;
  long no_status;
  char word[64];
  long word_polls;
};

struct event {
  int service;
  long request; /* its number in the log */
  char id[40];
  double posted;
  time_t posted_epoch;
  double ends[STEPS];
  struct course course;
  long polls;
  bool settled;
  bool changed; /* the car's state is another one than before */
  long count;   /* of LIGHT_FLASH, 0: not given */
  json_t *profile;
};

enum { EVENTS = 4096, POIS = 1000 };

struct car {
  json_t *vehicle; /* its entry in the list */
  char vin[64];
  json_t *answers[ANSWERS]; /* with the envelope; null: this car has none */
  struct event *events;     /* oldest first */
  size_t event_count;
  size_t unsettled; /* events whose end has not come */
  time_t last_id; /* the second the last eventId tells */
  json_t *pois;
  json_t *posts;
  long flashes, horns, climate_starts, charge_starts, finds;
};

/* car.c */
json_t *car_inner(const struct car *car, enum answer which); /* without the envelope */
json_t *server_time(double epoch);
json_t *utc_time(double epoch);
void set_text(json_t *object, const char *name, const char *value);
bool is_text(const json_t *object, const char *name, const char *value);
bool read_degrees(const char *text, double most);

/* service.c: `member` is the list entry's word on the service, NULL when none decides. */
struct service {
  const char *name;
  const char *member;
  bool (*effect)(struct car *car, struct event *event); /* true: the car is changed */
};
enum { SERVICES = 19 };
extern const struct service services[SERVICES];
int service_number(const char *name); /* -1: no service type */
bool service_allowed(const struct car *car, int service, struct reply *reply);

/* profile.c: NULL when the field holds no charging profile. */
json_t *profile_read(const struct field *data);

/* command.c */
void commands_settle(struct car *car);
void commands_free(struct car *car);
json_t *commands_report(const struct car *car);

#endif
