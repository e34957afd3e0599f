#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef __APPLE__
#include <sys/random.h>
#endif

void *must_alloc(size_t size) {
  void *memory = calloc(1, size > 0 ? size : 1);
  if (memory == NULL) {
    fputs("bmwi-sim: out of memory\n", stderr);
    abort();
  }
  return memory;
}

char *must_copy(const char *text, size_t length) {
  char *copy = must_alloc(length + 1);
  if (length > 0) {
    memcpy(copy, text, length);
  }
  return copy;
}

static void make_room(struct bytes *out, size_t more) {
  size_t need = out->length + more + 1;
  if (need <= out->room) {
    return;
  }
  size_t room = out->room < 256 ? 256 : out->room;
  while (room < need) {
    room *= 2;
  }
  char *at = realloc(out->at, room);
  if (at == NULL) {
    fputs("bmwi-sim: out of memory\n", stderr);
    abort();
  }
  out->at = at;
  out->room = room;
}

void bytes_add(struct bytes *out, const void *data, size_t length) {
  make_room(out, length);
  if (length > 0) {
    memcpy(out->at + out->length, data, length);
  }
  out->length += length;
  out->at[out->length] = '\0';
}

void bytes_text(struct bytes *out, const char *text) { bytes_add(out, text, strlen(text)); }

void bytes_format(struct bytes *out, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  /* clang-tidy 14 does not see va_start in the second and later files of one run. */
  /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized) */
  int length = vsnprintf(NULL, 0, format, arguments);
  va_end(arguments);
  if (length < 0) {
    return;
  }
  make_room(out, (size_t)length);
  va_start(arguments, format);
  vsnprintf(out->at + out->length, (size_t)length + 1, format, arguments);
  va_end(arguments);
  out->length += (size_t)length;
}

void bytes_free(struct bytes *out) {
  free(out->at);
  memset(out, 0, sizeof *out);
}

void random_text(char *out, size_t length) {
  static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  for (size_t i = 0; i < length; i++) {
    unsigned char noise = 0;
    if (getentropy(&noise, 1) != 0) {
      perror("bmwi-sim: no random bytes");
    }
    out[i] = alphabet[noise % (sizeof alphabet - 1)];
  }
  out[length] = '\0';
}
