/*
** A client's connection settings: connect timeout, maximum response size, CA certificates, proxy.
** Owns these strings and the messages about invalid ones. No network I/O.
*/
#ifndef BMWI_TRANSPORT_H
#define BMWI_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>

#include "core/guard.h"

#pragma GCC visibility push(hidden)

typedef struct bmwi_transport {
  double connect_timeout; /* seconds */
  long max_response_bytes;
  char *user_agent, *ca_file;
  char *proxy;                /* a secret: it may hold a password */
  char *proxy_password;       /* as it is sent, so that it can be redacted */
  const char *proxy_variable; /* the environment variable it comes from; NULL: an option */
  const char *proxy_fault;    /* what is wrong with it */
  struct curl_slist *connect_to;
  unsigned long serial; /* distinguishes the transports of one engine; 0: not used yet */
} bmwi_transport;

/* Adds a rule of CURLOPT_CONNECT_TO. False without memory. */
bool bmwi_transport_connect_to(bmwi_transport *transport, const char *rule);

/* Checks the proxy, from the environment if no option sets one. False without memory. */
bool bmwi_transport_find_proxy(bmwi_transport *transport);

/* Call once before anything else: checks the features of this libcurl. */
void bmwi_transport_setup(void);
/* Applies everything to a connection of an easy handle. `plain`: without TLS. False without
** memory. */
bool bmwi_transport_set(const bmwi_transport *transport, void *easy, bool plain);
/* Whether such a connection uses a proxy. */
bool bmwi_transport_proxied(const bmwi_transport *transport, bool plain);
/* Use with bmwi_guard_leave around libcurl calls that may write to a connection: keeps SIGPIPE from
** the host where this libcurl does not. */
void bmwi_transport_guard(bmwi_guard *guard);
/* A multi handle whose own sockets are close-on-exec. NULL without memory or descriptors. */
void *bmwi_multi_new(void);

/* Whether these settings caused the failure; then describes what is wrong with them. */
bool bmwi_transport_explain(const bmwi_transport *transport, int result, const char *error,
                            char *text, size_t size);

/* Frees everything; secrets are wiped. */
void bmwi_transport_clear(bmwi_transport *transport);

#pragma GCC visibility pop

#endif
