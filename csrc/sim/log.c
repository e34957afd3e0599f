/* What the simulator received, for tests that count and look. Bounded by entries and by bytes. */
#include "sim.h"

#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { ENTRIES = 100000 };
static const size_t byte_limit = (size_t)64 << 20;

static struct entry {
  char *text; /* the JSON object without its status and closing brace */
  size_t length;
  int status;
  const char *fault; /* what was done to the answer; NULL: nothing */
} ring[ENTRIES];

static long first_number = 1; /* number of the oldest entry kept */
static long next_number = 1;
static size_t bytes_kept;

static struct entry *entry_at(long number) {
  return &ring[number % ENTRIES];
}

static void drop_oldest(void) {
  struct entry *entry = entry_at(first_number++);
  bytes_kept -= entry->length;
  free(entry->text);
  entry->text = NULL;
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
  /* Kept as raw bytes ("nocheck"); the writer mends invalid UTF-8. */
  const json_t *before = json_object_get(headers, name);
  struct bytes all = {0};
  if (before != NULL) {
    bytes_text(&all, json_string_value(before));
    bytes_text(&all, ", ");
  }
  bytes_text(&all, value != NULL ? value : "");
  json_object_set_new_nocheck(headers, name, json_string_nocheck(all.at));
  bytes_free(&all);
  return MHD_YES;
}

long log_add(const struct request *request, unsigned connection) {
  struct bytes out = {0};
  const char *mark = strchr(request->target, '?');
  size_t path = mark != NULL ? (size_t)(mark - request->target) : strlen(request->target);
  bytes_format(&out, "{\"n\":%ld,\"method\":", next_number);
  bytes_json_string(&out, request->method, strlen(request->method));
  bytes_text(&out, ",\"path\":");
  bytes_json_string(&out, request->target, path);
  bytes_text(&out, ",\"query\":");
  bytes_json_string(&out, request->query, strlen(request->query));
  bytes_text(&out, ",\"headers\":");
  json_t *headers = json_object();
  MHD_get_connection_values(request->connection, MHD_HEADER_KIND, collect, headers);
  bytes_json(&out, headers);
  json_decref(headers);
  bytes_text(&out, ",\"body\":");
  bytes_json_string(&out, request->body.length > 0 ? request->body.at : "", request->body.length);
  bytes_format(&out, ",\"scheme\":\"%s\",\"time\":%.6f,\"connection\":%u",
               world_tls() ? "https" : "http", world_epoch(), connection);
  while (next_number - first_number >= ENTRIES ||
         (next_number > first_number && bytes_kept + out.length > byte_limit)) {
    drop_oldest();
  }
  struct entry *entry = entry_at(next_number);
  entry->text = must_copy(out.at, out.length);
  entry->length = out.length;
  entry->status = 0;
  entry->fault = NULL;
  bytes_kept += out.length;
  bytes_free(&out);
  return next_number++;
}

void log_status(long number, int status) {
  if (number >= first_number && number < next_number) {
    entry_at(number)->status = status;
  }
}

void log_fault(long number, const char *fault) {
  if (number >= first_number && number < next_number) {
    entry_at(number)->fault = fault;
  }
}

void log_clear(long until) {
  while (first_number < next_number && first_number <= until) {
    drop_oldest();
  }
}

void log_json(struct bytes *out, long after) {
  long first = after >= first_number ? after + 1 : first_number;
  bytes_text(out, "{\"requests\":[");
  for (long n = first; n < next_number; n++) {
    const struct entry *entry = entry_at(n);
    bytes_text(out, n > first ? "," : "");
    bytes_add(out, entry->text, entry->length);
    if (entry->fault != NULL) {
      bytes_format(out, ",\"fault\":\"%s\"", entry->fault);
    }
    bytes_format(out, ",\"status\":%d}", entry->status);
  }
  bytes_text(out, "]}");
}
