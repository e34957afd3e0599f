/*
** Transfer: what one exchange asks of libcurl, and what its callbacks note of the answer.
*/
#ifndef BMWI_TRANSFER_H
#define BMWI_TRANSFER_H

#include <stdbool.h>
#include <stddef.h>

#include "core/buffer.h"
#include "core/queue.h"
#include "core/timers.h"
#include "core/transport.h"

#pragma GCC visibility push(hidden)

/* What to send. All texts must stay until the transfer is complete. */
typedef struct bmwi_request {
  const char *method; /* "GET", "POST", "DELETE" */
  const char *url;
  const char *accept;       /* the whole header line */
  const char *header;       /* one line more; NULL: none */
  const char *scheme;       /* "Basic" or "Bearer" */
  const char *credentials;  /* after the scheme; NULL: no such line */
  const char *content_type; /* the whole header line; NULL: a form */
  const bmwi_buffer *body;  /* of a POST */
  bool once;                /* libcurl must not send it again by itself */
} bmwi_request;

typedef struct bmwi_transfer {
  bmwi_link link; /* first; in the queue of what starts or is complete */
  enum { BMWI_IDLE, BMWI_STARTING, BMWI_SENDING, BMWI_PAUSING, BMWI_COMPLETED } phase;
  bmwi_timer timer;             /* when a pause ends, and an exchange must be complete */
  void *easy;                   /* the CURL handle */
  bmwi_buffer authorization;    /* a header line */
  struct bmwi_scratch *scratch; /* what libcurl reads and writes meanwhile; see transfer.c */
  const char *error;            /* libcurl's words, in there; NULL before the first exchange */
  /* The outcome of an exchange. */
  int result; /* CURLcode; 0: there is an answer */
  bool sent;  /* at least one byte of the request may have left */
  bool reset; /* the operating system ended the connection */
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
/* Readies the easy handle and the place for the answer. `bundle`: libcurl knows a file of the
** system's authorities. False without memory. */
bool bmwi_transfer_ask(bmwi_transfer *t, const bmwi_transport *transport,
                       const bmwi_request *request, bool bundle);

#pragma GCC visibility pop

#endif
