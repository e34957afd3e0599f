/* Must come first: plain C11 hides timegm. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "stamp.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static size_t write_stamp(double epoch, char text[64]) {
  time_t seconds = (time_t)epoch;
  struct tm parts;
  gmtime_r(&seconds, &parts);
  return strftime(text, 64, "%Y-%m-%dT%H:%M:%S", &parts);
}

json_t *stamp(double epoch) {
  char text[64];
  size_t length = write_stamp(epoch, text);
  snprintf(text + length, sizeof text - length, ".%03dZ",
           (int)((epoch - (double)(time_t)epoch) * 1000) % 1000);
  return json_string(text);
}

json_t *stamp_seconds(double epoch) {
  char text[64];
  size_t length = write_stamp(epoch, text);
  snprintf(text + length, sizeof text - length, "Z");
  return json_string(text);
}

double read_stamp(const char *text) {
  static const char shape[] = "0000-00-00T00:00:00";
  size_t i = 0;
  for (; shape[i] != '\0'; i++) {
    bool digit = text[i] >= '0' && text[i] <= '9';
    if (shape[i] == '0' ? !digit : text[i] != shape[i]) {
      return -1;
    }
  }
  const char *end = text + i;
  if (*end == '.') {
    end += 1 + strspn(end + 1, "0123456789");
  }
  struct tm parts;
  memset(&parts, 0, sizeof parts);
  return strcmp(end, "Z") == 0 && strptime(text, "%Y-%m-%dT%H:%M:%S", &parts) != NULL
           ? (double)timegm(&parts)
           : -1;
}
