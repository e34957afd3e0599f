/* What the parts of the simulator share: the world they act on and each part's few functions.
   The simulator stands in for the server, so it shares no code with the client beside it. */
#ifndef BMWI_SIM_H
#define BMWI_SIM_H

/* Everything includes this first: plain C11 hides sockets, clocks and signals. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>

struct MHD_Connection;

#define SIM_VERSION "0.1.0"
#define BODY_LIMIT ((size_t)1 << 20)

/* ---- text.c: growing bytes, JSON text, form fields ---- */

struct bytes {
  char *at; /* always ends in a zero byte that is not counted; NULL while empty */
  size_t length;
  size_t room;
};

void *must_alloc(size_t size);
char *must_copy(const char *text, size_t length);
void bytes_add(struct bytes *out, const void *data, size_t length);
void bytes_text(struct bytes *out, const char *text);
void bytes_format(struct bytes *out, const char *format, ...)
    __attribute__((format(printf, 2, 3), nonnull(2)));
void bytes_json(struct bytes *out, const json_t *value);
void bytes_json_string(struct bytes *out, const char *data, size_t length);
void bytes_free(struct bytes *out);

struct field {
  char *name;
  char *value;
  size_t length;
};

struct fields {
  struct field *list;
  size_t count;
};

void fields_decode(struct fields *out, const char *text, size_t length);
const struct field *field_find(const struct fields *fields, const char *name);
const char *field_value(const struct fields *fields, const char *name);
bool field_repeated(const struct fields *fields);
void fields_free(struct fields *fields);

/* ---- route.c: one request and its answer ---- */

struct reply {
  int status;
  const char *type; /* NULL: no Content-Type */
  struct bytes body;
};

struct request {
  struct MHD_Connection *connection;
  char *target; /* as sent: path and query, still encoded */
  char *method;
  char *path;        /* decoded, without a trailing slash */
  const char *query; /* inside target */
  struct bytes body;
  long number; /* in the log; 0: not there */
  bool seen;
  bool body_too_large;
  bool stop_when_sent;
  struct fields query_fields;
  struct fields form; /* empty when the body is not a form */
  bool is_form;
  char vin[64]; /* what stands at the place of the VIN in the path */
};

struct car;
struct MHD_Daemon;

/* Both are called with the world locked. */
void reply_json(struct reply *reply, int status, const json_t *value);
void reply_wrapped(struct reply *reply, const char *name, const json_t *value);

struct MHD_Daemon *route_start(int listener, const char *key, const char *cert);

/* ---- sim.c: the world ---- */

struct settings {
  bool list_array;
  bool any_key; /* every API key is good */
  double speed;
  char *secret_answer; /* NULL: unlocking needs none */
  bool poi_body;       /* the POI may also come in the field "body" */
  bool navigation_scope;
};

extern struct settings settings;

void world_lock(void);
void world_unlock(void);
void world_reset(void);
/* Waits without the lock held; false when the simulator is being stopped meanwhile. */
bool world_pause(double seconds);
void world_stop(void);
double world_now(void);   /* seconds since the start, never goes back */
double world_epoch(void); /* the same instant as seconds since 1970 */
bool world_tls(void);

/* ---- log.c: what was received ---- */

long log_add(const struct request *request, unsigned connection);
void log_status(long number, int status);
void log_fault(long number, const char *fault); /* a constant word, kept as it is */
void log_clear(long until);                     /* LONG_MAX: all */
void log_json(struct bytes *out, long after);   /* 0: all */

/* ---- token.c: OAuth ---- */

void token_answer(struct request *request, struct car *car, struct reply *reply);
bool token_valid(const char *authorization);
void token_reset(void);
const char *token_control(const json_t *options);

/* ---- data.c: the mission document's answers ---- */

json_t *data_vehicles(void);
json_t *data_answer(const char *name, const char *vin);

/* ---- car.c, command.c, poi.c: cars and their commands over time; see car.h ---- */

void cars_load(const json_t *vehicles); /* NULL: the mission document's car */
void cars_free(void);
struct car *car_find(const char *vin);
json_t *car_report(struct car *car);
const char *car_change(struct car *car, const json_t *changes);
const char *commands_control(const json_t *options);
void commands_reset(void);

void car_list(struct request *request, struct car *car, struct reply *reply);
void car_one(struct request *request, struct car *car, struct reply *reply);
void car_answer(struct request *request, struct car *car, struct reply *reply);
void car_execute(struct request *request, struct car *car, struct reply *reply);
void car_execution(struct request *request, struct car *car, struct reply *reply);
void car_history(struct request *request, struct car *car, struct reply *reply);
void car_poi(struct request *request, struct car *car, struct reply *reply);

/* ---- image.c: a drawn picture of the car ---- */

void image_answer(struct request *request, struct car *car, struct reply *reply);

/* ---- fault.c: recorded errors and fault rules ---- */

/* `detail` (a VIN, a service, a parameter) stands where the recorded text has a name. */
bool recorded_reply(struct reply *reply, const char *name, const char *detail);

enum fault_reset { RESET_NONE, RESET_READING, RESET_BEFORE, RESET_AFTER, RESET_DURING };

struct fault {
  double latency;
  int status;
  char *recorded;
  char *body;
  size_t body_length;
  char *raw;
  size_t raw_length;
  char *content_type;
  struct fields headers;
  enum fault_reset reset;
  bool orderly; /* no reset but an orderly end, as of a server that gave up on the connection */
  long long truncate; /* -1: whole */
  double drip;        /* bytes per second; 0: at once */
  long long pad;      /* -1: the normal body */
  bool gzip;
};

/* What it does to an answer, in a word, or the name of the recorded error; NULL: nothing. */
const char *fault_word(const struct fault *fault);
/* The rule to reset the connection while the body of such a request is still coming: used up. */
bool fault_while_reading(const char *method, const char *target);
bool fault_take(const char *method, const char *target, struct fault *out);
void fault_free(struct fault *fault);
const char *fault_add(const json_t *options);
void fault_clear(void);

/* ---- control.c: /_sim ---- */

void control_log(struct request *request, struct car *car, struct reply *reply);
void control_log_clear(struct request *request, struct car *car, struct reply *reply);
void control_fault(struct request *request, struct car *car, struct reply *reply);
void control_fault_clear(struct request *request, struct car *car, struct reply *reply);
void control_token(struct request *request, struct car *car, struct reply *reply);
void control_commands(struct request *request, struct car *car, struct reply *reply);
void control_config(struct request *request, struct car *car, struct reply *reply);
void control_car(struct request *request, struct car *car, struct reply *reply);
void control_car_change(struct request *request, struct car *car, struct reply *reply);
void control_reset(struct request *request, struct car *car, struct reply *reply);
void control_stop(struct request *request, struct car *car, struct reply *reply);
const char *known_members(const json_t *options, const char *const names[]);

#endif
