/* Builds the stream's messages in BMW's format, and publishes them. */
#ifndef BMWI_SIM_CARDATA_MESSAGE_H
#define BMWI_SIM_CARDATA_MESSAGE_H

#include <jansson.h>

/* `options`: "publish" on /_sim/cardata/stream, see docs/simulator.md. */
const char *message_problem(const json_t *options); /* NULL: valid */
void message_publish(const json_t *options);

/* Converts values from REST's format (numbers are strings, timestamps have milliseconds) to the
   stream's, leaves out empty ones, and publishes each as a message of its own. */
void message_publish_values(const char *vin, const json_t *values);

/* A line of a recording, with its payload unchanged. */
void message_publish_recorded(const json_t *line);

#endif
