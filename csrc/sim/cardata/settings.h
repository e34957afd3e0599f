/* The REST service's quirks, set on /_sim/cardata/config. */
#ifndef BMWI_SIM_CARDATA_SETTINGS_H
#define BMWI_SIM_CARDATA_SETTINGS_H

#include "../json.h"

struct settings {
  double quota;             /* calls a day */
  bool quota_rolling;       /* each comes back after 24 hours; otherwise all at midnight UTC */
  bool quota_status_429;    /* instead of 403 */
  double quota_retry_after; /* Retry-After in seconds; 0: the header is missing */
  bool x_version_optional;
  double container_limit;
  bool deleted_uncounted;     /* deleted containers do not count in the limit */
  double container_status;    /* of the answer to POST */
  json_t *refused;            /* array of descriptors that no container may have; NULL: none */
  double history_broken_page; /* always fails, the first is 1; 0: none */
  bool history_endless;       /* the last page always names another one */
  double page_token_life;
};

extern struct settings cardata;

void cardata_settings_reset(void);
const char *cardata_settings_control(const json_t *options);

#endif
