/*
** URLs: see url.h.
*/
#include "core/url.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

bool bmwi_path(const char *text, size_t len) {
  if (len == 0 || len > 2048 || text[0] != '/' || (len > 1 && text[1] == '/')) return false;
  for (size_t i = 0; i < len; i++) {
    unsigned char c = (unsigned char)text[i];
    if (c >= 127 || !(isalnum(c) || (c != '\0' && strchr("/-._~!$&'()*+,;=:@", c) != NULL))) {
      if (c != '%' || i + 2 >= len || !isxdigit((unsigned char)text[i + 1]) ||
          !isxdigit((unsigned char)text[i + 2]))
        return false;
    }
    if (c == '.' && text[i - 1] == '/') { /* text[0] is '/', so i > 0 here */
      size_t dots = i + 1 < len && text[i + 1] == '.' ? 2 : 1;
      if (i + dots == len || text[i + dots] == '/') return false;
    }
  }
  return true;
}

/* ---- hosts and ports ------------------------------------------------------------------- */

/* The names that /etc/hosts commonly gives to 127.0.0.1 and ::1. */
static bool loopback(const char *host, size_t len) {
  static const char *const names[] = {"localhost", "ip6-localhost", "ip6-loopback"};
  char text[64];
  struct in_addr v4;
  struct in6_addr v6;
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if (strlen(names[i]) == len && strncasecmp(host, names[i], len) == 0) return true;
  if (len >= sizeof text) return false;
  memcpy(text, host, len);
  text[len] = '\0';
  if (text[0] != '[') return inet_pton(AF_INET, text, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127;
  text[len - 1] = '\0';
  return inet_pton(AF_INET6, text + 1, &v6) == 1 &&
         (IN6_IS_ADDR_LOOPBACK(&v6) || (IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr[12] == 127));
}

static const char *host_fault(const char *host, size_t all, size_t name) {
  if (name == 0 || name > all) return "it has no host";
  if (name == all) return NULL;
  const char *port = host + name + 1;
  size_t digits = strspn(port, "0123456789");
  long number = strtol(port, NULL, 10);
  if (host[name] != ':' || digits == 0 || digits > 5 || name + 1 + digits != all || number < 1 ||
      number > 65535)
    return "its port is not a number from 1 to 65535";
  return NULL;
}

/* The length of the host at `host`, including brackets. */
static size_t host_length(const char *host) {
  return *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/");
}

/* The end of "HOST:PORT", each of which may be empty, or NULL. */
static const char *host_port_end(const char *text) {
  size_t host = host_length(text);
  if (host >= strlen(text) || text[host] != ':') return NULL;
  const char *port = text + host + 1;
  size_t digits = strspn(port, "0123456789");
  return digits <= 5 && strtol(port, NULL, 10) <= 65535 ? port + digits : NULL;
}

bool bmwi_connect_to(const char *rule) {
  const char *end = host_port_end(rule);
  end = end != NULL && *end == ':' ? host_port_end(end + 1) : NULL;
  return end != NULL && *end == '\0';
}

size_t bmwi_url_origin(const char *url) {
  const char *mark = strstr(url, "://");
  size_t scheme = mark != NULL ? (size_t)(mark - url) + 3 : 0;
  return scheme + strcspn(url + scheme, "/");
}

/* What is wrong with the part after the scheme. */
static const char *rest_fault(const char *host, bool path) {
  for (const char *p = host; *p != '\0'; p++)
    if ((unsigned char)*p <= 32 || (unsigned char)*p >= 127 || strchr("\\\"<>^`{|}#?@", *p) != NULL)
      return "it contains a character that is not allowed there (no user name, query or fragment)";
  size_t all = strcspn(host, "/"), name = host_length(host);
  const char *fault = host_fault(host, all, name), *rest = host + all;
  if (fault != NULL) return fault;
  if (*rest != '\0' && !path) return "it must end after the host and port, without a path or '/'";
  if (*rest != '\0' && !bmwi_path(rest, strlen(rest))) return "its path is not a plain path";
  return NULL;
}

const char *bmwi_url_fault(const char *url, bool path) {
  bool plain = strncasecmp(url, "http://", 7) == 0;
  if (!plain && strncasecmp(url, "https://", 8) != 0)
    return "it must start with https:// (http:// for a loopback address)";
  const char *host = url + (plain ? 7 : 8), *fault = rest_fault(host, path);
  if (fault == NULL && plain && !loopback(host, host_length(host)))
    fault = "it must start with https:// (plain http:// is for loopback addresses only)";
  return fault;
}

/* ---- brokers ---------------------------------------------------------------------------- */

const char *bmwi_mqtt_url_fault(const char *url, bool anywhere) {
  bool plain = strncasecmp(url, "mqtt://", 7) == 0;
  if (!plain && strncasecmp(url, "mqtts://", 8) != 0)
    return anywhere ? "it must start with mqtts:// or mqtt://"
                    : "it must start with mqtts:// (mqtt:// for a loopback address)";
  const char *host = url + (plain ? 7 : 8), *fault = rest_fault(host, false);
  if (fault == NULL && plain && !anywhere && !loopback(host, host_length(host)))
    fault = "it must start with mqtts:// (plain mqtt:// is for loopback addresses only)";
  return fault;
}

bool bmwi_mqtt_url(char *out, size_t size, const char *url) {
  bool plain = strncasecmp(url, "mqtt://", 7) == 0;
  const char *host = url + (plain ? 7 : 8);
  const char *port = host[host_length(host)] == ':' ? "" : plain ? ":1883" : ":8883";
  int len = snprintf(out, size, "%s://%s%s", plain ? "http" : "https", host, port);
  return len > 0 && (size_t)len < size;
}

/* ---- proxies ---------------------------------------------------------------------------- */

static const char *behind_scheme(const char *proxy) {
  const char *mark = strstr(proxy, "://");
  return mark != NULL ? mark + 3 : proxy;
}

/* Whether user name and password contain only what libcurl reads as part of them. */
static bool good_login(const char *text, size_t len) {
  for (size_t i = 0; i < len; i++) {
    unsigned char c = (unsigned char)text[i];
    if (c <= 32 || c >= 127 || strchr("\\\"<>^`{|}#?@/[]", c) != NULL) return false;
    if (c != '%') continue;
    if (i + 2 >= len || !isxdigit((unsigned char)text[i + 1]) ||
        !isxdigit((unsigned char)text[i + 2]) || text[i + 1] < '2' ||
        strncasecmp(text + i + 1, "7f", 2) == 0) /* or a control character */
      return false;
  }
  return true;
}

const char *bmwi_proxy_fault(const char *proxy) {
  static const char *const schemes[] = {"http",    "https",  "socks",  "socks4",
                                        "socks4a", "socks5", "socks5h"};
  const char *rest = behind_scheme(proxy), *at = strrchr(rest, '@');
  bool known = rest == proxy;
  for (size_t i = 0; !known && i < sizeof schemes / sizeof schemes[0]; i++)
    known = strlen(schemes[i]) + 3 == (size_t)(rest - proxy) &&
            strncasecmp(proxy, schemes[i], strlen(schemes[i])) == 0;
  if (!known)
    return "it must start with http://, https://, socks4://, socks4a://, socks5:// or "
           "socks5h://";
  if (at != NULL && !good_login(rest, (size_t)(at - rest)))
    return "a character of its user name or password must be percent-encoded (%23 for '#')";
  const char *host = at != NULL ? at + 1 : rest;
  size_t all = strcspn(host, "/"), name = host_length(host);
  for (size_t i = 0; i < name && i < all; i++)
    if (!isalnum((unsigned char)host[i]) && strchr("-._[]:", host[i]) == NULL)
      return "it has no host";
  const char *fault = host_fault(host, all, name);
  if (fault == NULL && host[all] != '\0' && host[all + 1] != '\0')
    fault = "it must end after the host and port, without a path";
  return fault;
}

const char *bmwi_proxy_password(const char *proxy, size_t *len) {
  const char *rest = behind_scheme(proxy), *at = strrchr(rest, '@');
  const char *colon = at != NULL ? memchr(rest, ':', (size_t)(at - rest)) : NULL;
  if (colon == NULL) return NULL;
  *len = (size_t)(at - colon - 1);
  return colon + 1;
}
