/*
** Streams: connections for our own protocols, with or without TLS, behind an engine's descriptor.
** libcurl connects them (CURLOPT_CONNECT_ONLY), then the owner reads and writes bytes.
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

/* All streams of an engine. */
typedef struct bmwi_streams {
  bmwi_queue all;
  bmwi_timers timers; /* one for each: when it must be served at the latest */
  bmwi_poll *poll;
  unsigned last_tag;
} bmwi_streams;

typedef struct bmwi_stream {
  bmwi_link link; /* must be first; in the list of all */
  bmwi_timer timer;
  bmwi_streams *streams; /* NULL: closed */
  bool open;             /* there is a connection */
  unsigned tag;          /* distinguishes its events from those of others */
  void *multi, *easy;    /* its own, so that it does not count towards the limit of connections */
  int fd;                /* valid once it is open */
  bool in, out, watched; /* what `fd` is watched for, and whether it has ever been watched */
  double curl_wake;      /* while connecting: when libcurl wants to be called; negative: never */
  double wake;           /* when the owner wants to be called */
  int result;            /* CURLcode of the failure; 0: none */
  bool reset;            /* the operating system closed it */
  char *error;           /* libcurl's error message */
  /* Called when there may be events, and when it is time; with NULL as the second argument when the
  ** engine is being freed. It must set its next time or close the stream. */
  void (*serve)(struct bmwi_stream *stream, bmwi_streams *streams);
} bmwi_stream;

/* Starts connecting to a URL in libcurl's form, "https://host:port" or without TLS "http://...".
** The transport must stay valid meanwhile. False without memory. */
bool bmwi_stream_open(bmwi_stream *stream, bmwi_streams *streams, const char *url,
                      const bmwi_transport *transport);
/* Closes it at once; it is not served any more. */
void bmwi_stream_close(bmwi_stream *stream);
/* When the owner wants to be served, on the monotonic clock. */
void bmwi_stream_wake(bmwi_stream *stream, double wake);
/* Which events the owner wants to be served for, once it is open. */
void bmwi_stream_watch(bmwi_stream *stream, bool in, bool out);

typedef enum bmwi_io {
  BMWI_IO_DONE,  /* `done` bytes, at least one */
  BMWI_IO_AGAIN, /* try again later */
  BMWI_IO_EOF,
  BMWI_IO_FAILED /* see `result` and `error` */
} bmwi_io;

/* Makes the owner be served now. */
void bmwi_stream_serve(bmwi_stream *stream);

/* Reads or writes as much as possible now. Unread data may be inside the TLS library, where no
** event reports it, so read until there is none, and only while being served. */
bmwi_io bmwi_stream_read(bmwi_stream *stream, char *to, size_t size, size_t *done);
bmwi_io bmwi_stream_write(bmwi_stream *stream, const char *data, size_t len, size_t *done);

/* For the engine: when the next one must be served; negative: never. */
double bmwi_streams_due(const bmwi_streams *streams);
/* An event for a socket with this tag; ignored if the stream has been closed. */
void bmwi_streams_event(bmwi_streams *streams, const bmwi_event *event);
/* Serves all that are due. */
void bmwi_streams_serve(bmwi_streams *streams);
/* Ends all of them. */
void bmwi_streams_end(bmwi_streams *streams);

#pragma GCC visibility pop

#endif
