/* A non-blocking byte stream to a client: TCP, with TLS 1.3 if there is a certificate. */
#ifndef BMWI_SIM_LINK_H
#define BMWI_SIM_LINK_H

#include <stdbool.h>
#include <stddef.h>

struct gnutls_session_int;

struct link {
  int fd;
  struct gnutls_session_int *tls; /* NULL: no TLS */
  bool half_written;              /* GnuTLS still holds a record to be sent */
};

bool links_start(const char *key, const char *cert); /* PEM; false: it has printed why */
void links_end(void);

bool link_open(struct link *link, int fd); /* false: failed, and the fd is closed */
int link_handshake(struct link *link);     /* 1: done; 0: not yet; -1: failed */
/* How many bytes were read or written, with TLS as one record; 0: would block; -1: closed. */
long link_read(struct link *link, void *out, size_t room);
long link_write(struct link *link, const void *data, size_t length);
bool link_wants_write(const struct link *link); /* in the handshake */
/* Stops writing; `notify`: sends TLS's close_notify first. */
void link_finish(struct link *link, bool notify);
void link_close(struct link *link, bool reset);

#endif
