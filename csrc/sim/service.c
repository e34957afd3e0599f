#include "service.h"

static const struct service *const *services;

void services_use(const struct service *const list[]) { services = list; }

const struct service *service_at(int i) { return services[i]; }

bool services_start(void) {
  for (int i = 0; services[i] != NULL; i++) {
    if (services[i]->start != NULL && !services[i]->start()) {
      return false;
    }
  }
  return true;
}

bool services_listen(const char *key, const char *cert) {
  for (int i = 0; services[i] != NULL; i++) {
    if (services[i]->listen != NULL && !services[i]->listen(key, cert)) {
      return false;
    }
  }
  return true;
}

void services_announce(void) {
  for (int i = 0; services[i] != NULL; i++) {
    if (services[i]->announce != NULL) {
      services[i]->announce();
    }
  }
}

void services_reset(void) {
  for (int i = 0; services[i] != NULL; i++) {
    services[i]->reset();
  }
}

void services_end(void) {
  int count = 0;
  while (services[count] != NULL) {
    count++;
  }
  while (count > 0) {
    services[--count]->end();
  }
}

bool services_recorded(struct reply *reply, const char *name, const char *detail) {
  for (int i = 0; services[i] != NULL; i++) {
    if (services[i]->recorded != NULL && services[i]->recorded(reply, name, detail)) {
      return true;
    }
  }
  return false;
}
