/*
** The service as data: one row per endpoint, one per region, and the checks of
** what may stand in a path. Plain C, no I/O.
**
** Sources: the paths and envelopes are those of the BMW i Remote API document
** by Terence Eden; `image` is what later clients of the same service used.
*/
#ifndef BMWI_ENDPOINT_H
#define BMWI_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>

#include "core/buffer.h"
#include "core/url.h"

#pragma GCC visibility push(hidden)

#define BMWI_VIN_LENGTH 17

typedef enum bmwi_host { BMWI_HOST_API, BMWI_HOST_NAVIGATION } bmwi_host;

/* What a good answer is. */
typedef enum bmwi_answer {
  BMWI_ANSWER_OBJECT,   /* an object, inside the envelope if the row has one */
  BMWI_ANSWER_ARRAY,    /* an array, inside the envelope or bare */
  BMWI_ANSWER_PROFILE,  /* an object that keeps its root */
  BMWI_ANSWER_ANY,      /* any JSON object or array */
  BMWI_ANSWER_PNG,      /* bytes */
  BMWI_ANSWER_NOTHING   /* 204, no body */
} bmwi_answer;

typedef struct bmwi_endpoint {
  const char *name;     /* as in messages and in the log hook */
  bool post;
  bmwi_host host;
  const char *path;     /* "{vin}" stands for the car */
  const char *envelope; /* the member that holds the answer, or NULL */
  bmwi_answer answer;
} bmwi_endpoint;

typedef enum bmwi_endpoint_id {
  BMWI_VEHICLES,
  BMWI_STATUS,
  BMWI_LAST_TRIP,
  BMWI_ALL_TRIPS,
  BMWI_CHARGING_PROFILE,
  BMWI_DESTINATIONS,
  BMWI_RANGE_MAP,
  BMWI_NAVIGATION,
  BMWI_EXECUTION,
  BMWI_EXECUTE,
  BMWI_SEND_POI,
  BMWI_IMAGE,
  BMWI_GET,
  BMWI_POST
} bmwi_endpoint_id;

extern const bmwi_endpoint bmwi_endpoints[];

typedef struct bmwi_region {
  const char *name; /* as in the option `region` and in bmwi.regions */
  const char *mark; /* as in the list of cars */
  const char *url;
} bmwi_region;

/* Checks a VIN (17 letters and digits; I, O and Q, which ISO 3779 leaves out, are in those of
** test cars) and writes it upper-cased with a NUL to `out` (18 bytes). */
bool bmwi_vin(char *out, const char *text, size_t len);

/* A service type is a short word of capitals, digits and '_': it goes into a
** form and comes back in the answer, nothing else is let through. */
bool bmwi_service_type(const char *text, size_t len);

/* Appends the endpoint's path with the VIN in its place. */
bool bmwi_endpoint_path(bmwi_buffer *b, const bmwi_endpoint *endpoint, const char *vin);

#pragma GCC visibility pop

#endif
