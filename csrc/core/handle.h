/*
** Handles: a libcurl easy handle with everything that it reads and writes during an exchange, and
** its options. After a successful GET the options stay for the client's next GET to the same
** server; anything else resets the handle.
*/
#ifndef BMWI_HANDLE_H
#define BMWI_HANDLE_H

#include <stdbool.h>

#include "core/buffer.h"
#include "core/poll.h"
#include "core/transfer.h"
#include "core/transport.h"

#pragma GCC visibility push(hidden)

/* What to send. All strings must stay valid until the transfer is complete. */
typedef struct bmwi_request {
  const char *method; /* "GET", "POST", "DELETE" */
  const char *url;
  const char *accept;       /* the whole header line */
  const char *header;       /* an additional line; NULL: none */
  const char *scheme;       /* "Basic" or "Bearer" */
  const char *credentials;  /* after the scheme; NULL: no such line */
  const char *content_type; /* the whole header line; NULL: a form */
  const bmwi_buffer *body;  /* for a POST */
  bool once;                /* libcurl must not send it again by itself */
  bool alone;               /* its connection must not be reused */
} bmwi_request;

typedef struct bmwi_handle bmwi_handle;

/* Call once before anything else: checks this libcurl's version. */
void bmwi_handle_setup(void);

/* NULL without memory. `share`: the CURLSH used by all handles; `poll` watches connections. */
bmwi_handle *bmwi_handle_new(void *share, bmwi_poll *poll);
void bmwi_handle_free(bmwi_handle *handle);

/* Prepares the request and the space for the response. False without memory; call end then. */
bool bmwi_handle_ask(bmwi_handle *handle, bmwi_transfer *t, const bmwi_transport *transport,
                     const bmwi_request *request);
/* The CURL handle of the exchange. */
void *bmwi_handle_easy(const bmwi_handle *handle);
/* The exchange of this CURL handle. */
bmwi_transfer *bmwi_handle_transfer(void *easy);
/* Records in the transfer whether any of a request that must be sent once may have been sent. */
void bmwi_handle_note_sent(const bmwi_handle *handle);
/* Copies libcurl's error message and a redirect's target to the transfer. */
void bmwi_handle_note(const bmwi_handle *handle);
/* The exchange is complete, and the CURL handle removed from the multi. `good`: its options may
** stay. */
void bmwi_handle_end(bmwi_handle *handle, bool good);

/* Whether it already has the options for this request. */
bool bmwi_handle_fits(const bmwi_handle *handle, const bmwi_transport *transport,
                      const bmwi_request *request);
/* Resets it if its options belong to this transport. */
void bmwi_handle_forget(bmwi_handle *handle, const bmwi_transport *transport);

#pragma GCC visibility pop

#endif
