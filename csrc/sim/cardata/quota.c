#include "quota.h"

#include "../world.h"
#include "errors.h"
#include "settings.h"

#include <stdio.h>
#include <string.h>

enum { CALLS = 1000000 }; /* as many as the setting allows */
static const double day = 24 * 3600;

static double calls[CALLS]; /* times, oldest first; refused calls are not kept */
static size_t count;
static bool exceeded;

void quota_reset(void) {
  count = 0;
  exceeded = false;
}

/* Drops calls that no longer count. */
static void forget_old(void) {
  double now = world_epoch();
  double midnight = (double)((long long)(now / day)) * day;
  double oldest = cardata.quota_rolling ? now - day : midnight;
  size_t old = 0;
  while (old < count && calls[old] < oldest) {
    old++;
  }
  if (old > 0) {
    memmove(calls, calls + old, (count - old) * sizeof *calls);
    count -= old;
  }
}

void quota_count(long more) {
  forget_old();
  for (; more > 0; more--) {
    exceeded = (double)count >= cardata.quota || count == CALLS;
    if (!exceeded) {
      calls[count++] = world_epoch();
    }
  }
}

bool quota_exceeded(void) { return exceeded; }

void quota_reply(struct reply *reply) {
  error_reply(reply, cardata.quota_status_429 ? "CU-429-status" : "CU-429", NULL);
  if (cardata.quota_retry_after > 0) {
    char text[32];
    snprintf(text, sizeof text, "%.0f", cardata.quota_retry_after);
    reply_header(reply, "Retry-After", text);
  }
}

json_t *quota_report(void) {
  forget_old();
  double left = cardata.quota - (double)count;
  return json_pack("{s:I, s:I, s:I}", "limit", (json_int_t)cardata.quota, "used", (json_int_t)count,
                   "left", (json_int_t)(left > 0 ? left : 0));
}
