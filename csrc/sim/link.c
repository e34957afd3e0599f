#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "link.h"

#include <errno.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static gnutls_certificate_credentials_t credentials;
static gnutls_priority_t priority;
static gnutls_datum_t ticket_key;

bool links_start(const char *key, const char *cert) {
  if (cert == NULL) {
    return true;
  }
  gnutls_datum_t key_text = {(unsigned char *)key, (unsigned)strlen(key)};
  gnutls_datum_t cert_text = {(unsigned char *)cert, (unsigned)strlen(cert)};
  int error = gnutls_certificate_allocate_credentials(&credentials);
  error = error < 0 ? error
                    : gnutls_certificate_set_x509_key_mem(credentials, &cert_text, &key_text,
                                                          GNUTLS_X509_FMT_PEM);
  error =
    error < 0 ? error : gnutls_priority_init(&priority, "NORMAL:-VERS-ALL:+VERS-TLS1.3", NULL);
  error = error < 0 ? error : gnutls_session_ticket_key_generate(&ticket_key);
  if (error < 0) {
    fprintf(stderr, "bmwi-sim: TLS: %s\n", gnutls_strerror(error));
  }
  return error >= 0;
}

void links_end(void) {
  if (credentials != NULL) {
    gnutls_certificate_free_credentials(credentials);
    gnutls_priority_deinit(priority);
    gnutls_free(ticket_key.data);
    credentials = NULL;
  }
}

bool link_open(struct link *link, int fd) {
  *link = (struct link){.fd = fd};
  int error = 0;
  if (fcntl(fd, F_SETFL, O_NONBLOCK) != 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
    error = -1;
  } else if (credentials != NULL) {
    error = gnutls_init(&link->tls, GNUTLS_SERVER | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL);
    error = error < 0 ? error : gnutls_priority_set(link->tls, priority);
    error = error < 0
              ? error
              : gnutls_credentials_set(link->tls, GNUTLS_CRD_CERTIFICATE, (void *)credentials);
    /* Tickets make TLS records without MQTT data arrive after the handshake. */
    error = error < 0 ? error : gnutls_session_ticket_enable_server(link->tls, &ticket_key);
  }
  if (error < 0) {
    link_close(link, true);
    return false;
  }
  if (link->tls != NULL) {
    gnutls_transport_set_int(link->tls, fd);
    gnutls_handshake_set_timeout(link->tls, 0);
  }
  return true;
}

int link_handshake(struct link *link) {
  int result = link->tls != NULL ? gnutls_handshake(link->tls) : 0;
  if (result == 0) {
    return 1;
  }
  if (!gnutls_error_is_fatal(result)) {
    return 0;
  }
  if (result == GNUTLS_E_NO_CIPHER_SUITES) { /* the client offers TLS 1.2 only */
    gnutls_alert_send(link->tls, GNUTLS_AL_FATAL, GNUTLS_A_PROTOCOL_VERSION);
  } else {
    gnutls_alert_send_appropriate(link->tls, result);
  }
  return -1;
}

/* Both return -1 at the end of the stream, too. */
static long result_of(long got) {
  if (got > 0) {
    return got;
  }
  return got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) ? 0 : -1;
}

static long result_of_tls(long got) {
  if (got > 0) {
    return got;
  }
  return got < 0 && !gnutls_error_is_fatal((int)got) ? 0 : -1;
}

long link_read(struct link *link, void *out, size_t room) {
  if (link->tls == NULL) {
    return result_of(recv(link->fd, out, room, 0));
  }
  return result_of_tls(gnutls_record_recv(link->tls, out, room));
}

long link_write(struct link *link, const void *data, size_t length) {
  if (link->tls == NULL) {
    return result_of(send(link->fd, data, length, 0));
  }
  long sent = link->half_written ? gnutls_record_send(link->tls, NULL, 0)
                                 : gnutls_record_send(link->tls, data, length);
  link->half_written = sent == GNUTLS_E_AGAIN || sent == GNUTLS_E_INTERRUPTED;
  return result_of_tls(sent);
}

bool link_wants_write(const struct link *link) {
  return link->tls != NULL && gnutls_record_get_direction(link->tls) == 1;
}

void link_finish(struct link *link, bool notify) {
  if (link->tls != NULL && notify) {
    gnutls_bye(link->tls, GNUTLS_SHUT_WR);
  }
  shutdown(link->fd, SHUT_WR);
}

void link_close(struct link *link, bool reset) {
  if (link->tls != NULL) {
    gnutls_deinit(link->tls);
    link->tls = NULL;
  }
  if (reset) {
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    setsockopt(link->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
  }
  if (link->fd >= 0) {
    close(link->fd);
    link->fd = -1;
  }
}
