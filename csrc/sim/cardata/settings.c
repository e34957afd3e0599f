#include "settings.h"

struct settings cardata;

static const struct json_setting rows[] = {
  {"quota", NULL, &cardata.quota, 0, 1e6, 50},
  {"quota_rolling", &cardata.quota_rolling, NULL, 0, 0, false},
  {"quota_status_429", &cardata.quota_status_429, NULL, 0, 0, false},
  {"quota_retry_after", NULL, &cardata.quota_retry_after, 0, 1e6, 0},
  {"x_version_optional", &cardata.x_version_optional, NULL, 0, 0, false},
  {"container_limit", NULL, &cardata.container_limit, 0, 100, 10},
  {"deleted_uncounted", &cardata.deleted_uncounted, NULL, 0, 0, false},
  {"container_status", NULL, &cardata.container_status, 200, 201, 201},
  {"history_broken_page", NULL, &cardata.history_broken_page, 0, 1000, 0},
  {"history_endless", &cardata.history_endless, NULL, 0, 0, false},
  {"page_token_life", NULL, &cardata.page_token_life, 0, 1e6, 300},
  {0},
};

void cardata_settings_reset(void) {
  json_decref(cardata.refused);
  cardata = (struct settings){
    .quota = 50, .container_limit = 10, .container_status = 201, .page_token_life = 300};
}

const char *cardata_settings_control(const json_t *options) {
  static const char *const more[] = {"refused", NULL};
  json_t *refused = json_object_get(options, "refused");
  if (refused != NULL && !json_is_array(refused) && !json_is_null(refused)) {
    return "refused must be an array of descriptors";
  }
  const char *problem = json_settings(options, rows, more);
  if (problem == NULL && refused != NULL) {
    json_decref(cardata.refused);
    cardata.refused = json_incref(refused);
  }
  return problem;
}
