#include "route.h"

#include "replay.h"

#include <string.h>

static bool path_matches(const char *pattern, struct request *request) {
  const char *at = request->path;
  request->argument[0] = '\0';
  for (; *pattern != '\0'; pattern++) {
    if (*pattern == '*') {
      size_t length = strcspn(at, "/");
      if (length == 0 || length >= sizeof request->argument) {
        return false;
      }
      memcpy(request->argument, at, length);
      request->argument[length] = '\0';
      at += length;
    } else if (*pattern != *at++) {
      return false;
    }
  }
  return *at == '\0';
}

/* If the path matches but not the method, the service and the argument are set all the same, for
   headers and faults. */
void route_find(struct request *request) {
  bool head = strcmp(request->method, "HEAD") == 0; /* a GET whose body is not sent */
  const char *method = head ? "GET" : request->method;
  char argument[sizeof request->argument] = "";
  for (int i = 0; service_at(i) != NULL && request->route == NULL; i++) {
    const struct route *route = service_at(i)->routes;
    if (!request->path_known) {
      request->service = service_at(i);
    }
    for (; route->path != NULL && request->route == NULL; route++) {
      if (!path_matches(route->path, request) || (route->fits != NULL && !route->fits(request))) {
        continue;
      }
      request->path_known = true;
      request->service = service_at(i);
      request->route = strcmp(route->method, method) == 0 ? route : NULL;
      memcpy(argument, request->argument, sizeof argument);
    }
  }
  memcpy(request->argument, argument, sizeof argument);
}

bool route_control(const struct request *request) {
  return strncmp(request->path, "/_sim", 5) == 0 &&
         (request->path[5] == '\0' || request->path[5] == '/');
}

void route_answer(struct request *request, struct reply *reply) {
  if (request->route != NULL) {
    if (request->service->allow == NULL || request->service->allow(request, reply)) {
      if (!route_control(request) && replay_answer(request, reply)) {
        return;
      }
      if (request->route->change != NULL) {
        reply_change(request, reply, request->route->change);
      } else {
        request->route->handle(request, reply);
      }
    }
  } else if (!route_control(request) && replay_answer(request, reply)) {
    return;
  } else if (request->path_known) {
    reply->status = 405;
  } else {
    for (int i = 0; service_at(i) != NULL; i++) {
      if (service_at(i)->unknown != NULL && service_at(i)->unknown(request, reply)) {
        return;
      }
    }
    reply->status = 404;
  }
}
