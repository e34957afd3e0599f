/* Rules that make responses fail. */
#ifndef BMWI_SIM_FAULT_H
#define BMWI_SIM_FAULT_H

#include "form.h"
#include "json.h"

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
  bool orderly;       /* an orderly close instead of a reset, as by a server that timed out */
  long long truncate; /* -1: not truncated */
  double drip;        /* bytes per second; 0: at once */
  long long pad;      /* -1: the normal body */
  bool gzip;
};

/* The kind of fault in one word, or the name of the recorded error; NULL: none. */
const char *fault_word(const struct fault *fault);
/* Whether to reset the connection while the request's body is still arriving; uses up the rule. */
bool fault_while_reading(const char *method, const char *target);
/* Leaves `out` unchanged if no rule matches. */
bool fault_take(const char *method, const char *target, struct fault *out);
void fault_free(struct fault *fault);
const char *fault_add(const json_t *options); /* NULL or a problem */
void fault_clear(void);

#endif
