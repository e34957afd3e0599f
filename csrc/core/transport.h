/*
** How a client wants its connections: time to connect, size of answers, authorities, proxy. Owns
** these texts, and the words about what is wrong with them. No I/O on the network.
*/
#ifndef BMWI_TRANSPORT_H
#define BMWI_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>

#pragma GCC visibility push(hidden)

typedef struct bmwi_transport {
  double connect_timeout; /* seconds */
  long max_response_bytes;
  char *user_agent, *ca_file;
  char *proxy;                /* a secret: it may hold a password */
  char *proxy_password;       /* as it is sent, to know it when it is said back */
  const char *proxy_variable; /* of the environment, which the proxy is from; NULL: an option */
  const char *proxy_fault;    /* what is wrong with that one */
  struct curl_slist *connect_to;
  unsigned long serial; /* told apart by it are those of one engine; 0: not used yet */
} bmwi_transport;

/* Adds a rule of CURLOPT_CONNECT_TO. False without memory. */
bool bmwi_transport_connect_to(bmwi_transport *transport, const char *rule);

/* Looks at the proxy, the environment's if no option named one. False without memory. */
bool bmwi_transport_find_proxy(bmwi_transport *transport);

/* Once, before any other: looks at what this libcurl knows. */
void bmwi_transport_setup(void);
/* Sets it all for a connection of an easy handle. `plain`: without TLS. False without memory. */
bool bmwi_transport_set(const bmwi_transport *transport, void *easy, bool plain);
/* Whether that goes through a proxy. */
bool bmwi_transport_proxied(const bmwi_transport *transport, bool plain);
/* A multi handle whose own sockets are closed in programs that are started. NULL without memory or
** descriptors. */
void *bmwi_multi_new(void);

/* Whether a failure is due to these settings: then what is wrong with them. */
bool bmwi_transport_explain(const bmwi_transport *transport, int result, const char *error,
                            char *text, size_t size);

/* Gives all back; secrets are wiped. */
void bmwi_transport_clear(bmwi_transport *transport);

#pragma GCC visibility pop

#endif
