#include "packet.h"

#include <string.h>

const char *packet_name(int type) {
  static const char *const names[PACKET_TYPES] = {
    "0",       "CONNECT",  "CONNACK",    "PUBLISH", "PUBACK",      "PUBREC",
    "PUBREL",  "PUBCOMP",  "SUBSCRIBE",  "SUBACK",  "UNSUBSCRIBE", "UNSUBACK",
    "PINGREQ", "PINGRESP", "DISCONNECT", "AUTH"};
  return names[type];
}

/* ---- reading ---- */

unsigned long read_number(struct reader *in, int bytes) {
  unsigned long number = 0;
  if (in->left < (size_t)bytes) {
    in->bad = true;
    in->left = 0;
    return 0;
  }
  for (; bytes > 0; bytes--, in->left--) {
    number = number << 8 | *in->at++;
  }
  return number;
}

struct part read_part(struct reader *in) {
  size_t length = read_number(in, 2);
  if (in->bad || in->left < length) {
    in->bad = true;
    return (struct part){"", 0};
  }
  struct part part = {(const char *)in->at, length};
  in->at += length;
  in->left -= length;
  return part;
}

static size_t read_varint(struct reader *in) {
  size_t number = 0;
  for (int shift = 0; shift < 28; shift += 7) {
    unsigned long byte = read_number(in, 1);
    number |= (size_t)(byte & 0x7F) << shift;
    if (byte < 0x80) {
      return number;
    }
  }
  in->bad = true;
  return 0;
}

/* A digit: a number of so many bytes; V: varint; S: string or binary data; P: string pair (MQTT 5,
   section 2.2.2.2). */
static char property_kind(unsigned long identifier) {
  static const char kinds[PROPERTIES + 1] = "-14S----SS-V-----4S2-SS141S-S--S-22211P4111";
  return identifier < PROPERTIES ? kinds[identifier] : '-';
}

void read_properties(struct reader *in, struct properties *out) {
  memset(out, 0, sizeof *out);
  size_t length = read_varint(in);
  if (in->bad || length > in->left) {
    in->bad = true;
    return;
  }
  struct reader part = {in->at, length, false};
  in->at += length;
  in->left -= length;
  while (part.left > 0 && !part.bad) {
    unsigned long identifier = read_number(&part, 1);
    char kind = property_kind(identifier);
    if (kind == 'V') {
      read_varint(&part);
    } else if (kind == 'S' || kind == 'P') {
      read_part(&part);
      if (kind == 'P') {
        read_part(&part);
      }
    } else if (kind != '-') {
      out->number[identifier] = read_number(&part, kind - '0');
    } else {
      part.bad = true;
    }
  }
  in->bad = in->bad || part.bad;
}

long packet_read(const struct bytes *in, size_t limit, struct reader *body) {
  struct reader head = {(const unsigned char *)in->at, in->length, false};
  if (head.left < 2) {
    return 0;
  }
  int type = (int)read_number(&head, 1) >> 4;
  size_t length = read_varint(&head);
  if (head.bad) {
    return in->length < 5 ? 0 : -1;
  }
  if (type == 0 || length > limit) {
    return -1;
  }
  if (head.left < length) {
    return 0;
  }
  *body = (struct reader){head.at, length, false};
  return (long)(in->length - head.left + length);
}

/* ---- writing ---- */

void put_number(struct bytes *out, unsigned long number, int bytes) {
  for (int shift = (bytes - 1) * 8; shift >= 0; shift -= 8) {
    char byte = (char)(number >> shift & 0xFF);
    bytes_add(out, &byte, 1);
  }
}

void put_part(struct bytes *out, const char *data, size_t length) {
  put_number(out, length, 2);
  bytes_add(out, data, length);
}

void put_varint(struct bytes *out, size_t number, int least_bytes) {
  do {
    least_bytes--;
    bool more = number > 0x7F || least_bytes > 0;
    put_number(out, (number & 0x7F) | (more ? 0x80 : 0), 1);
    number >>= 7;
  } while (number > 0 || least_bytes > 0);
}

void packet_add(struct bytes *out, int first_byte, const struct bytes *body, int length_bytes) {
  put_number(out, (unsigned long)first_byte, 1);
  put_varint(out, body->length, length_bytes);
  bytes_add(out, body->at, body->length);
}
