#include "image.h"

#include "../picture.h"
#include "errors.h"

#include <string.h>

void image_answer(struct request *request, struct reply *reply) {
  static const char *const views[] = {"FRONTSIDE", "FRONT",     "REARSIDE",   "REAR",
                                      "SIDE",      "DASHBOARD", "DRIVERDOOR", "REARBIRDSEYE"};
  const char *wanted = query_value(request, "view");
  bool known = wanted == NULL;
  for (size_t i = 0; i < sizeof views / sizeof *views; i++) {
    known = known || strcmp(wanted, views[i]) == 0;
  }
  if (!known) {
    recorded_reply(reply, "no_image", request->argument);
    return;
  }
  reply->status = 200;
  reply->type = "image/png";
  bytes_add(&reply->body, picture_png, picture_png_length);
}
