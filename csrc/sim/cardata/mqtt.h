/* The broker's protocol: it answers clients' packets, publishes, and ends connections. */
#ifndef BMWI_SIM_CARDATA_MQTT_H
#define BMWI_SIM_CARDATA_MQTT_H

#include "session.h"

struct message {
  const char *topic;
  const char *payload;
  size_t length;
  int qos;
  bool retain, dup;
};

/* `then` is called before each SUBACK. */
void mqtt_on_subscribe(void (*then)(void));

void mqtt_take(struct session *session);        /* answers all complete packets */
void mqtt_watch(struct session *session);       /* ends the session if that is due */
double mqtt_due(const struct session *session); /* when it will be, at the earliest */

void mqtt_publish(const struct message *message); /* to its subscribers */
void mqtt_end_all(const char *why, int reason, enum ending how);

json_t *mqtt_report(void);
void mqtt_reset(void);

#endif
