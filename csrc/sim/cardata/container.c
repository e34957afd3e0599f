#include "container.h"

#include "../world.h"
#include "errors.h"
#include "settings.h"
#include "stamp.h"

#include <string.h>

enum { CONTAINERS = 200, ID_LENGTH = 13 };
static const double deleted_kept_for = 29 * 24 * 3600;

static struct container {
  json_t *all;    /* as it is sent */
  double deleted; /* when; 0: not deleted */
} containers[CONTAINERS];
static size_t count;

void container_reset(void) {
  for (size_t i = 0; i < count; i++) {
    json_decref(containers[i].all);
  }
  count = 0;
}

/* Deleted ones stay in the list for a while. */
static void purge(void) {
  for (size_t i = 0; i < count;) {
    if (containers[i].deleted > 0 && world_now() > containers[i].deleted + deleted_kept_for) {
      json_decref(containers[i].all);
      memmove(containers + i, containers + i + 1, (--count - i) * sizeof *containers);
    } else {
      i++;
    }
  }
}

static json_t *summary(const struct container *container) {
  json_t *out = json_copy(container->all);
  json_object_del(out, "technicalDescriptors");
  return out;
}

void container_list(struct request *request, struct reply *reply) {
  (void)request;
  purge();
  json_t *list = json_array();
  for (size_t i = 0; i < count; i++) {
    json_array_append_new(list, summary(&containers[i]));
  }
  reply_new(reply, 200, json_pack("{s:o}", "containers", list));
}

static bool descriptor_good(const json_t *descriptor) {
  size_t i;
  json_t *refused;
  const char *text = json_string_value(descriptor);
  if (text == NULL || strncmp(text, "vehicle.", 8) != 0) {
    return false;
  }
  json_array_foreach(cardata.refused, i, refused) {
    if (json_equal(refused, descriptor)) {
      return false;
    }
  }
  return true;
}

/* NULL or the name of the error. */
static const char *creation_problem(const json_t *body) {
  const json_t *descriptors = json_object_get(body, "technicalDescriptors");
  size_t counted = 0;
  if (json_word(body, "name") == NULL || json_word(body, "purpose") == NULL ||
      json_array_size(descriptors) == 0) {
    return "CU-400";
  }
  for (size_t i = 0; i < json_array_size(descriptors); i++) {
    if (!descriptor_good(json_array_get(descriptors, i))) {
      return "CU-402";
    }
  }
  for (size_t i = 0; i < count; i++) {
    counted += containers[i].deleted <= 0 || !cardata.deleted_uncounted;
  }
  return (double)counted >= cardata.container_limit || count == CONTAINERS ? "CU-124" : NULL;
}

void container_create(struct request *request, struct reply *reply) {
  purge();
  json_t *body = request_json(request);
  const char *problem = creation_problem(body);
  if (problem != NULL) {
    error_reply(reply, problem, NULL);
  } else {
    char id[ID_LENGTH + 1] = "W0";
    random_text(id + 2, ID_LENGTH - 2);
    for (char *at = id; *at != '\0'; at++) {
      *at = *at >= 'a' && *at <= 'z' ? (char)(*at - 'a' + 'A') : *at;
    }
    struct container *container = &containers[count++];
    container->deleted = 0;
    container->all = json_pack(
      "{s:s, s:s, s:s, s:s, s:o, s:O}", "containerId", id, "name", json_word(body, "name"),
      "purpose", json_word(body, "purpose"), "state", "ACTIVE", "created", stamp(world_epoch()),
      "technicalDescriptors", json_object_get(body, "technicalDescriptors"));
    reply_json(reply, (int)cardata.container_status, container->all);
  }
  json_decref(body);
}

static struct container *find_container(const char *id, struct reply *reply) {
  purge();
  if (strlen(id) != ID_LENGTH) {
    error_reply(reply, "CU-121", NULL);
    return NULL;
  }
  for (size_t i = 0; i < count; i++) {
    if (strcmp(json_word(containers[i].all, "containerId"), id) == 0) {
      return &containers[i];
    }
  }
  error_reply(reply, "CU-105", NULL);
  return NULL;
}

void container_show(struct request *request, struct reply *reply) {
  const struct container *container = find_container(request->argument, reply);
  if (container != NULL) {
    reply_json(reply, 200, container->all);
  }
}

void container_delete(struct request *request, struct reply *reply) {
  struct container *container = find_container(request->argument, reply);
  if (container == NULL) {
    return;
  }
  if (container->deleted > 0) {
    error_reply(reply, "CU-122", NULL);
    return;
  }
  container->deleted = world_now();
  json_object_set_new(container->all, "state", json_string("DELETED"));
  reply->status = 204;
}

const json_t *container_descriptors(const char *id, struct reply *reply) {
  const struct container *container = find_container(id, reply);
  if (container != NULL && container->deleted > 0) {
    error_reply(reply, "CU-105", NULL);
    return NULL;
  }
  return container != NULL ? json_object_get(container->all, "technicalDescriptors") : NULL;
}

json_t *container_report(void) {
  json_t *list = json_array();
  for (size_t i = 0; i < count; i++) {
    json_array_append(list, containers[i].all);
  }
  return list;
}
