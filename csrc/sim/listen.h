/* A listening socket given on the command line. */
#ifndef BMWI_SIM_LISTEN_H
#define BMWI_SIM_LISTEN_H

#include <stdbool.h>
#include <sys/socket.h>

struct place {
  char host[256];
  char port[16];
};

const char *place_read(struct place *out, const char *text); /* NULL or the expected form */

/* A listening socket; -1: it has printed why not. Port 0 in the place becomes the port that was
   found, so that a later call listens on the same one. */
int place_listen(struct place *place);

enum { ADDRESS_ROOM = 64 };
void address_text(const struct sockaddr_storage *address, char out[ADDRESS_ROOM]);

/* Prints "bmwi-sim WORD on SCHEME://HOST:PORT", with the listener's address. */
void place_announce(int listener, const char *word, const char *scheme);

#endif
