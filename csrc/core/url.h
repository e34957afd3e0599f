/*
** URLs: the checks of paths, of servers' addresses and of proxies. Plain C, no I/O.
*/
#ifndef BMWI_URL_H
#define BMWI_URL_H

#include <stdbool.h>
#include <stddef.h>

#pragma GCC visibility push(hidden)

/* A path for client:get and client:post: starts with one '/', holds only the
** characters of RFC 3986 paths, no "." or ".." segment, no query. */
bool bmwi_path(const char *text, size_t len);

/* The length of an URL's beginning that names the server: "https://host:port". */
size_t bmwi_url_origin(const char *url);

/* Checks the origin of a server, "https://host[:port]" (http only for a
** loopback address), and an optional path if `path` allows one. Returns NULL if
** it is good, else what is wrong with it. */
const char *bmwi_url_fault(const char *url, bool path);

/* The same for an MQTT broker, "mqtts://host[:port]"; mqtt only for a loopback address, or
** `anywhere`. */
const char *bmwi_mqtt_url_fault(const char *url, bool anywhere);
/* Writes the address of a broker that is good as libcurl knows it, "https://host:port". False where
** there is no room. */
bool bmwi_mqtt_url(char *out, size_t size, const char *url);

/* The same for a proxy, "[scheme://][user[:password]@]host[:port][/]" with one of
** libcurl's schemes. What is wrong is said without any part of it. */
const char *bmwi_proxy_fault(const char *proxy);

/* Finds the password of a proxy that is good, percent-encoded; NULL if there is none. */
const char *bmwi_proxy_password(const char *proxy, size_t *len);

#pragma GCC visibility pop

#endif
