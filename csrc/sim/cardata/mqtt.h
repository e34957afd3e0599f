/* The broker's responses to a client's packets, and what it sends by itself. */
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

/* Called before what a client subscribes to is acknowledged. */
void mqtt_on_subscribe(void (*then)(void));

void mqtt_take(struct session *session);        /* answers all packets that are whole */
void mqtt_watch(struct session *session);       /* ends it when it is due */
double mqtt_due(const struct session *session); /* when that may be */

void mqtt_publish(const struct message *message); /* to its subscribers */
void mqtt_end_all(const char *why, int reason, enum ending how);

json_t *mqtt_report(void);
void mqtt_reset(void);

#endif
