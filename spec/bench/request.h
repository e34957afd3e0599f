/*
** The C programs' request: the same as bmwi's, set once for each handle. The
** answer goes to one growing buffer.
*/
#ifndef BENCH_REQUEST_H
#define BENCH_REQUEST_H

#include <curl/curl.h>
#include <limits.h>

#include "worker.h"

#define TOKEN "RCQ1hLP4AFaUBW9BjcPUN3i4WgkwF90R"

typedef struct body {
  char *data;
  size_t len, cap;
} body;

static struct curl_slist *headers;

static size_t on_body(char *data, size_t size, size_t count, void *user) {
  body *b = user;
  size_t len = size * count;
  if (b->len + len > b->cap) {
    while (b->cap < b->len + len) b->cap = b->cap == 0 ? 4096 : 2 * b->cap;
    b->data = realloc(b->data, b->cap);
    check(b->data != NULL, "no memory");
  }
  memcpy(b->data + b->len, data, len);
  b->len += len;
  return len;
}

static inline CURL *make(const char *url, const char *ca, body *b) {
  CURL *easy = curl_easy_init();
  check(easy != NULL, "curl_easy_init");
  if (headers == NULL) {
    headers = curl_slist_append(headers, "Authorization: Bearer " TOKEN);
    headers = curl_slist_append(headers, "Accept: application/json");
  }
  curl_easy_setopt(easy, CURLOPT_URL, url);
  curl_easy_setopt(easy, CURLOPT_CAINFO, ca);
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(easy, CURLOPT_USERAGENT, "bmwi/bench");
  curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "");
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, 30000L);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, b);
  return easy;
}

static inline void check_answer(CURL *easy, CURLcode result) {
  long status = 0;
  check(result == CURLE_OK, curl_easy_strerror(result));
  curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
  check(status == 200, "the status is not 200");
}

#endif
