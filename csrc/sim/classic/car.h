/* The cars: their answers, and what has happened to them. */
#ifndef BMWI_SIM_CLASSIC_CAR_H
#define BMWI_SIM_CLASSIC_CAR_H

#include "../json.h"

#include <time.h>

enum answer { STATUS, LAST_TRIP, ALL_TRIPS, PROFILE, DESTINATIONS, RANGE_MAP, NAVIGATION, ANSWERS };

enum outcome { EXECUTED, NOT_EXECUTED, TIMED_OUT, NEVER, OUTCOMES };
enum { STEPS = 3 }; /* INITIATED, PENDING, DELIVERED come before the outcome */

/* How the commands of one service type turn out, set on /_sim/commands. */
struct course {
  enum outcome outcome;
  int stuck_at;
  long previous_first; /* polls that still show the previous command */
  long no_status;      /* polls without a status */
  char word[64];       /* a status of the test's own, for `word_polls` polls */
  long word_polls;
};

struct event {
  int type;     /* index in service_types */
  long request; /* its number in the log */
  char id[40];
  double posted;
  time_t posted_epoch;
  double ends[STEPS]; /* by world_now */
  struct course course;
  long polls;
  bool settled; /* the outcome is reached, and has had its effect */
  bool changed; /* it has changed the car's state */
  long count;   /* of LIGHT_FLASH; 0: not given */
  json_t *profile;
};

enum { EVENTS = 4096, POIS = 1000 };

struct car {
  json_t *vehicle; /* its entry in the list */
  char vin[64];
  json_t *answers[ANSWERS]; /* with the envelope; JSON null: this car has none */
  struct event *events;     /* oldest first */
  size_t event_count;
  size_t unsettled; /* how many events are not settled */
  time_t last_id;   /* the second in the last eventId */
  json_t *pois;
  json_t *posts;
  long flashes, horns, climate_starts, charge_starts, finds;
};

void cars_load(const json_t *vehicles); /* NULL: the built-in car */
void cars_free(void);
struct car *car_at(size_t i); /* NULL: no more */
struct car *car_find(const char *vin);

const char *answer_name(enum answer which); /* in the vehicles file, and last in the path */
json_t *car_inner(const struct car *car, enum answer which);             /* without the envelope */
void car_load_answer(struct car *car, enum answer which, json_t *given); /* NULL: built in */

json_t *server_time(double epoch);
json_t *utc_time(double epoch);
void set_text(json_t *object, const char *name, const char *value);
bool is_text(const json_t *object, const char *name, const char *value);
bool read_degrees(const char *text, double most);

#endif
