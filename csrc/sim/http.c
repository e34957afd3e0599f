#include "http.h"

#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>

const char *request_header(const struct request *request, const char *name) {
  return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

json_t *request_json(const struct request *request) {
  return json_loadb(request->body.length > 0 ? request->body.at : "", request->body.length, 0,
                    NULL);
}

const char *query_value(const struct request *request, const char *name) {
  return field_value(&request->query_fields, name);
}

void reply_header(struct reply *reply, const char *name, const char *value) {
  fields_add(&reply->headers, must_copy(name, strlen(name)), must_copy(value, strlen(value)),
             strlen(value));
}

void reply_json(struct reply *reply, int status, const json_t *value) {
  reply->status = status;
  reply->type = "application/json;charset=UTF-8";
  bytes_free(&reply->body);
  bytes_json(&reply->body, value);
}

void reply_new(struct reply *reply, int status, json_t *value) {
  reply_json(reply, status, value);
  json_decref(value);
}

void reply_free(struct reply *reply) {
  bytes_free(&reply->body);
  fields_free(&reply->headers);
}

void reply_done(struct reply *reply, const char *problem) {
  reply_new(reply, problem == NULL ? 200 : 400,
            problem == NULL ? json_pack("{s:b}", "ok", 1) : json_pack("{s:s}", "error", problem));
}

void reply_change(const struct request *request, struct reply *reply,
                  const char *(*change)(const json_t *options)) {
  json_t *body = request_json(request);
  reply_done(reply, body != NULL ? change(body) : "the body is not JSON");
  json_decref(body);
}
