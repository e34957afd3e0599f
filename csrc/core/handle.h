/*
** Handles: an easy handle of libcurl with all that it reads and writes during an exchange. Owns its
** options. Those of a GET stay for the next GET of the same client to the same server, if all went
** well; anything else resets the handle.
*/
#ifndef BMWI_HANDLE_H
#define BMWI_HANDLE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/buffer.h"
#include "core/poll.h"
#include "core/transfer.h"
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
  bool alone;               /* nor is its connection of use to the next one */
} bmwi_request;

typedef struct bmwi_handle bmwi_handle;

/* Once, before any other: looks at what this libcurl is. */
void bmwi_handle_setup(void);

/* NULL without memory. `share`: the CURLSH that all handles use; `poll` watches connections. */
bmwi_handle *bmwi_handle_new(void *share, bmwi_poll *poll);
void bmwi_handle_free(bmwi_handle *handle);

/* Readies it and the place for the answer. False without memory: then it is to be ended. */
bool bmwi_handle_ask(bmwi_handle *handle, bmwi_transfer *t, const bmwi_transport *transport,
                     const bmwi_request *request);
/* The CURL handle that carries the exchange. */
void *bmwi_handle_easy(const bmwi_handle *handle);
/* Whose exchange this CURL handle carries. */
bmwi_transfer *bmwi_handle_transfer(void *easy);
/* While the server works: makes the next CURL handle, where none is used twice. */
void bmwi_handle_prepare(bmwi_handle *handle);
/* Copies libcurl's words about a failure, and where a redirect points to, into the transfer. */
void bmwi_handle_note(const bmwi_handle *handle);
/* The exchange is over, the CURL handle no longer in the multi. `good`: its options may stay. */
void bmwi_handle_end(bmwi_handle *handle, bool good);

/* Whether it has the options of such a request. */
bool bmwi_handle_fits(const bmwi_handle *handle, const bmwi_transport *transport,
                      const bmwi_request *request);
/* Resets it if the options are those of this transport. */
void bmwi_handle_forget(bmwi_handle *handle, const bmwi_transport *transport);

#pragma GCC visibility pop

#endif
