/* The HTTP server: receives requests, gets responses for them, and logs both. */
#ifndef BMWI_SIM_SERVER_H
#define BMWI_SIM_SERVER_H

#include <stddef.h>

struct MHD_Daemon;

/* With a key and a certificate (PEM) HTTPS. NULL: it does not start. */
struct MHD_Daemon *server_start(int listener, const char *key, const char *cert);
void server_stop(struct MHD_Daemon *daemon);

#endif
