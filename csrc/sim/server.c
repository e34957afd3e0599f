/* Must come first: plain C11 hides gmtime_r. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
/* One thread per connection, so that a slow response does not block others. */
#include "server.h"

#include "fault.h"
#include "log.h"
#include "route.h"
#include "stream.h"
#include "world.h"

#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

static const size_t body_limit = (size_t)1 << 20;
static bool tls;

/* ---- one request ---- */

static const char *type_of_body(const char *body) {
  return body[0] == '<'                     ? "text/html"
         : body[0] == '{' || body[0] == '[' ? "application/json;charset=UTF-8"
                                            : "text/plain";
}

/* The fault's own response, if it has one, instead of the service's. */
static bool fault_reply(struct request *request, const struct fault *fault, struct reply *reply) {
  if (fault->status == 0 && fault->recorded == NULL) {
    return false;
  }
  if (fault->recorded != NULL) {
    const struct service *service = request->service; /* two services may use the same name */
    const char *detail = service->detail != NULL ? service->detail(request) : NULL;
    if (service->recorded == NULL || !service->recorded(reply, fault->recorded, detail)) {
      services_recorded(reply, fault->recorded, detail);
    }
  }
  if (fault->status != 0) {
    reply->status = fault->status;
  }
  if (fault->body != NULL) {
    bytes_free(&reply->body);
    bytes_add(&reply->body, fault->body, fault->body_length);
    reply->type = type_of_body(fault->body);
  }
  return true;
}

static void read_form(struct request *request) {
  const char *type = request_header(request, "Content-Type");
  /* Also accepts no type at all, and the missing "d" of an old client. */
  static const char form[] = "application/x-www-form-urlencode";
  request->is_form = type == NULL || strncasecmp(type, form, sizeof form - 1) == 0;
  if (request->is_form && request->body.length > 0) {
    fields_decode(&request->form, request->body.at, request->body.length);
  }
  fields_decode(&request->query_fields, request->query, strlen(request->query));
}

/* By the simulator's clock; libmicrohttpd's own Date would be the machine's. */
static void add_date(struct MHD_Response *response, double epoch) {
  time_t seconds = (time_t)epoch;
  struct tm parts;
  char text[64];
  gmtime_r(&seconds, &parts);
  strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
  MHD_add_response_header(response, "Date", text);
}

static void add_headers(struct MHD_Response *response, const struct reply *reply,
                        const struct fault *fault, double epoch) {
  bool typed = false, dated = false;
  for (size_t i = 0; i < reply->headers.count; i++) {
    MHD_add_response_header(response, reply->headers.list[i].name, reply->headers.list[i].value);
  }
  for (size_t i = 0; i < fault->headers.count; i++) {
    const struct field *field = &fault->headers.list[i];
    typed = typed || strcasecmp(field->name, "Content-Type") == 0;
    dated = dated || strcasecmp(field->name, "Date") == 0;
    MHD_add_response_header(response, field->name, field->value);
  }
  const char *type = fault->content_type != NULL ? fault->content_type : reply->type;
  if (type != NULL && !typed) {
    MHD_add_response_header(response, "Content-Type", type);
  }
  if (!dated) {
    add_date(response, epoch);
  }
  if (reply->status == 204) { /* invalid, but as recorded */
    MHD_set_response_options(response, MHD_RF_INSANITY_HEADER_CONTENT_LENGTH, MHD_RO_END);
    MHD_add_response_header(response, "Content-Length", "0");
  }
}

static enum MHD_Result send_reply(struct request *request, struct reply *reply,
                                  const struct fault *fault) {
  struct MHD_Response *response = stream_response(request, reply, fault);
  if (response == NULL) {
    return MHD_NO;
  }
  if (request->service->headers != NULL) {
    request->service->headers(reply, request->number);
  }
  world_lock();
  double epoch = world_epoch();
  log_status(request->number, reply->status);
  world_unlock();
  add_headers(response, reply, fault, epoch);
  enum MHD_Result result =
    MHD_queue_response(request->connection, (unsigned)reply->status, response);
  MHD_destroy_response(response);
  return result;
}

static enum MHD_Result answer(struct request *request) {
  struct MHD_Connection *connection = request->connection;
  const union MHD_ConnectionInfo *info =
    MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
  const unsigned *connection_number = info != NULL ? info->socket_context : NULL;
  bool control = route_control(request);
  struct fault fault = {.truncate = -1, .pad = -1};
  struct reply reply = {0};
  read_form(request);
  route_find(request);

  world_lock();
  if (!control) {
    request->number = log_add(request, connection_number != NULL ? *connection_number : 0);
    if (fault_take(request->method, request->target, &fault)) {
      log_fault(request->number, fault_word(&fault));
    }
  }
  if (request->body_too_large) {
    reply.status = 413;
  } else if (fault.reset != RESET_BEFORE) {
    if (request->service->seen != NULL) {
      request->service->seen(request);
    }
    if (!fault_reply(request, &fault, &reply)) {
      route_answer(request, &reply);
    }
  }
  if (fault.raw != NULL && (reply.status == 200 || reply.status == 204)) {
    reply.status = 200;
    bytes_free(&reply.body);
    bytes_add(&reply.body, fault.raw, fault.raw_length);
  }
  world_unlock();

  enum MHD_Result result = MHD_NO;
  bool running = fault.latency <= 0 || world_pause(fault.latency);
  if (fault.reset == RESET_BEFORE || fault.reset == RESET_AFTER) {
    if (!fault.orderly) {
      stream_reset(connection);
    }
  } else if (running) {
    result = send_reply(request, &reply, &fault);
  }
  reply_free(&reply);
  fault_free(&fault);
  return result;
}

/* With a large body the client is still sending. */
static bool reset_reading(struct request *request) {
  world_lock();
  bool found = !route_control(request) && fault_while_reading(request->method, request->target);
  if (found) {
    log_fault(log_add(request, 0), "reading");
  }
  world_unlock();
  if (found) {
    stream_reset(request->connection);
  }
  return found;
}

static enum MHD_Result on_request(void *unused, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_size, void **context) {
  struct request *request = *context;
  (void)unused;
  (void)version;
  if (request == NULL) {
    return MHD_NO;
  }
  if (request->connection == NULL) { /* the first call, before the body */
    size_t length = strlen(url);
    while (length > 1 && url[length - 1] == '/') {
      length--;
    }
    request->connection = connection;
    request->tls = tls;
    request->method = must_copy(method, strlen(method));
    request->path = must_copy(url, length);
    return MHD_YES;
  }
  if (*upload_size > 0) {
    if (request->body.length == 0 && reset_reading(request)) {
      return MHD_NO;
    }
    if (request->body.length + *upload_size > body_limit) {
      request->body_too_large = true;
    } else {
      bytes_add(&request->body, upload, *upload_size);
    }
    *upload_size = 0;
    return MHD_YES;
  }
  return answer(request);
}

/* Called before everything else, with the target exactly as sent. */
static void *on_target(void *unused, const char *target, struct MHD_Connection *connection) {
  struct request *request = must_alloc(sizeof *request);
  (void)unused;
  (void)connection;
  request->target = must_copy(target, strlen(target));
  const char *mark = strchr(request->target, '?');
  request->query = mark != NULL ? mark + 1 : request->target + strlen(request->target);
  return request;
}

static void on_completed(void *unused, struct MHD_Connection *connection, void **context,
                         enum MHD_RequestTerminationCode code) {
  struct request *request = *context;
  (void)unused;
  (void)connection;
  (void)code;
  if (request == NULL) {
    return;
  }
  if (request->stop_when_sent) {
    world_stop();
  }
  free(request->target);
  free(request->method);
  free(request->path);
  bytes_free(&request->body);
  fields_free(&request->query_fields);
  fields_free(&request->form);
  free(request);
  *context = NULL;
}

/* Only the accepting thread starts connections, so the counter needs no lock. */
static void on_connection(void *unused, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode code) {
  static unsigned connections;
  (void)unused;
  (void)connection;
  if (code == MHD_CONNECTION_NOTIFY_STARTED) {
    unsigned *number = must_alloc(sizeof *number);
    *number = ++connections;
    *context = number;
  } else {
    free(*context);
    *context = NULL;
  }
}

struct MHD_Daemon *server_start(int listener, const char *key, const char *cert) {
  tls = cert != NULL;
  unsigned flags = MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL;
  struct MHD_OptionItem pair[] = {{MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)key},
                                  {MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)cert},
                                  {MHD_OPTION_END, 0, NULL}};
  if (cert == NULL) {
    pair[0] = pair[2];
  } else {
    flags |= MHD_USE_TLS;
  }
  return MHD_start_daemon(
    flags, 0, NULL, NULL, on_request, NULL, MHD_OPTION_LISTEN_SOCKET, listener,
    MHD_OPTION_URI_LOG_CALLBACK, on_target, NULL, MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL,
    MHD_OPTION_NOTIFY_CONNECTION, on_connection, NULL, MHD_OPTION_THREAD_STACK_SIZE,
    (size_t)512 * 1024, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
    (size_t)1024 * 1024 /* for the headers */, MHD_OPTION_ARRAY, pair, MHD_OPTION_END);
}

void server_stop(struct MHD_Daemon *daemon) {
  world_finish();
  MHD_stop_daemon(daemon);
}
