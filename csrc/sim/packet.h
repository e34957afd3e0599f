/* Reads and writes MQTT control packets (3.1.1 and 5, section 2 of both). */
#ifndef BMWI_SIM_PACKET_H
#define BMWI_SIM_PACKET_H

#include "text.h"

#include <stdbool.h>

enum packet_type {
  CONNECT = 1,
  CONNACK,
  PUBLISH,
  PUBACK,
  PUBREC,
  PUBREL,
  PUBCOMP,
  SUBSCRIBE,
  SUBACK,
  UNSUBSCRIBE,
  UNSUBACK,
  PINGREQ,
  PINGRESP,
  DISCONNECT,
  AUTH,
  PACKET_TYPES
};

const char *packet_name(int type);

/* ---- reading ---- */

struct reader {
  const unsigned char *at;
  size_t left;
  bool bad; /* something was truncated or invalid */
};

struct part {
  const char *at;
  size_t length;
};

enum { PROPERTIES = 43 };
struct properties {
  unsigned long number[PROPERTIES]; /* by identifier; 0 if it was omitted */
};

unsigned long read_number(struct reader *in, int bytes);
struct part read_part(struct reader *in); /* prefixed with its length in two bytes */
void read_properties(struct reader *in, struct properties *out);

/* The length of the first packet in these bytes, with its body in `body`. 0: incomplete; -1:
   invalid or too long. */
long packet_read(const struct bytes *in, size_t limit, struct reader *body);

/* ---- writing ---- */

void put_number(struct bytes *out, unsigned long number, int bytes);
void put_part(struct bytes *out, const char *data, size_t length);
void put_varint(struct bytes *out, size_t number, int least_bytes);

/* Encodes the body's length in as few bytes as possible, but in at least `length_bytes`. */
void packet_add(struct bytes *out, int first_byte, const struct bytes *body, int length_bytes);

#endif
