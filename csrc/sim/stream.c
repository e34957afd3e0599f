/* Must come first: plain C11 hides sockets. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "stream.h"

#include "world.h"

#include <fcntl.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

/* A response that is not simply sent as a whole. */
struct stream {
  struct MHD_Connection *connection;
  struct bytes body;
  uint64_t size; /* of the body */
  uint64_t stop_at;
  bool zeros; /* sends zeros instead of the body */
  bool reset;
  double rate; /* bytes per second, 0: at once */
  z_stream *packer;
};

/* Closing with a linger time of 0 resets the connection. dup2 does that and keeps the descriptor
   allocated, because libmicrohttpd will close it itself. */
void stream_reset(struct MHD_Connection *connection) {
  const union MHD_ConnectionInfo *info =
    MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
  struct linger linger = {.l_onoff = 1, .l_linger = 0};
  int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (info != NULL && nothing >= 0) {
    setsockopt(info->connect_fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    dup2(nothing, info->connect_fd);
  }
  if (nothing >= 0) {
    close(nothing);
  }
}

/* Sends what has been written to the socket so far. */
static void push(struct MHD_Connection *connection) {
  const union MHD_ConnectionInfo *info =
    MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
  int one = 1;
  if (info != NULL) {
    setsockopt(info->connect_fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  }
}

static ssize_t read_packed(struct stream *stream, char *out, size_t most) {
  static const Bytef zeros[65536];
  z_stream *packer = stream->packer;
  packer->next_out = (Bytef *)out;
  packer->avail_out = (uInt)most;
  for (;;) {
    uint64_t left = stream->size - packer->total_in;
    packer->next_in = (Bytef *)zeros;
    packer->avail_in = (uInt)(left < sizeof zeros ? left : sizeof zeros);
    int result = deflate(packer, left == packer->avail_in ? Z_FINISH : Z_NO_FLUSH);
    size_t made = most - packer->avail_out;
    if (made == most || (result == Z_STREAM_END && made > 0)) {
      return (ssize_t)made;
    }
    if (result != Z_OK) {
      return MHD_CONTENT_READER_END_OF_STREAM;
    }
  }
}

static ssize_t read_stream(void *from, uint64_t position, char *out, size_t most) {
  struct stream *stream = from;
  if (stream->packer != NULL) {
    return read_packed(stream, out, most < 16384 ? most : 16384); /* that is 16 MB of zeros */
  }
  if (position >= stream->stop_at) {
    push(stream->connection);
    if (stream->reset) {
      world_pause(0.05); /* the partial response must arrive before the reset */
      stream_reset(stream->connection);
      return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    return stream->stop_at < stream->size ? MHD_CONTENT_READER_END_WITH_ERROR
                                          : MHD_CONTENT_READER_END_OF_STREAM;
  }
  uint64_t left = stream->stop_at - position;
  size_t length = left < most ? (size_t)left : most;
  if (stream->rate > 0) {
    size_t portion = stream->rate > 10 ? (size_t)(stream->rate / 10) : 1;
    length = length < portion ? length : portion;
    push(stream->connection);
    if (!world_pause((double)length / stream->rate)) {
      return MHD_CONTENT_READER_END_WITH_ERROR;
    }
  }
  if (stream->zeros) {
    memset(out, 0, length);
  } else {
    memcpy(out, stream->body.at + position, length);
  }
  return (ssize_t)length;
}

static void free_stream(void *from) {
  struct stream *stream = from;
  if (stream->packer != NULL) {
    deflateEnd(stream->packer);
    free(stream->packer);
  }
  bytes_free(&stream->body);
  free(stream);
}

static struct MHD_Response *make_stream(struct request *request, struct reply *reply,
                                        const struct fault *fault) {
  struct stream *stream = must_alloc(sizeof *stream);
  stream->connection = request->connection;
  stream->body = reply->body;
  memset(&reply->body, 0, sizeof reply->body);
  stream->zeros = fault->pad >= 0 && reply->status == 200;
  stream->size = stream->zeros ? (uint64_t)fault->pad : stream->body.length;
  stream->stop_at = stream->size;
  stream->reset = fault->reset == RESET_DURING;
  stream->rate = fault->drip;
  if (fault->truncate >= 0 && (uint64_t)fault->truncate < stream->size) {
    stream->stop_at = (uint64_t)fault->truncate;
  } else if (stream->reset) {
    stream->stop_at = stream->size / 2;
  }
  uint64_t announced = stream->size;
  if (stream->zeros) {
    /* Chunked, without a Content-Length, unless it is truncated. */
    announced = stream->stop_at < stream->size ? stream->size : MHD_SIZE_UNKNOWN;
    if (fault->gzip) {
      stream->packer = must_alloc(sizeof *stream->packer);
      deflateInit2(stream->packer, Z_BEST_COMPRESSION, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
      announced = MHD_SIZE_UNKNOWN;
    }
  }
  struct MHD_Response *response =
    MHD_create_response_from_callback(announced, 16384, read_stream, stream, free_stream);
  if (response == NULL) {
    free_stream(stream);
  } else if (stream->packer != NULL) {
    MHD_add_response_header(response, "Content-Encoding", "gzip");
  }
  return response;
}

struct MHD_Response *stream_response(struct request *request, struct reply *reply,
                                     const struct fault *fault) {
  if (fault->truncate >= 0 || fault->drip > 0 || fault->reset == RESET_DURING ||
      (fault->pad >= 0 && reply->status == 200)) {
    return make_stream(request, reply, fault);
  }
  if (reply->body.length == 0) {
    return MHD_create_response_from_buffer(0, (void *)"", MHD_RESPMEM_PERSISTENT);
  }
  struct MHD_Response *response =
    MHD_create_response_from_buffer(reply->body.length, reply->body.at, MHD_RESPMEM_MUST_FREE);
  if (response != NULL) {
    memset(&reply->body, 0, sizeof reply->body);
  }
  return response;
}
