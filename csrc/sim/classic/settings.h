/* The settings of /_sim/config and the command line. */
#ifndef BMWI_SIM_CLASSIC_SETTINGS_H
#define BMWI_SIM_CLASSIC_SETTINGS_H

#include "../service.h"

struct settings {
  bool list_array;
  bool any_key; /* every API key is accepted */
  double speed;
  char *secret_answer; /* NULL: unlocking does not ask for one */
  bool poi_body;       /* the POI may also come in the field "body" */
  bool navigation_scope;
};

extern struct settings settings;
extern const struct option settings_options[];

bool settings_start(void);
void settings_reset(void); /* to those of the command line */
void settings_end(void);
const char *settings_control(const json_t *options);
const json_t *settings_vehicles(void); /* from --vehicles or the recording; NULL: neither */

#endif
