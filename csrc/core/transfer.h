/*
** Transfer: one exchange or pause, and what is noted of the answer.
*/
#ifndef BMWI_TRANSFER_H
#define BMWI_TRANSFER_H

#include <stdbool.h>
#include <stddef.h>

#include "core/buffer.h"
#include "core/queue.h"
#include "core/timers.h"

#pragma GCC visibility push(hidden)

typedef struct bmwi_transfer {
  bmwi_link link; /* first; in the queue of what starts or is complete */
  enum { BMWI_IDLE, BMWI_STARTING, BMWI_SENDING, BMWI_PAUSING, BMWI_COMPLETED } phase;
  bmwi_timer timer;           /* when a pause ends, and an exchange must be complete */
  struct bmwi_handle *handle; /* what carries an exchange */
  /* The outcome of an exchange. */
  int result;  /* CURLcode; 0: there is an answer */
  char *error; /* libcurl's words about a failure, or NULL */
  bool sent;   /* at least one byte of the request may have left */
  bool reset;  /* the operating system ended the connection */
  bool too_large, no_memory;
  long status;
  double retry_after; /* seconds; negative: not said */
  char date[40];      /* what the server's clock says, as it came; or empty */
  char *location;     /* where a redirect points to; or NULL */
  double seconds;
  size_t header_bytes;
  bool in_headers; /* the empty line behind them has not come */
  bmwi_buffer body;
} bmwi_transfer;

/* The server's clock, seconds since 1970; negative: it did not say. */
double bmwi_transfer_date(const bmwi_transfer *t);
/* Forgets the outcome before. */
void bmwi_transfer_begin(bmwi_transfer *t);
/* Takes a part of the body, or one header line. False: no more of it. */
bool bmwi_transfer_body(bmwi_transfer *t, const char *data, size_t len);
bool bmwi_transfer_header(bmwi_transfer *t, const char *line, size_t len);

#pragma GCC visibility pop

#endif
