/* Must come first: plain C11 hides sockets. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "listen.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *place_read(struct place *out, const char *text) {
  const char *colon = strrchr(text, ':');
  if (colon == NULL || colon == text || colon[1] == '\0' || strlen(colon + 1) > 5 ||
      strspn(colon + 1, "0123456789") != strlen(colon + 1) || strtol(colon + 1, NULL, 10) > 65535) {
    return "HOST:PORT";
  }
  size_t length = (size_t)(colon - text);
  if (text[0] == '[' && colon[-1] == ']') { /* [::1]:8080 */
    text++;
    length -= 2;
  }
  if (length == 0 || length >= sizeof out->host) {
    return "HOST:PORT";
  }
  memcpy(out->host, text, length);
  out->host[length] = '\0';
  snprintf(out->port, sizeof out->port, "%s", colon + 1);
  return NULL;
}

static bool is_loopback(const struct sockaddr *address) {
  if (address->sa_family == AF_INET) {
    const struct sockaddr_in *v4 = (const void *)address;
    return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
  }
  const struct sockaddr_in6 *v6 = (const void *)address;
  return address->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

static void listener_address(int listener, char host[NI_MAXHOST], char port[NI_MAXSERV]) {
  struct sockaddr_storage address;
  socklen_t length = sizeof address;
  memset(&address, 0, sizeof address);
  getsockname(listener, (struct sockaddr *)&address, &length);
  getnameinfo((struct sockaddr *)&address, length, host, NI_MAXHOST, port, NI_MAXSERV,
              NI_NUMERICHOST | NI_NUMERICSERV);
}

int place_listen(struct place *place) {
  struct addrinfo wanted = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
  struct addrinfo *found = NULL;
  int error = getaddrinfo(place->host, place->port, &wanted, &found);
  if (error != 0) {
    fprintf(stderr, "bmwi-sim: %s: %s\n", place->host, gai_strerror(error));
    return -1;
  }
  int one = 1;
  int listener = socket(found->ai_family, SOCK_STREAM, 0);
  bool good = listener >= 0 && fcntl(listener, F_SETFD, FD_CLOEXEC) == 0 &&
              setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0 &&
              bind(listener, found->ai_addr, found->ai_addrlen) == 0 && listen(listener, 1024) == 0;
  if (!good) {
    fprintf(stderr, "bmwi-sim: cannot listen on %s:%s: %s\n", place->host, place->port,
            strerror(errno));
    if (listener >= 0) {
      close(listener);
    }
    listener = -1;
  } else {
    char host[NI_MAXHOST];
    char port[NI_MAXSERV];
    if (!is_loopback(found->ai_addr)) {
      fprintf(stderr,
              "bmwi-sim: warning: %s can be reached from other machines, and its password is "
              "public\n",
              place->host);
    }
    listener_address(listener, host, port);
    snprintf(place->port, sizeof place->port, "%.15s", port);
  }
  freeaddrinfo(found);
  return listener;
}

void address_text(const struct sockaddr_storage *address, char out[ADDRESS_ROOM]) {
  socklen_t length =
    address->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
  if (getnameinfo((const struct sockaddr *)address, length, out, ADDRESS_ROOM, NULL, 0,
                  NI_NUMERICHOST) != 0) {
    out[0] = '\0';
  }
}

void place_announce(int listener, const char *word, const char *scheme) {
  char host[NI_MAXHOST];
  char port[NI_MAXSERV];
  listener_address(listener, host, port);
  bool v6 = strchr(host, ':') != NULL;
  printf("bmwi-sim %s on %s://%s%s%s:%s\n", word, scheme, v6 ? "[" : "", host, v6 ? "]" : "", port);
  fflush(stdout);
}
