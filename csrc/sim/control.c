#include "control.h"

#include "fault.h"
#include "log.h"
#include "replay.h"
#include "route.h"
#include "world.h"

#include <limits.h>
#include <stdlib.h>

/* A log number from the query: ?after=N or ?until=N. */
static long query_number(const struct request *request, const char *name, long fallback) {
  const char *text = query_value(request, name);
  return text != NULL ? strtol(text, NULL, 10) : fallback;
}

static void show_log(struct request *request, struct reply *reply) {
  reply_new(reply, 200, log_report(query_number(request, "after", 0)));
}

static void clear_log(struct request *request, struct reply *reply) {
  log_clear(query_number(request, "until", LONG_MAX));
  reply_done(reply, NULL);
}

static void clear_faults(struct request *request, struct reply *reply) {
  (void)request;
  fault_clear();
  reply_done(reply, NULL);
}

static const char *move_clock(const json_t *options) {
  double advance = 0;
  const struct json_setting rows[] = {{"advance", NULL, &advance, 0, 1e9, 0}, {0}};
  const char *problem = json_settings(options, rows, NULL);
  world_advance(advance);
  return problem;
}

static void reset(struct request *request, struct reply *reply) {
  (void)request;
  services_reset();
  reply_done(reply, NULL);
}

static void stop(struct request *request, struct reply *reply) {
  request->stop_when_sent = true;
  reply_done(reply, NULL);
}

/* The documented paths of every service. */
static void list_paths(struct request *request, struct reply *reply) {
  (void)request;
  json_t *list = json_array();
  for (int i = 0; service_at(i) != NULL; i++) {
    for (const struct route *route = service_at(i)->routes; route->path != NULL; route++) {
      if (route->help != NULL) {
        json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "method", route->method, "path",
                                              route->path, "help", route->help));
      }
    }
  }
  reply_new(reply, 200, json_pack("{s:o}", "paths", list));
}

static bool unknown(struct request *request, struct reply *reply) {
  if (!route_control(request)) {
    return false;
  }
  list_paths(request, reply);
  reply->status = 404;
  return true;
}

static void clear_all(void) {
  world_reset();
  replay_rewind();
  fault_clear();
  log_clear(LONG_MAX);
}

static void end(void) {
  clear_all();
  replay_end();
}

static const struct option options[] = {
  {"--speed", "N",
   "run commands and recordings N times as fast (default 1: a command takes\n"
   "                       6 seconds)",
   world_set_speed},
  {"--replay", "FILE", "play a recording made by bmwi --record", replay_set_file},
  {0},
};

static const struct route routes[] = {
  {"GET", "/_sim", list_paths, .help = "this list"},
  {"GET", "/_sim/log", show_log,
   .help = "the requests received; ?after=N: only those after number N"},
  {"DELETE", "/_sim/log", clear_log, .help = "clears the log; ?until=N: only up to number N"},
  {"POST", "/_sim/fault", .change = fault_add, .help = "adds a fault to the answers"},
  {"DELETE", "/_sim/fault", clear_faults, .help = "removes all faults"},
  {"POST", "/_sim/clock", .change = move_clock,
   .help = "advance: moves the simulator's clock forward by so many seconds"},
  {"POST", "/_sim/reset", reset, .help = "resets everything to its initial state"},
  {"POST", "/_sim/stop", stop, .help = "ends the simulator"},
  {0},
};

const struct service control_service = {
  .routes = routes,
  .options = options,
  .start = replay_start,
  .reset = clear_all,
  .end = end,
  .unknown = unknown,
};
