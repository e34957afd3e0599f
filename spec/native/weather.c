/* Preloaded by specs: a slow or recording resolver, and a wall clock that can be set.
** BMWI_DNS=SECONDS: how long it takes to report that a name does not exist.
** BMWI_NAMES=FILE: each name resolves to this machine, and is added to the file.
** BMWI_CLOCK=FILE: has the seconds by which the wall clock is off; not so the monotonic clock.
** BMWI_PIPE=1: libcurl says that it is 7.74, and writing to a broken connection raises SIGPIPE, as
** if the TLS library wrote by itself (libcurl before 7.87 with OpenSSL). */
#define _GNU_SOURCE
#include <curl/curl.h>
#include <dlfcn.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* The seconds in the file that the variable names, or 0. */
static double off(const char *variable) {
  const char *path = getenv(variable);
  FILE *file = path != NULL ? fopen(path, "r") : NULL;
  double seconds = 0;
  if (file == NULL) return 0;
  if (fscanf(file, "%lf", &seconds) != 1) seconds = 0;
  fclose(file);
  return seconds;
}

int clock_gettime(clockid_t clock, struct timespec *out) {
  static int (*real)(clockid_t, struct timespec *);
  if (real == NULL) *(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
  int result = real(clock, out);
  double seconds = clock == CLOCK_REALTIME    ? off("BMWI_CLOCK")
                   : clock == CLOCK_MONOTONIC ? off("BMWI_AHEAD")
                                              : 0;
  out->tv_sec += (time_t)seconds;
  out->tv_nsec += (long)((seconds - (double)(time_t)seconds) * 1e9);
  if (out->tv_nsec >= 1000000000) out->tv_sec++, out->tv_nsec -= 1000000000;
  if (out->tv_nsec < 0) out->tv_sec--, out->tv_nsec += 1000000000;
  return result;
}

int gettimeofday(struct timeval *restrict out, void *restrict zone) {
  struct timespec now;
  (void)zone;
  clock_gettime(CLOCK_REALTIME, &now);
  out->tv_sec = now.tv_sec;
  out->tv_usec = now.tv_nsec / 1000;
  return 0;
}

time_t time(time_t *out) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (out != NULL) *out = now.tv_sec;
  return now.tv_sec;
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **result) {
  static int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
  const char *seconds = getenv("BMWI_DNS"), *names = getenv("BMWI_NAMES");
  if (real == NULL) *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
  if (names != NULL) {
    FILE *file = fopen(names, "a");
    if (file == NULL) return EAI_SYSTEM;
    fprintf(file, "%s\n", node);
    fclose(file);
    return real("127.0.0.1", service, hints, result);
  }
  if (seconds == NULL || strcmp(node, "127.0.0.1") == 0) return real(node, service, hints, result);
  sleep((unsigned)atoi(seconds));
  return EAI_NONAME;
}

ssize_t send(int fd, const void *data, size_t len, int flags) {
  static ssize_t (*real)(int, const void *, size_t, int);
  if (real == NULL) *(void **)&real = dlsym(RTLD_NEXT, "send");
  return real(fd, data, len, getenv("BMWI_PIPE") != NULL ? flags & ~MSG_NOSIGNAL : flags);
}

/* libcurl is not among the libraries that RTLD_NEXT knows: the module brings it. */
curl_version_info_data *curl_version_info(CURLversion now) {
  static curl_version_info_data info;
  curl_version_info_data *(*real)(CURLversion) = NULL;
  *(void **)&real = dlsym(dlopen("libcurl.so.4", RTLD_LAZY), "curl_version_info");
  info = *real(now);
  if (getenv("BMWI_PIPE") != NULL) info.version_num = 0x074A00;
  return &info;
}

static void note(const char *what) {
  const char *path = getenv("BMWI_DISK");
  FILE *file = path != NULL ? fopen(path, "a") : NULL;
  if (file == NULL) return;
  fprintf(file, "%s\n", what);
  fclose(file);
}

int fsync(int fd) {
  static int (*real)(int);
  struct stat st;
  if (real == NULL) *(void **)&real = dlsym(RTLD_NEXT, "fsync");
  note(fstat(fd, &st) == 0 && S_ISDIR(st.st_mode) ? "sync folder" : "sync file");
  return real(fd);
}

int rename(const char *from, const char *to) {
  static int (*real)(const char *, const char *);
  if (real == NULL) *(void **)&real = dlsym(RTLD_NEXT, "rename");
  note("rename");
  return real(from, to);
}
