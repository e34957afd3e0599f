/* The REST service's quirks, set on /_sim/cardata/config. */
#ifndef BMWI_SIM_CARDATA_SETTINGS_H
#define BMWI_SIM_CARDATA_SETTINGS_H

#include "../json.h"

struct settings {
  double quota;             /* calls a day */
  bool quota_rolling;       /* over the last 24 hours, instead of since midnight UTC */
  bool quota_status_429;    /* instead of 403 */
  double quota_retry_after; /* Retry-After in seconds; 0: the header is missing */
  bool x_version_optional;
  double container_limit;
  bool deleted_uncounted;     /* deleted containers do not count towards the limit */
  double container_status;    /* HTTP status of a creation */
  json_t *refused;            /* descriptors that no container may have, an array; NULL: none */
  double history_broken_page; /* this page always fails, counted from 1; 0: none */
  bool history_endless;       /* the last page always refers to another one */
  double page_token_life;
};

extern struct settings cardata;

void cardata_settings_reset(void);
const char *cardata_settings_control(const json_t *options);

#endif
