/* A PNG of the car, drawn here: the body in the paint's colour, another outline for each view. */
#include "sim.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/* The outline of each view: how high the body and the cabin stand over its width, in hundredths
   of the picture, and where the cabin begins and ends. */
static const struct view {
  const char *name;
  int body_left, body_right, body_top;
  int cabin_left, cabin_right, cabin_top;
  int wheels; /* seen from this side */
} views[] = {
    {"FRONTSIDE", 8, 92, 52, 26, 78, 26, 2}, {"FRONT", 22, 78, 50, 28, 72, 24, 0},
    {"REARSIDE", 8, 92, 50, 20, 72, 26, 2},  {"REAR", 22, 78, 48, 28, 72, 24, 0},
    {"SIDE", 4, 96, 52, 22, 82, 26, 2},      {"DASHBOARD", 2, 98, 60, 30, 70, 45, 0},
    {"DRIVERDOOR", 10, 90, 45, 14, 86, 12, 1}, {"REARBIRDSEYE", 15, 85, 30, 25, 75, 15, 0},
};

static void add_number(struct bytes *out, uint32_t number) {
  unsigned char text[4] = {(unsigned char)(number >> 24), (unsigned char)(number >> 16),
                           (unsigned char)(number >> 8), (unsigned char)number};
  bytes_add(out, text, sizeof text);
}

static void add_chunk(struct bytes *out, const char *type, const void *data, size_t length) {
  add_number(out, (uint32_t)length);
  size_t start = out->length;
  bytes_text(out, type);
  bytes_add(out, data, length);
  uLong sum = crc32(0, (const Bytef *)out->at + start, (uInt)(out->length - start));
  add_number(out, (uint32_t)sum);
}

static const unsigned char *colour_at(const struct view *view, int x, int y) {
  static const unsigned char colours[5][3] = {
      {236, 240, 244}, /* sky */
      {222, 96, 24},   /* paint: solar orange */
      {60, 72, 84},    /* glass */
      {24, 24, 26},    /* tyre */
      {168, 172, 176}, /* ground */
  };
  for (int i = 0; i < view->wheels; i++) {
    int middle = view->wheels == 1 ? 50 : i == 0 ? 24 : 76;
    int far = (x - middle) * (x - middle) + (y - 78) * (y - 78) / 2;
    if (far < 70) {
      return colours[3];
    }
  }
  if (y >= view->body_top && y < 80 && x >= view->body_left && x < view->body_right) {
    return colours[1];
  }
  int lean = (y - view->cabin_top) / 3;
  if (y >= view->cabin_top && y < view->body_top && x >= view->cabin_left + 8 - lean &&
      x < view->cabin_right - 8 + lean) {
    return colours[2];
  }
  return y >= 80 ? colours[4] : colours[0];
}

static void draw(const struct view *view, unsigned width, unsigned height, struct bytes *out) {
  size_t row = 1 + (size_t)width * 3;
  unsigned char *pixels = must_alloc(row * height);
  for (size_t y = 0; y < height; y++) {
    for (size_t x = 0; x < width; x++) {
      memcpy(pixels + y * row + 1 + x * 3,
             colour_at(view, (int)(x * 100 / width), (int)(y * 100 / height)), 3);
    }
  }
  uLongf packed_length = compressBound((uLong)(row * height));
  unsigned char *packed = must_alloc(packed_length);
  compress(packed, &packed_length, pixels, (uLong)(row * height));
  struct bytes header = {0};
  add_number(&header, width);
  add_number(&header, height);
  bytes_add(&header, "\x08\x02\0\0\0", 5); /* 8 bits, RGB */
  bytes_add(out, "\x89PNG\r\n\x1a\n", 8);
  add_chunk(out, "IHDR", header.at, header.length);
  add_chunk(out, "IDAT", packed, packed_length);
  add_chunk(out, "IEND", "", 0);
  bytes_free(&header);
  free(packed);
  free(pixels);
}

static unsigned pixels_asked(const struct request *request, const char *name, unsigned otherwise) {
  const char *text = field_value(&request->query_fields, name);
  long value = text != NULL ? strtol(text, NULL, 10) : 0;
  return value >= 1 && value <= 2000 ? (unsigned)value : otherwise;
}

void image_answer(struct request *request, struct car *car, struct reply *reply) {
  (void)car;
  const char *wanted = field_value(&request->query_fields, "view");
  for (size_t i = 0; i < sizeof views / sizeof *views; i++) {
    if (strcmp(wanted != NULL ? wanted : views[0].name, views[i].name) == 0) {
      reply->status = 200;
      reply->type = "image/png";
      draw(&views[i], pixels_asked(request, "width", 320), pixels_asked(request, "height", 200),
           &reply->body);
      return;
    }
  }
  recorded_reply(reply, "no_image", request->vin);
}
