/* One byte stream with a client, which never blocks: TCP, and TLS 1.3 over it where there is a
   certificate. */
#ifndef BMWI_SIM_LINK_H
#define BMWI_SIM_LINK_H

#include <stdbool.h>
#include <stddef.h>

struct gnutls_session_int;

struct link {
  int fd;
  struct gnutls_session_int *tls; /* NULL: none */
  bool half_written;              /* a record that the socket has not fully accepted */
};

bool links_start(const char *key, const char *cert); /* PEM; false: has reported the problem */
void links_end(void);

bool link_open(struct link *link, int fd); /* false: it has been closed */
int link_handshake(struct link *link);     /* 1: done; 0: not yet; -1: failed */
/* What was read or written, as one record where there is TLS; 0: nothing now; -1: it is over. */
long link_read(struct link *link, void *out, size_t room);
long link_write(struct link *link, const void *data, size_t length);
bool link_wants_write(const struct link *link); /* in the handshake */
void link_finish(struct link *link,
                 bool notify); /* stops writing; `notify`: sends TLS's close_notify */
void link_close(struct link *link, bool reset);

#endif
