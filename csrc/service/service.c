/*
** What all services have in common: each client's options, and the endpoints for free paths.
*/
#include "service/service.h"

#include <string.h>

const bmwi_service *const bmwi_services[] = {&bmwi_classic, &bmwi_cardata, NULL};

#define KEPT(member) .place = BMWI_KEPT(member)

/* clang-format off */
static const bmwi_option common[] = {
  {.name = "base_url", .type = BMWI_OPTION_ORIGIN, KEPT(base_url)},
  {.name = "ca_file", .type = BMWI_OPTION_TEXT, KEPT(transport.ca_file)},
  {.name = "connect_timeout", .type = BMWI_OPTION_NUMBER, KEPT(transport.connect_timeout),
   .standard = 10, .least = 0.001, .most = 86400},
  {.name = "connect_to", .type = BMWI_OPTION_TABLE},
  {.name = "log", .type = BMWI_OPTION_FUNCTION},
  {.name = "max_response_bytes", .type = BMWI_OPTION_WHOLE, KEPT(transport.max_response_bytes),
   .standard = 16.0 * 1024 * 1024, .least = 1, .most = 2147483647.0},
  {.name = "on_token", .type = BMWI_OPTION_FUNCTION},
  {.name = "proxy", .type = BMWI_OPTION_TEXT, KEPT(transport.proxy), .secret = 4},
  {.name = "retries", .type = BMWI_OPTION_WHOLE, KEPT(retries), .standard = 2, .least = 0,
   .most = 10},
  {.name = "service", .type = BMWI_OPTION_CHOICE, KEPT(service_name), .text = "classic",
   .words = "'classic' or 'cardata'"},
  {.name = "store", .type = BMWI_OPTION_OBJECT},
  {.name = "timeout", .type = BMWI_OPTION_NUMBER, KEPT(timeout), .standard = 30, .least = 0.001,
   .most = 86400},
  {.name = "token", .type = BMWI_OPTION_TABLE},
  {.name = "user_agent", .type = BMWI_OPTION_TEXT, KEPT(transport.user_agent),
   .text = "bmwi/" BMWI_VERSION},
};
/* clang-format on */
#define COMMON (sizeof common / sizeof common[0])

const bmwi_endpoint bmwi_free_get = {
  .exchange = {.name = "get", .method = "GET"},
  .answer = BMWI_ANSWER_ANY,
};
const bmwi_endpoint bmwi_free_post = {
  .exchange = {.name = "post", .method = "POST", .command = true},
  .answer = BMWI_ANSWER_ANY,
};

bool bmwi_endpoint_path(bmwi_buffer *b, const bmwi_endpoint *endpoint, const char *value) {
  const char *mark = strchr(endpoint->path, '{');
  if (mark == NULL) return bmwi_buffer_text(b, endpoint->path);
  return bmwi_buffer_add(b, endpoint->path, (size_t)(mark - endpoint->path)) &&
         bmwi_buffer_escape(b, value, strlen(value), false) &&
         bmwi_buffer_text(b, strchr(mark, '}') + 1);
}

const bmwi_service *bmwi_service_named(const char *name) {
  for (const bmwi_service *const *p = bmwi_services; *p != NULL; p++)
    if (strcmp((*p)->name, name) == 0) return *p;
  return NULL;
}

bool bmwi_service_array(const char *name) {
  for (const bmwi_service *const *s = bmwi_services; *s != NULL; s++)
    for (const char *const *p = (*s)->arrays; p != NULL && *p != NULL; p++)
      if (strcmp(*p, name) == 0) return true;
  return false;
}

const bmwi_endpoint *bmwi_service_endpoint(const bmwi_service *service, const char *name) {
  for (const bmwi_endpoint *e = service->endpoints; e != NULL && e->exchange.name != NULL; e++)
    if (strcmp(e->exchange.name, name) == 0) return e;
  return NULL;
}

const bmwi_option *bmwi_service_option(const bmwi_service *service, size_t i) {
  return i < COMMON ? &common[i] : &service->options[i - COMMON];
}

int bmwi_service_region(const bmwi_service *service, const char *name) {
  for (int i = 0; service->regions[i].name != NULL; i++)
    if (strcmp(service->regions[i].name, name) == 0) return i;
  return -1;
}

int bmwi_service_region_of(const bmwi_service *service, const char *mark) {
  for (int i = 0; service->regions[i].name != NULL; i++)
    if (strcmp(service->regions[i].mark, mark) == 0) return i;
  return -1;
}
