/* One request and its answer. */
#ifndef BMWI_SIM_HTTP_H
#define BMWI_SIM_HTTP_H

#include "form.h"
#include "json.h"
#include "text.h"

struct MHD_Connection;
struct route;
struct service;

struct request {
  struct MHD_Connection *connection;
  char *target; /* as sent: path and query, still encoded */
  char *method;
  char *path;        /* decoded, without a trailing slash */
  const char *query; /* inside target */
  struct bytes body;
  long number; /* in the log; 0: not logged */
  bool tls;
  bool body_too_large;
  bool stop_when_sent;
  struct fields query_fields;
  struct fields form; /* empty when the body is not a form */
  bool is_form;
  const struct service *service; /* that the path belongs to */
  const struct route *route;     /* NULL: no match */
  bool path_known;               /* but with another method */
  char argument[64];             /* the part of the path that "*" in the route matches */
  void *subject;                 /* set by the service: what the path names */
};

struct reply {
  int status;
  const char *type; /* NULL: no Content-Type */
  struct bytes body;
  struct fields headers; /* besides Content-Type */
};

const char *request_header(const struct request *request, const char *name); /* NULL: none */
json_t *request_json(const struct request *request);                         /* NULL: not JSON */
const char *query_value(const struct request *request, const char *name);

void reply_header(struct reply *reply, const char *name, const char *value);
void reply_json(struct reply *reply, int status, const json_t *value);
void reply_new(struct reply *reply, int status, json_t *value); /* takes ownership of the value */
void reply_free(struct reply *reply);

/* The response to a change under /_sim: 200, or 400 with the problem. */
void reply_done(struct reply *reply, const char *problem);
/* Passes the body to the function, which returns NULL or a problem. */
void reply_change(const struct request *request, struct reply *reply,
                  const char *(*change)(const json_t *options));

#endif
