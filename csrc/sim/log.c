#include "log.h"

#include "world.h"

#include <microhttpd.h>
#include <string.h>

enum { ENTRIES = 100000, ENTRY_COST = 2048 /* bytes besides target and body */ };
static const size_t byte_limit = (size_t)128 << 20;

static struct entry {
  json_t *request;
  size_t cost;
} ring[ENTRIES];

static long first_number = 1; /* number of the oldest entry kept */
static long next_number = 1;
static size_t bytes_kept;

static struct entry *entry_at(long number) { return &ring[number % ENTRIES]; }

static void drop_oldest(void) {
  struct entry *entry = entry_at(first_number++);
  bytes_kept -= entry->cost;
  json_decref(entry->request);
  entry->request = NULL;
}

static enum MHD_Result collect(void *to, enum MHD_ValueKind kind, const char *key,
                               const char *value) {
  json_t *headers = to;
  (void)kind;
  char name[256];
  size_t n = 0;
  for (; key[n] != '\0' && n + 1 < sizeof name; n++) {
    name[n] = key[n] >= 'A' && key[n] <= 'Z' ? (char)(key[n] - 'A' + 'a') : key[n];
  }
  name[n] = '\0';
  const json_t *before = json_object_get(headers, name);
  struct bytes all = {0};
  if (before != NULL) {
    bytes_text(&all, json_string_value(before));
    bytes_text(&all, ", ");
  }
  bytes_text(&all, value != NULL ? value : "");
  json_object_set_new(headers, name, json_text(all.at, all.length));
  bytes_free(&all);
  return MHD_YES;
}

long log_add(const struct request *request, unsigned connection) {
  const char *mark = strchr(request->target, '?');
  size_t path = mark != NULL ? (size_t)(mark - request->target) : strlen(request->target);
  json_t *headers = json_object();
  MHD_get_connection_values(request->connection, MHD_HEADER_KIND, collect, headers);
  json_t *all = json_pack(
    "{s:I, s:o, s:o, s:o, s:o, s:o, s:s, s:f, s:I, s:i}", "n", (json_int_t)next_number, "method",
    json_text(request->method, strlen(request->method)), "path", json_text(request->target, path),
    "query", json_text(request->query, strlen(request->query)), "headers", headers, "body",
    json_text(request->body.at, request->body.length), "scheme", request->tls ? "https" : "http",
    "time", world_epoch(), "connection", (json_int_t)connection, "status", 0);
  size_t cost = ENTRY_COST + strlen(request->target) + request->body.length;
  while (next_number - first_number >= ENTRIES ||
         (next_number > first_number && bytes_kept + cost > byte_limit)) {
    drop_oldest();
  }
  *entry_at(next_number) = (struct entry){.request = all, .cost = cost};
  bytes_kept += cost;
  return next_number++;
}

static bool kept(long number) { return number >= first_number && number < next_number; }

void log_status(long number, int status) {
  if (kept(number)) {
    json_object_set_new(entry_at(number)->request, "status", json_integer(status));
  }
}

void log_fault(long number, const char *fault) {
  if (kept(number) && fault != NULL) {
    json_object_set_new(entry_at(number)->request, "fault", json_string(fault));
  }
}

void log_clear(long until) {
  while (first_number < next_number && first_number <= until) {
    drop_oldest();
  }
}

json_t *log_report(long after) {
  json_t *list = json_array();
  for (long n = after >= first_number ? after + 1 : first_number; n < next_number; n++) {
    json_array_append(list, entry_at(n)->request);
  }
  return json_pack("{s:o}", "requests", list);
}
