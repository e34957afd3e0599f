#include "profile.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

static bool is_time(const json_t *value) {
  const char *text = json_string_value(value);
  return text != NULL && strlen(text) == 5 && isdigit((unsigned char)text[0]) &&
         isdigit((unsigned char)text[1]) && text[2] == ':' && isdigit((unsigned char)text[3]) &&
         isdigit((unsigned char)text[4]) && strncmp(text, "24", 2) < 0 && text[3] < '6';
}

/* Checks the types of these members wherever they occur; `{}` for an empty list of weekdays is the
   classic mistake. */
static bool timers_good(const json_t *planner) {
  static const char *const days[] = {"MONDAY", "TUESDAY",  "WEDNESDAY", "THURSDAY",
                                     "FRIDAY", "SATURDAY", "SUNDAY"};
  const char *name;
  json_t *part;
  json_object_foreach((json_t *)planner, name, part) {
    const char *member;
    json_t *value;
    json_object_foreach(part, member, value) {
      if (strcmp(member, "weekdays") == 0 && !json_is_array(value)) {
        return false;
      }
      if (strstr(member, "Time") != NULL && !is_time(value)) {
        return false;
      }
      if (strstr(member, "nabled") != NULL && !json_is_boolean(value)) {
        return false;
      }
      for (size_t i = 0; json_is_array(value) && i < json_array_size(value); i++) {
        const char *day = json_string_value(json_array_get(value, i));
        bool known = false;
        for (size_t k = 0; day != NULL && k < sizeof days / sizeof *days; k++) {
          known = known || strcmp(days[k], day) == 0;
        }
        if (!known) {
          return false;
        }
      }
    }
  }
  return true;
}

json_t *profile_read(const struct field *data) {
  json_t *profile = data != NULL ? json_loadb(data->value, data->length, 0, NULL) : NULL;
  const json_t *weekly = json_object_get(profile, "weeklyPlanner");
  const json_t *two = json_object_get(profile, "twoTimesTimer");
  const json_t *planner = weekly != NULL ? weekly : two;
  if (!json_is_object(planner) || (weekly != NULL && two != NULL) || !timers_good(planner)) {
    json_decref(profile);
    return NULL;
  }
  return profile;
}
