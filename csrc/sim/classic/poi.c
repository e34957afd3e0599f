#include "poi.h"

#include "../world.h"
#include "errors.h"
#include "settings.h"
#include "types.h"

#include <stdlib.h>
#include <string.h>

/* A number or a numeric string, as working clients sent both; NULL: neither, or out of range. */
static json_t *degrees(const json_t *value, double most) {
  if (json_is_number(value)) {
    double number = json_number_value(value);
    return number >= -most && number <= most ? json_real(number) : NULL;
  }
  if (json_is_string(value) && read_degrees(json_string_value(value), most)) {
    return json_real(strtod(json_string_value(value), NULL));
  }
  return NULL;
}

static void add_destination(struct car *car, const json_t *poi, json_t *lat, json_t *lon) {
  static const char *const copied[] = {"country", "city", "street"};
  json_t *list = car_inner(car, DESTINATIONS);
  json_t *entry = json_pack("{s:O, s:O}", "lat", lat, "lon", lon);
  for (size_t i = 0; i < sizeof copied / sizeof *copied; i++) {
    json_t *value = json_object_get(poi, copied[i]);
    if (json_is_string(value)) {
      json_object_set(entry, copied[i], value);
    }
  }
  set_text(entry, "type", "DESTINATION");
  json_object_set_new(entry, "createdAt", server_time(world_epoch()));
  json_array_insert_new(list, 0, entry);
  while (json_array_size(list) > POIS) {
    json_array_remove(list, json_array_size(list) - 1);
  }
}

void poi_send(struct request *request, struct reply *reply) {
  struct car *car = request->subject;
  const struct field *data = field_find(&request->form, "data");
  if (data == NULL && settings.poi_body) {
    data = field_find(&request->form, "body");
  }
  if (!type_allowed(car, type_number("SEND_POI_TO_CAR"), reply)) {
    return;
  }
  json_t *sent = data != NULL ? json_loadb(data->value, data->length, 0, NULL) : NULL;
  json_t *poi = json_object_get(sent, "poi");
  if (!json_is_object(poi)) {
    recorded_reply(reply, "poi_invalid", "");
    json_decref(sent);
    return;
  }
  const json_t *lat_sent = json_object_get(poi, "lat");
  const json_t *lon_sent = json_object_get(poi, "lon");
  json_t *lat = degrees(lat_sent, 90);
  json_t *lon = degrees(lon_sent, 180);
  /* Without both it is a text message to the car; only one, or one out of range, is an error. */
  if ((lat_sent != NULL || lon_sent != NULL) && (lat == NULL || lon == NULL)) {
    recorded_reply(reply, "bad_parameter", lat == NULL ? "lat" : "lon");
  } else {
    if (lat != NULL && lon != NULL) {
      add_destination(car, poi, lat, lon);
    }
    json_array_append(car->pois, poi);
    if (json_array_size(car->pois) > POIS) {
      json_array_remove(car->pois, 0);
    }
    reply->status = 204;
    reply->type = "text/plain";
  }
  json_decref(lat);
  json_decref(lon);
  json_decref(sent);
}
