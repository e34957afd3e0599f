/* The HTTP server: receives, routes, answers and logs requests. */
#ifndef BMWI_SIM_SERVER_H
#define BMWI_SIM_SERVER_H

#include <stddef.h>

struct MHD_Daemon;

/* HTTPS if there are a key and a certificate (PEM). NULL: failed. */
struct MHD_Daemon *server_start(int listener, const char *key, const char *cert);
void server_stop(struct MHD_Daemon *daemon);

#endif
