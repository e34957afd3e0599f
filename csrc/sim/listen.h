/* A listening socket given on the command line. */
#ifndef BMWI_SIM_LISTEN_H
#define BMWI_SIM_LISTEN_H

#include <stdbool.h>
#include <sys/socket.h>

struct place {
  char host[256];
  char port[16];
};

const char *place_read(struct place *out, const char *text); /* NULL or what is wanted instead */

/* Listens there; -1: it has said why not. Where the port was 0 the place gets the one found, so
   that it can be listened on again. */
int place_listen(struct place *place);

enum { ADDRESS_ROOM = 64 };
void address_text(const struct sockaddr_storage *address, char out[ADDRESS_ROOM]);

/* Prints "bmwi-sim WORD on SCHEME://HOST:PORT". */
void place_announce(int listener, const char *word, const char *scheme);

#endif
