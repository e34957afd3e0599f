#include "rest.h"

#include "../picture.h"
#include "../world.h"
#include "container.h"
#include "errors.h"
#include "settings.h"
#include "stamp.h"
#include "vehicle.h"

#include <stdio.h>
#include <string.h>

enum { PAGE = 10 };

void rest_mappings(struct request *request, struct reply *reply) {
  (void)request;
  reply_new(reply, 200, vehicle_mappings());
}

/* Sends one member of the car, or the error `missing` if the car has none. */
static void send_member(const struct request *request, struct reply *reply, const char *name,
                        const char *missing) {
  const json_t *value = json_object_get(request->subject, name);
  if (value == NULL || json_is_null(value)) {
    error_reply(reply, missing, NULL);
  } else {
    reply_json(reply, 200, value);
  }
}

void rest_basic_data(struct request *request, struct reply *reply) {
  send_member(request, reply, "basicData", "CU-500");
}

void rest_tyres(struct request *request, struct reply *reply) {
  send_member(request, reply, "smartMaintenanceTyreDiagnosis", "CU-500");
}

/* BMW guarantees no order of the keys, so it varies here. */
void rest_telematic_data(struct request *request, struct reply *reply) {
  const char *id = query_value(request, "containerId");
  if (id == NULL) {
    error_reply(reply, "CU-401", NULL);
    return;
  }
  const json_t *descriptors = container_descriptors(id, reply);
  size_t count = json_array_size(descriptors);
  if (descriptors == NULL) {
    return;
  }
  json_t *values = json_object();
  size_t first = (size_t)(world_now() * 1e6);
  for (size_t i = 0; i < count; i++) {
    const char *name = json_string_value(json_array_get(descriptors, (first + i) % count));
    json_t *value = vehicle_value(request->subject, name);
    if (value != NULL) {
      json_object_set_new(values, name, value);
    }
  }
  reply_new(reply, 200, json_pack("{s:o}", "telematicData", values));
}

/* ---- pages ---- */

/* Where the next page starts and when the token was issued. It has characters that a client must
   percent-encode. */
static json_t *page_token(size_t start) {
  char text[64];
  snprintf(text, sizeof text, "T/%zu+%.0f==", start, world_now() * 1000);
  return json_string(text);
}

/* false: answered. */
static bool page_start(const struct request *request, size_t *start, struct reply *reply) {
  const char *token = query_value(request, "nextToken");
  double given = 0;
  *start = 0;
  if (token != NULL && (sscanf(token, "T/%zu+%lf==", start, &given) != 2 ||
                        world_now() > given / 1000 + cardata.page_token_life)) {
    error_reply(reply, "CU-125", NULL);
    return false;
  }
  return true;
}

static json_t *cut_page(const json_t *all, size_t start) {
  json_t *page = json_array();
  for (size_t i = start; i < start + PAGE && i < json_array_size(all); i++) {
    json_array_append(page, json_array_get(all, i));
  }
  return page;
}

/* The sessions of the requested period. NULL: it is invalid, and the reply says so. */
static json_t *requested_sessions(const struct request *request, struct reply *reply) {
  static const double longest = 45 * 24 * 3600 + 1;
  const char *from_text = query_value(request, "from");
  const char *to_text = query_value(request, "to");
  double from = from_text != NULL ? read_stamp(from_text) : -1;
  double to = to_text != NULL ? read_stamp(to_text) : -1;
  size_t i;
  json_t *session;
  if (from < 0 || to < from || to - from > longest) {
    error_reply(reply, "CU-401", NULL);
    return NULL;
  }
  json_t *found = json_array();
  json_array_foreach(json_object_get(request->subject, "chargingHistory"), i, session) {
    double start = json_number(session, "startTime", 0);
    start = start > 1e11 ? start / 1000 : start;
    if (start >= from && start < to) {
      json_array_append(found, session);
    }
  }
  return found;
}

void rest_charging_history(struct request *request, struct reply *reply) {
  size_t start;
  json_t *found = requested_sessions(request, reply);
  if (found == NULL || !page_start(request, &start, reply)) {
    json_decref(found);
    return;
  }
  if (cardata.history_broken_page > 0 && start / PAGE + 1 == (size_t)cardata.history_broken_page) {
    error_reply(reply, "CU-500", NULL);
  } else {
    json_t *out = json_pack("{s:o}", "data", cut_page(found, start));
    if (start + PAGE < json_array_size(found)) {
      json_object_set_new(out, "next_token", page_token(start + PAGE));
    } else if (cardata.history_endless) {
      json_object_set_new(out, "next_token", page_token(start));
    }
    reply_new(reply, 200, out);
  }
  json_decref(found);
}

void rest_charging_settings(struct request *request, struct reply *reply) {
  const json_t *all = json_object_get(request->subject, "locationBasedChargingSettings");
  size_t start;
  if (!json_is_array(all)) {
    error_reply(reply, "CU-127", NULL);
  } else if (page_start(request, &start, reply)) {
    json_t *out = json_pack("{s:o}", "data", cut_page(all, start));
    if (start + PAGE < json_array_size(all)) {
      json_object_set_new(out, "nextToken", page_token(start + PAGE));
    }
    reply_new(reply, 200, out);
  }
}

/* ---- the picture ---- */

/* "png", "jpeg", or "untyped": a PNG sent as text/plain. */
void rest_image(struct request *request, struct reply *reply) {
  const char *kind = json_word(request->subject, "image");
  if (kind == NULL) {
    error_reply(reply, "CU-126", NULL);
    return;
  }
  bool jpeg = strcmp(kind, "jpeg") == 0;
  reply->status = 200;
  reply->type = jpeg ? "image/jpeg" : strcmp(kind, "png") == 0 ? "image/png" : "text/plain";
  bytes_add(&reply->body, jpeg ? picture_jpeg : picture_png,
            jpeg ? picture_jpeg_length : picture_png_length);
}
