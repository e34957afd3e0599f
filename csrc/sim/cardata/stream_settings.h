/* The faults of the stream, set on /_sim/cardata/stream. */
#ifndef BMWI_SIM_CARDATA_STREAM_SETTINGS_H
#define BMWI_SIM_CARDATA_STREAM_SETTINGS_H

#include "../json.h"

/* Times are in seconds; with a reason of 0 the connection ends without a DISCONNECT. */
struct stream_settings {
  double handshake_delay;
  double connack_delay, connack, connack_times;
  double protocol; /* the highest supported: 4 or 5 */
  double refuse_after_disconnect;
  double rate_limit, rate_window;
  double expire_reason, kick_reason, keepalive_reason;
  double keepalive_limit, keepalive_cut, server_keep_alive;
  double suback, suback_delay;
  double puback;
  double topic_alias;
  double chunk, chunk_pause, gather, length_bytes;
  bool rate_silent, connack_silent, suback_silent, suback_open, ping_silent, puback_silent;
  bool publish_first, anyone;
  json_t *connack_raw, *suback_raw; /* hexadecimal digits; NULL: none */
};

enum { TOPIC_ALIAS_ALLOWED = 1, TOPIC_ALIAS_ALWAYS = 2 };

extern struct stream_settings stream;

void stream_settings_reset(void);
/* `more`: names that the caller reads itself. NULL or a problem. */
const char *stream_settings_change(const json_t *options, const char *const more[]);

/* Appends the bytes of hexadecimal digits; false: not hexadecimal. */
bool read_hex(struct bytes *out, const char *digits);

#endif
