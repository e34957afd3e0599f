/*
** Transport: see transport.h.
*/
#include "core/transport.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/buffer.h"
#include "core/clock.h"
#include "core/guard.h"
#include "core/url.h"

/* Stands for an invalid proxy: libcurl refuses it, unless no_proxy exempts the server. */
#define WRONG_PROXY "wrong://proxy"

bool bmwi_transport_connect_to(bmwi_transport *transport, const char *rule) {
  struct curl_slist *list = curl_slist_append(transport->connect_to, rule);
  if (list == NULL) return false;
  transport->connect_to = list;
  return true;
}

/* The percent-decoded copy of the proxy's password. */
static bool keep_password(bmwi_transport *t) {
  size_t len;
  const char *password = bmwi_proxy_password(t->proxy, &len);
  if (password == NULL) return true;
  char *to = t->proxy_password = calloc(len + 1, 1);
  if (to == NULL) return false;
  for (size_t i = 0; i < len; i++) {
    unsigned int byte = (unsigned char)password[i];
    if (byte == '%' && sscanf(password + i + 1, "%2x", &byte) == 1) i += 2;
    *to++ = (char)byte;
  }
  return true;
}

/* In the order in which libcurl tries them. */
bool bmwi_transport_find_proxy(bmwi_transport *t) {
  static const char *const variables[] = {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"};
  for (size_t i = 0; t->proxy == NULL && i < sizeof variables / sizeof variables[0]; i++) {
    const char *value = getenv(variables[i]);
    if (value == NULL || *value == '\0') continue;
    t->proxy = bmwi_copy(value);
    if (t->proxy == NULL) return false;
    t->proxy_variable = variables[i];
    t->proxy_fault = bmwi_proxy_fault(value);
  }
  return t->proxy == NULL || t->proxy_fault != NULL || keep_password(t);
}

/* The proxy setting for libcurl. Never an invalid one, since libcurl's messages would quote it, and
** never NULL, which would make libcurl read the environment. */
static const char *told_proxy(const bmwi_transport *t, bool plain) {
  /* Plain HTTP is for this machine only, so a proxy from the environment must not see it. */
  if (t->proxy == NULL || (plain && t->proxy_variable != NULL)) return "";
  return t->proxy_fault != NULL ? WRONG_PROXY : t->proxy;
}

bool bmwi_transport_proxied(const bmwi_transport *t, bool plain) {
  return *told_proxy(t, plain) != '\0';
}

/* Programs started by this process must not inherit the connection. */
static int on_open(void *user, curl_socket_t s, curlsocktype purpose) {
  (void)user, (void)purpose;
  fcntl(s, F_SETFD, FD_CLOEXEC);
  return CURL_SOCKOPT_OK;
}

#if LIBCURL_VERSION_NUM >= 0x075500
#define SET_PROTOCOLS(easy, plain) \
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, (plain) ? "http,https" : "https")
#else
#define SET_PROTOCOLS(easy, plain) \
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS, \
                   (plain) ? CURLPROTO_HTTP | CURLPROTO_HTTPS : CURLPROTO_HTTPS)
#endif

static bool has_bundle; /* libcurl has a default CA bundle file */
/* Before 7.87 a TLS library may write to the socket itself, without MSG_NOSIGNAL, and with
** CURLOPT_NOSIGNAL libcurl leaves SIGPIPE to the caller. */
static bool raises_sigpipe;

void bmwi_transport_setup(void) {
  const curl_version_info_data *info = curl_version_info(CURLVERSION_NOW);
  raises_sigpipe = info->version_num < 0x075700;
  has_bundle =
    info->age >= CURLVERSION_SEVENTH && info->cainfo != NULL && access(info->cainfo, R_OK) == 0;
}

bool bmwi_transport_set(const bmwi_transport *t, void *easy, bool plain) {
  CURLcode failed = SET_PROTOCOLS(easy, plain);
#define SET(option, value) \
  do { \
    if (failed == CURLE_OK) failed = curl_easy_setopt(easy, option, value); \
  } while (0)
  SET(CURLOPT_NOSIGNAL, 1L);
  SET(CURLOPT_PROXY_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
  SET(CURLOPT_CONNECTTIMEOUT_MS, bmwi_milliseconds(t->connect_timeout));
  SET(CURLOPT_USERAGENT, t->user_agent);
  SET(CURLOPT_TCP_KEEPALIVE, 1L);
  SET(CURLOPT_SOCKOPTFUNCTION, on_open);
  if (t->ca_file != NULL) SET(CURLOPT_CAINFO, t->ca_file);
  /* Only that file: a compiled-in CA folder would be trusted as well, and would keep libcurl from
  ** caching the file, so that each connection would read it again. */
  if (t->ca_file != NULL || has_bundle) SET(CURLOPT_CAPATH, NULL);
  SET(CURLOPT_PROXY, told_proxy(t, plain));
  if (t->connect_to != NULL) SET(CURLOPT_CONNECT_TO, t->connect_to);
#undef SET
#if LIBCURL_VERSION_NUM >= 0x075700
  /* Otherwise the end of an exchange waits for the resolver thread as long as the name servers do
  ** not answer, and no deadline would hold. The libcurl at run time may be older. */
  curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
#endif
  return failed == CURLE_OK;
}

void bmwi_transport_guard(bmwi_guard *guard) {
  if (raises_sigpipe) bmwi_guard_enter(guard, SIGPIPE);
  else guard->blocked = true;
}

void *bmwi_multi_new(void) {
  int lowest = bmwi_pair_lowest();
  CURLM *multi = curl_multi_init();
  if (multi == NULL) return NULL;
#if LIBCURL_VERSION_NUM >= 0x074400
  bmwi_pair pair;
  bmwi_pair_look(&pair, lowest);
  curl_multi_wakeup(multi); /* it stays readable: curl_multi_poll is not used */
  bmwi_pair_guard(&pair);
#else
  (void)lowest;
#endif
  return multi;
}

static const char *file_fault(const char *path) {
  struct stat st;
  if (path[0] == '~') return "'~' is expanded by shells only: give the full path";
  if (access(path, R_OK) != 0) return strerror(errno);
  if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) return "it is a folder";
  return "it contains no PEM certificate";
}

bool bmwi_transport_explain(const bmwi_transport *t, int result, const char *error, char *text,
                            size_t size) {
  if (t->proxy_fault != NULL && strstr(error, WRONG_PROXY) != NULL) {
    snprintf(text, size, "the proxy from the environment (%s) is invalid: %s", t->proxy_variable,
             t->proxy_fault);
    return true;
  }
  if (t->ca_file == NULL || result != CURLE_SSL_CACERT_BADFILE) return false;
  char shown[160]; /* short enough to leave room for the reason */
  bmwi_cut(shown, sizeof shown, t->ca_file);
  snprintf(text, size, "cannot use ca_file %s: %s", shown, file_fault(t->ca_file));
  return true;
}

void bmwi_transport_clear(bmwi_transport *t) {
  bmwi_drop(&t->user_agent);
  bmwi_drop(&t->ca_file);
  bmwi_drop(&t->proxy);
  bmwi_drop(&t->proxy_password);
  curl_slist_free_all(t->connect_to);
  t->connect_to = NULL;
}
