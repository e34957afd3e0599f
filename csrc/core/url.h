/*
** URLs: checks of paths, server addresses, proxies and rules of connect_to. Plain C, no I/O.
*/
#ifndef BMWI_URL_H
#define BMWI_URL_H

#include <stdbool.h>
#include <stddef.h>

#pragma GCC visibility push(hidden)

/* A path for client:get and client:post: starts with a single '/', contains only the characters of
** RFC 3986 paths, no "." or ".." segment, no query. */
bool bmwi_path(const char *text, size_t len);

/* The length of a URL's origin: "https://host:port". */
size_t bmwi_url_origin(const char *url);

/* Checks a server's origin, "https://host[:port]" (http only for a loopback address), and an
** optional path if `path` is set. Returns NULL if it is valid, else what is wrong with it. */
const char *bmwi_url_fault(const char *url, bool path);

/* The same for an MQTT broker, "mqtts://host[:port]"; mqtt only for a loopback address, or with
** `anywhere`. */
const char *bmwi_mqtt_url_fault(const char *url, bool anywhere);
/* Writes a valid broker address in the form that libcurl takes, "https://host:port". False if it
** does not fit. */
bool bmwi_mqtt_url(char *out, size_t size, const char *url);

/* The same for a proxy, "[scheme://][user[:password]@]host[:port][/]" with one of libcurl's
** schemes. The result never quotes any part of it. */
const char *bmwi_proxy_fault(const char *proxy);

/* Whether a rule is "HOST:PORT:HOST:PORT", of which each part may be empty. libcurl ignores any
** other, and connects to the server itself. */
bool bmwi_connect_to(const char *rule);

/* Finds the password, percent-encoded, in a valid proxy; NULL if there is none. */
const char *bmwi_proxy_password(const char *proxy, size_t *len);

#pragma GCC visibility pop

#endif
