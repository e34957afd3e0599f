/* A message of the stream as BMW sends it, and how one is published. */
#ifndef BMWI_SIM_CARDATA_MESSAGE_H
#define BMWI_SIM_CARDATA_MESSAGE_H

#include <jansson.h>

/* One of these values, or {value, unit, timestamp, age}, by descriptor; and what else "publish" on
   /_sim/cardata/stream may have in it. */
const char *message_problem(const json_t *options); /* NULL: it is good */
void message_publish(const json_t *options);

/* Values of a car as REST has them (a number is a text, times have thousandths) become those of the
   stream; empty ones are left out. Each is a message of its own. */
void message_publish_values(const char *vin, const json_t *values);

/* A line of a recording: its payload as it is. */
void message_publish_recorded(const json_t *line);

#endif
