/*
** Streams: connections over which a protocol of our own is spoken, with TLS or without, behind an
** engine's descriptor. libcurl connects them (CURLOPT_CONNECT_ONLY), then its owner reads
** and writes bytes.
*/
#ifndef BMWI_STREAM_H
#define BMWI_STREAM_H

#include <stdbool.h>
#include <stddef.h>

#include "core/poll.h"
#include "core/queue.h"
#include "core/timers.h"
#include "core/transport.h"

#pragma GCC visibility push(hidden)

/* All of an engine. */
typedef struct bmwi_streams {
  bmwi_queue all;
  bmwi_timers timers; /* one of each: when it must be served at the latest */
  bmwi_poll *poll;
  unsigned last_tag;
} bmwi_streams;

typedef struct bmwi_stream {
  bmwi_link link; /* first; in all of them */
  bmwi_timer timer;
  bmwi_streams *streams; /* NULL: closed */
  bool open;             /* there is a connection */
  unsigned tag;          /* tells its events from those of others */
  void *multi, *easy;    /* of its own: no limit of connections counts it */
  int fd;                /* once it is open */
  bool in, out, watched; /* what `fd` is watched for, and whether it ever was */
  double curl_wake;      /* while it connects: when libcurl wants to be called; negative: not */
  double wake;           /* when its owner wants to be called */
  int result;            /* CURLcode of what has failed; 0: nothing */
  bool reset;            /* the operating system ended it */
  char *error;           /* libcurl's words */
  /* Called when something may have happened to it, and when it is time; NULL as the second: the
  ** engine is at its end. It must say when it wants to be called next, or close the stream. */
  void (*serve)(struct bmwi_stream *stream, bmwi_streams *streams);
} bmwi_stream;

/* Begins to connect to an URL of libcurl's, "https://host:port" or without TLS "http://...". The
** transport must stay meanwhile. False without memory. */
bool bmwi_stream_open(bmwi_stream *stream, bmwi_streams *streams, const char *url,
                      const bmwi_transport *transport);
/* At once; it is not served any more. */
void bmwi_stream_close(bmwi_stream *stream);
/* When its owner wants to be served, on the monotonic clock. */
void bmwi_stream_wake(bmwi_stream *stream, double wake);
/* Which events its owner wants to be served for, once it is open. */
void bmwi_stream_watch(bmwi_stream *stream, bool in, bool out);

typedef enum bmwi_io {
  BMWI_IO_DONE,  /* `done` bytes, at least one */
  BMWI_IO_AGAIN, /* later */
  BMWI_IO_EOF,
  BMWI_IO_FAILED /* `result` and `error` say why */
} bmwi_io;

/* Has its owner serve it now. */
void bmwi_stream_serve(bmwi_stream *stream);

/* As much as there is now, or is taken now. The one may lie in the TLS library, where no event
** tells of it: to be read until there is none, and only while it is served. */
bmwi_io bmwi_stream_read(bmwi_stream *stream, char *to, size_t size, size_t *done);
bmwi_io bmwi_stream_write(bmwi_stream *stream, const char *data, size_t len, size_t *done);

/* For the engine. When the next one must be served; negative: there is none. */
double bmwi_streams_due(const bmwi_streams *streams);
/* Something happened to a socket with a tag; ignored where it is closed by now. */
void bmwi_streams_event(bmwi_streams *streams, const bmwi_event *event);
/* Serves what is due. */
void bmwi_streams_serve(bmwi_streams *streams);
/* All come to their end. */
void bmwi_streams_end(bmwi_streams *streams);

#pragma GCC visibility pop

#endif
