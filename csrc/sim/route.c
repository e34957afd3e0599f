/* Requests: the table of paths, who may ask, and the way an answer goes out - whole, or as a fault
   wants it. One thread per connection, so that a slow answer holds up nobody else. */
#include "sim.h"

#include <fcntl.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

enum access { OPEN, BEARER, CONTROL };

typedef void handler(struct request *request, struct car *car, struct reply *reply);

#define CAR "/webapi/v1/user/vehicles/*"

/* "*" is the VIN. A path may have several rows, one for each method. */
static const struct route {
  const char *method;
  const char *path;
  enum access access;
  handler *handle;
} routes[] = {
    {"POST", "/webapi/oauth/token", OPEN, token_answer},
    {"POST", "/gcdm/oauth/token", OPEN, token_answer},
    {"GET", "/webapi/v1/user/vehicles", BEARER, car_list},
    {"GET", CAR, BEARER, car_one},
    {"GET", CAR "/status", BEARER, car_answer},
    {"GET", CAR "/statistics/lastTrip", BEARER, car_answer},
    {"GET", CAR "/statistics/allTrips", BEARER, car_answer},
    {"GET", CAR "/chargingprofile", BEARER, car_answer},
    {"GET", CAR "/destinations", BEARER, car_answer},
    {"GET", CAR "/rangemap", BEARER, car_answer},
    {"GET", CAR "/image", BEARER, image_answer},
    {"POST", CAR "/executeService", BEARER, car_execute},
    {"GET", CAR "/serviceExecutionStatus", BEARER, car_execution},
    {"GET", CAR "/serviceExecutionHistory", BEARER, car_history},
    {"POST", CAR "/sendpoi", BEARER, car_poi},
    {"GET", "/api/vehicle/navigation/v1/*", BEARER, car_answer},
    {"GET", "/_sim/log", CONTROL, control_log},
    {"DELETE", "/_sim/log", CONTROL, control_log_clear},
    {"POST", "/_sim/fault", CONTROL, control_fault},
    {"DELETE", "/_sim/fault", CONTROL, control_fault_clear},
    {"POST", "/_sim/token", CONTROL, control_token},
    {"POST", "/_sim/commands", CONTROL, control_commands},
    {"POST", "/_sim/config", CONTROL, control_config},
    {"GET", "/_sim/car/*", CONTROL, control_car},
    {"POST", "/_sim/car/*", CONTROL, control_car_change},
    {"POST", "/_sim/reset", CONTROL, control_reset},
    {"POST", "/_sim/stop", CONTROL, control_stop},
};

static bool path_fits(const char *pattern, struct request *request) {
  const char *at = request->path;
  for (; *pattern != '\0'; pattern++) {
    if (*pattern == '*') {
      size_t length = strcspn(at, "/");
      if (length == 0 || length >= sizeof request->vin) {
        return false;
      }
      memcpy(request->vin, at, length);
      request->vin[length] = '\0';
      at += length;
    } else if (*pattern != *at++) {
      return false;
    }
  }
  return *at == '\0';
}

void reply_json(struct reply *reply, int status, const json_t *value) {
  reply->status = status;
  reply->type = "application/json;charset=UTF-8";
  bytes_json(&reply->body, value);
}

void reply_wrapped(struct reply *reply, const char *name, const json_t *value) {
  reply->status = 200;
  reply->type = "application/json;charset=UTF-8";
  bytes_format(&reply->body, "{\"%s\":", name);
  bytes_json(&reply->body, value);
  bytes_text(&reply->body, "}");
}

static bool is_control(const struct request *request) {
  return strncmp(request->path, "/_sim/", 6) == 0;
}

static void dispatch(struct request *request, struct reply *reply) {
  bool path_known = false;
  for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
    const struct route *route = &routes[i];
    request->vin[0] = '\0';
    if (!path_fits(route->path, request)) {
      continue;
    }
    path_known = true;
    bool head = strcmp(request->method, "HEAD") == 0; /* a GET whose body is not sent */
    if (strcmp(route->method, head ? "GET" : request->method) != 0) {
      continue;
    }
    if (route->access == BEARER &&
        !token_valid(MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND,
                                                 "Authorization"))) {
      recorded_reply(reply, "invalid_token", "");
      return;
    }
    struct car *car = request->vin[0] != '\0' ? car_find(request->vin) : NULL;
    if (car == NULL && request->vin[0] != '\0' && route->access == BEARER) {
      recorded_reply(reply, "no_vehicle", request->vin);
      return;
    }
    route->handle(request, car, reply);
    return;
  }
  if (path_known) {
    reply->status = 405;
  } else {
    recorded_reply(reply, "not_found", "");
  }
}

/* ---- sending ---- */

/* An answer that does not go out as one piece at once. */
struct stream {
  struct MHD_Connection *connection;
  struct bytes body;
  uint64_t size; /* of the body */
  uint64_t stop_at;
  bool zeros; /* instead of the body */
  bool reset;
  double rate; /* bytes per second, 0: at once */
  z_stream *packer;
};

/* The peer sees a reset, not an orderly end: closing with lingering off does that. The descriptor
   stays taken, since it is the HTTP library that closes it. */
static void reset_connection(struct MHD_Connection *connection) {
  const union MHD_ConnectionInfo *info =
      MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
  struct linger off = {.l_onoff = 1, .l_linger = 0};
  int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (info != NULL && nothing >= 0) {
    setsockopt(info->connect_fd, SOL_SOCKET, SO_LINGER, &off, sizeof off);
    dup2(nothing, info->connect_fd);
  }
  if (nothing >= 0) {
    close(nothing);
  }
}

/* What was given to the socket so far goes out now. */
static void push(struct MHD_Connection *connection) {
  const union MHD_ConnectionInfo *info =
      MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
  int one = 1;
  if (info != NULL) {
    setsockopt(info->connect_fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  }
}

static ssize_t read_packed(struct stream *stream, char *out, size_t most) {
  static const Bytef zeros[65536];
  z_stream *packer = stream->packer;
  packer->next_out = (Bytef *)out;
  packer->avail_out = (uInt)most;
  for (;;) {
    uint64_t left = stream->size - packer->total_in;
    packer->next_in = (Bytef *)zeros;
    packer->avail_in = (uInt)(left < sizeof zeros ? left : sizeof zeros);
    int result = deflate(packer, left == packer->avail_in ? Z_FINISH : Z_NO_FLUSH);
    size_t made = most - packer->avail_out;
    if (made == most || (result == Z_STREAM_END && made > 0)) {
      return (ssize_t)made;
    }
    if (result != Z_OK) {
      return MHD_CONTENT_READER_END_OF_STREAM;
    }
  }
}

static ssize_t read_stream(void *from, uint64_t position, char *out, size_t most) {
  struct stream *stream = from;
  if (stream->packer != NULL) {
    return read_packed(stream, out, most < 16384 ? most : 16384); /* 16 MB of zeros at a time */
  }
  if (position >= stream->stop_at) {
    push(stream->connection);
    if (stream->reset) {
      world_pause(0.05); /* the half answer is to arrive before the reset */
      reset_connection(stream->connection);
      return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    return stream->stop_at < stream->size ? MHD_CONTENT_READER_END_WITH_ERROR
                                          : MHD_CONTENT_READER_END_OF_STREAM;
  }
  uint64_t left = stream->stop_at - position;
  size_t length = left < most ? (size_t)left : most;
  if (stream->rate > 0) {
    size_t portion = stream->rate > 10 ? (size_t)(stream->rate / 10) : 1;
    length = length < portion ? length : portion;
    push(stream->connection);
    if (!world_pause((double)length / stream->rate)) {
      return MHD_CONTENT_READER_END_WITH_ERROR;
    }
  }
  if (stream->zeros) {
    memset(out, 0, length);
  } else {
    memcpy(out, stream->body.at + position, length);
  }
  return (ssize_t)length;
}

static void free_stream(void *from) {
  struct stream *stream = from;
  if (stream->packer != NULL) {
    deflateEnd(stream->packer);
    free(stream->packer);
  }
  bytes_free(&stream->body);
  free(stream);
}

static struct MHD_Response *make_stream(struct request *request, struct reply *reply,
                                        const struct fault *fault) {
  struct stream *stream = must_alloc(sizeof *stream);
  stream->connection = request->connection;
  stream->body = reply->body;
  memset(&reply->body, 0, sizeof reply->body);
  stream->zeros = fault->pad >= 0 && reply->status == 200;
  stream->size = stream->zeros ? (uint64_t)fault->pad : stream->body.length;
  stream->stop_at = stream->size;
  stream->reset = fault->reset == RESET_DURING;
  stream->rate = fault->drip;
  if (fault->truncate >= 0 && (uint64_t)fault->truncate < stream->size) {
    stream->stop_at = (uint64_t)fault->truncate;
  } else if (stream->reset) {
    stream->stop_at = stream->size / 2;
  }
  uint64_t announced = stream->size;
  if (stream->zeros) {
    /* Sent in chunks, so that the length is not known beforehand, unless it is cut short. */
    announced = stream->stop_at < stream->size ? stream->size : MHD_SIZE_UNKNOWN;
    if (fault->gzip) {
      stream->packer = must_alloc(sizeof *stream->packer);
      deflateInit2(stream->packer, Z_BEST_COMPRESSION, Z_DEFLATED, 15 + 16, 8,
                   Z_DEFAULT_STRATEGY);
      announced = MHD_SIZE_UNKNOWN;
    }
  }
  struct MHD_Response *response =
      MHD_create_response_from_callback(announced, 16384, read_stream, stream, free_stream);
  if (response == NULL) {
    free_stream(stream);
  } else if (stream->packer != NULL) {
    MHD_add_response_header(response, "Content-Encoding", "gzip");
  }
  return response;
}

static struct MHD_Response *make_response(struct request *request, struct reply *reply,
                                          const struct fault *fault) {
  if (fault->truncate >= 0 || fault->drip > 0 || fault->reset == RESET_DURING ||
      (fault->pad >= 0 && reply->status == 200)) {
    return make_stream(request, reply, fault);
  }
  if (reply->body.length == 0) {
    return MHD_create_response_from_buffer(0, (void *)"", MHD_RESPMEM_PERSISTENT);
  }
  struct MHD_Response *response = MHD_create_response_from_buffer(
      reply->body.length, reply->body.at, MHD_RESPMEM_MUST_FREE);
  if (response != NULL) {
    memset(&reply->body, 0, sizeof reply->body);
  }
  return response;
}

/* The recorded answers named the gateway in Via or in Server, never in both. */
static void add_headers(struct MHD_Response *response, const struct reply *reply,
                        const struct fault *fault, long number) {
  bool odd = number % 2 != 0;
  bool typed = false;
  MHD_add_response_header(response, odd ? "Via" : "Server",
                          odd ? "1.0 lpb2vcn01 (BMW Group API Gateway)"
                              : "BMW Group API Gateway");
  MHD_add_response_header(response, "Max-Forwards", "20");
  MHD_add_response_header(response, "X-NodeID", odd ? "01" : "02");
  MHD_add_response_header(response, "X-Powered-By", "JOY");
  for (size_t i = 0; i < fault->headers.count; i++) {
    const struct field *field = &fault->headers.list[i];
    typed = typed || strcasecmp(field->name, "Content-Type") == 0;
    MHD_add_response_header(response, field->name, field->value);
  }
  const char *type = fault->content_type != NULL ? fault->content_type : reply->type;
  if (type != NULL && !typed) {
    MHD_add_response_header(response, "Content-Type", type);
  }
  if (reply->status == 204) { /* against the rules, but recorded so */
    MHD_set_response_options(response, MHD_RF_INSANITY_HEADER_CONTENT_LENGTH, MHD_RO_END);
    MHD_add_response_header(response, "Content-Length", "0");
  }
}

/* ---- one request ---- */

static const char *type_of_body(const char *body) {
  return body[0] == '<' ? "text/html" : body[0] == '{' || body[0] == '['
             ? "application/json;charset=UTF-8" : "text/plain";
}

/* The fault's own answer, given instead of the service's. */
static bool fault_reply(struct request *request, const struct fault *fault, struct reply *reply) {
  if (fault->status == 0 && fault->recorded == NULL) {
    return false;
  }
  if (fault->recorded != NULL) {
    const char *service = field_value(&request->form, "serviceType");
    /* The route gives the VIN, for the texts that name it. */
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
      if (path_fits(routes[i].path, request)) {
        break;
      }
      request->vin[0] = '\0';
    }
    recorded_reply(reply, fault->recorded, service != NULL ? service : request->vin);
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
  const char *type =
      MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, "Content-Type");
  /* The mission document's own misspelling was taken by the service, and no type at all too. */
  static const char form[] = "application/x-www-form-urlencode";
  request->is_form = type == NULL || strncasecmp(type, form, sizeof form - 1) == 0;
  if (request->is_form && request->body.length > 0) {
    fields_decode(&request->form, request->body.at, request->body.length);
  }
  fields_decode(&request->query_fields, request->query, strlen(request->query));
}

static enum MHD_Result answer(struct request *request) {
  struct MHD_Connection *connection = request->connection;
  const union MHD_ConnectionInfo *info =
      MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
  const unsigned *connection_number = info != NULL ? info->socket_context : NULL;
  bool control = is_control(request);
  struct fault fault = {.truncate = -1, .pad = -1};
  struct reply reply = {0};
  read_form(request);

  world_lock();
  if (!control) {
    request->number = log_add(request, connection_number != NULL ? *connection_number : 0);
    if (fault_take(request->method, request->target, &fault)) {
      log_fault(request->number, fault_word(&fault));
    }
  }
  if (request->body_too_large) {
    reply.status = 413;
  } else if (fault.reset != RESET_BEFORE && !fault_reply(request, &fault, &reply)) {
    dispatch(request, &reply);
  }
  if (fault.raw != NULL && reply.status == 200) {
    bytes_free(&reply.body);
    bytes_add(&reply.body, fault.raw, fault.raw_length);
  }
  world_unlock();

  enum MHD_Result result = MHD_NO;
  bool going_on = fault.latency <= 0 || world_pause(fault.latency);
  if (fault.reset == RESET_BEFORE || fault.reset == RESET_AFTER) {
    if (!fault.orderly) {
      reset_connection(connection);
    }
  } else if (going_on) {
    struct MHD_Response *response = make_response(request, &reply, &fault);
    if (response != NULL) {
      add_headers(response, &reply, &fault, request->number);
      if (!control) {
        world_lock();
        log_status(request->number, reply.status);
        world_unlock();
      }
      result = MHD_queue_response(connection, (unsigned)reply.status, response);
      MHD_destroy_response(response);
    }
  }
  bytes_free(&reply.body);
  fault_free(&fault);
  return result;
}

/* The client is still writing, if the body is a large one. */
static bool reset_reading(struct request *request) {
  world_lock();
  bool found = !is_control(request) && fault_while_reading(request->method, request->target);
  if (found) {
    log_fault(log_add(request, 0), "reading");
  }
  world_unlock();
  if (found) {
    reset_connection(request->connection);
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
  if (!request->seen) {
    size_t length = strlen(url);
    while (length > 1 && url[length - 1] == '/') {
      length--;
    }
    request->seen = true;
    request->connection = connection;
    request->method = must_copy(method, strlen(method));
    request->path = must_copy(url, length);
    return MHD_YES;
  }
  if (*upload_size > 0) {
    if (request->body.length == 0 && reset_reading(request)) {
      return MHD_NO;
    }
    if (request->body.length + *upload_size > BODY_LIMIT) {
      request->body_too_large = true;
    } else {
      bytes_add(&request->body, upload, *upload_size);
    }
    *upload_size = 0;
    return MHD_YES;
  }
  return answer(request);
}

/* Called first of all, with the target as it was sent. */
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

/* Only the accepting thread starts connections, so a plain counter does. */
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

struct MHD_Daemon *route_start(int listener, const char *key, const char *cert) {
  unsigned flags = MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL;
  struct MHD_OptionItem tls[] = {{MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)key},
                                 {MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)cert},
                                 {MHD_OPTION_END, 0, NULL}};
  if (cert == NULL) {
    tls[0] = tls[2];
  } else {
    flags |= MHD_USE_TLS;
  }
  return MHD_start_daemon(
      flags, 0, NULL, NULL, on_request, NULL, MHD_OPTION_LISTEN_SOCKET, listener,
      MHD_OPTION_URI_LOG_CALLBACK, on_target, NULL, MHD_OPTION_NOTIFY_COMPLETED, on_completed,
      NULL, MHD_OPTION_NOTIFY_CONNECTION, on_connection, NULL, MHD_OPTION_THREAD_STACK_SIZE,
      (size_t)512 * 1024, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)1024 * 1024 /* headers */,
      MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
}
