/*
** Transfer: one exchange or pause, and what is recorded of the response.
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
  bmwi_link link; /* must be first; in the queue of starting or complete transfers */
  enum { BMWI_IDLE, BMWI_STARTING, BMWI_SENDING, BMWI_PAUSING, BMWI_COMPLETED } phase;
  bmwi_timer timer;           /* when a pause ends, or an exchange must be complete */
  struct bmwi_handle *handle; /* the handle of an exchange */
  /* The outcome of an exchange. */
  int result;  /* CURLcode; 0: there is a response */
  char *error; /* libcurl's error message, or NULL */
  bool sent;   /* at least one byte may have been sent; kept for what must be sent once */
  bool reset;  /* the operating system closed the connection */
  bool too_large, no_memory;
  long status;
  double retry_after; /* seconds; negative: not given */
  char date[40];      /* the server's date as received; or empty */
  char *location;     /* the target of a redirect; or NULL */
  double seconds;
  size_t header_bytes;
  bool in_headers;  /* false after an empty line; true again in trailers */
  bool headers_end; /* the headers of the last response are complete */
  bmwi_buffer body;
} bmwi_transfer;

/* The server's clock in seconds since 1970; negative: not sent. */
double bmwi_transfer_date(const bmwi_transfer *t);
/* Clears the previous outcome. */
void bmwi_transfer_begin(bmwi_transfer *t);
/* Adds a part of the body or a header line. False: stop. */
bool bmwi_transfer_body(bmwi_transfer *t, const char *data, size_t len);
bool bmwi_transfer_header(bmwi_transfer *t, const char *line, size_t len);

#pragma GCC visibility pop

#endif
