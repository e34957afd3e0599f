/* The program: options, the listening socket, the world's lock and clock, and the end of it all. */
#include "sim.h"

#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct settings settings;

static struct options {
  char host[256];
  char port[16];
  bool listen_given;
  const char *cert_file;
  const char *key_file;
  const char *vehicles_file;
  double speed;
  bool list_array;
  bool any_key;
  bool tied;
} options = {.host = "127.0.0.1", .port = "0", .speed = 1};

static const char usage[] =
    "usage: bmwi-sim [options]\n"
    "\n"
    "  bmwi-sim                          listens on a free port of 127.0.0.1 and prints its URL\n"
    "  bmwi-sim --listen 127.0.0.1:8080 --tls server.pem server.key --speed 10\n"
    "\n"
    "  --listen HOST:PORT   where to listen (default 127.0.0.1:0; port 0: a free one)\n"
    "  --tls CERT KEY       serve HTTPS with this certificate (chain) and key, PEM files\n"
    "  --speed N            commands proceed N times as fast (default 1: done after 6 seconds)\n"
    "  --list array|object  form of the vehicle list (default object, as the service sent it)\n"
    "  --vehicles FILE      other cars: a JSON array of list entries, each may carry status,\n"
    "                       lastTrip, allTrips, chargingprofile, rangemap, destinations,\n"
    "                       navigation (null: this car has none)\n"
    "  --any-key            take every API key: old clients have one of their own built in\n"
    "  --tied               end when the reader of standard output has gone\n"
    "  --help               this text\n"
    "  --version            the version\n"
    "\n"
    "Log in as whatever@example.com with p4ssw0rd, key \"key\" and secret \"secret\".\n"
    "Faults, the log and the cars' state are under /_sim/.\n";

/* ---- the world ---- */

static pthread_mutex_t world = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t stop_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t stop_condition;
static bool stopping;
static int wake[2] = {-1, -1};
static struct timespec started;
static double started_epoch;
static json_t *vehicles; /* NULL: the mission document's */

#ifdef __APPLE__
static const clockid_t pause_clock = CLOCK_REALTIME;
#else
static const clockid_t pause_clock = CLOCK_MONOTONIC;
#endif

void world_lock(void) {
  pthread_mutex_lock(&world);
}

void world_unlock(void) {
  pthread_mutex_unlock(&world);
}

double world_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)(now.tv_sec - started.tv_sec) + (double)(now.tv_nsec - started.tv_nsec) / 1e9;
}

double world_epoch(void) {
  return started_epoch + world_now();
}

bool world_tls(void) {
  return options.cert_file != NULL;
}

void world_reset(void) {
  free(settings.secret_answer);
  settings = (struct settings){.list_array = options.list_array, .any_key = options.any_key,
                               .speed = options.speed, .poi_body = true,
                               .navigation_scope = true};
  cars_free();
  cars_load(vehicles);
  token_reset();
  commands_reset();
  fault_clear();
  log_clear(LONG_MAX);
}

bool world_pause(double seconds) {
  struct timespec until;
  clock_gettime(pause_clock, &until);
  until.tv_sec += (time_t)seconds;
  until.tv_nsec += (long)((seconds - (double)(time_t)seconds) * 1e9);
  if (until.tv_nsec >= 1000000000L) {
    until.tv_sec++;
    until.tv_nsec -= 1000000000L;
  }
  pthread_mutex_lock(&stop_mutex);
  int result = 0;
  while (!stopping && result == 0) {
    result = pthread_cond_timedwait(&stop_condition, &stop_mutex, &until);
  }
  bool going_on = !stopping;
  pthread_mutex_unlock(&stop_mutex);
  return going_on;
}

/* Async-signal-safe: only tells the main thread. */
void world_stop(void) {
  int saved = errno;
  ssize_t ignored = write(wake[1], "x", 1);
  (void)ignored;
  errno = saved;
}

static void on_signal(int number) {
  (void)number;
  world_stop();
}

/* ---- start ---- */

static int bad_option(const char *problem, const char *what) {
  fprintf(stderr, "bmwi-sim: %s%s%s\n\n%s", problem, what != NULL ? ": " : "",
          what != NULL ? what : "", usage);
  return 2;
}

static bool split_address(const char *text) {
  const char *colon = strrchr(text, ':');
  if (colon == NULL || colon == text || colon[1] == '\0' || strlen(colon + 1) > 5 ||
      strspn(colon + 1, "0123456789") != strlen(colon + 1) || strtol(colon + 1, NULL, 10) > 65535) {
    return false;
  }
  size_t length = (size_t)(colon - text);
  if (text[0] == '[' && colon[-1] == ']') { /* [::1]:8080 */
    text++;
    length -= 2;
  }
  if (length == 0 || length >= sizeof options.host) {
    return false;
  }
  memcpy(options.host, text, length);
  options.host[length] = '\0';
  snprintf(options.port, sizeof options.port, "%s", colon + 1);
  options.listen_given = true;
  return true;
}

/* -1: go on; otherwise the exit code. */
static int read_options(int count, char **words) {
  for (int i = 1; i < count; i++) {
    const char *word = words[i];
    const char *value = i + 1 < count ? words[i + 1] : NULL;
    const char *second = i + 2 < count ? words[i + 2] : NULL;
    if (strcmp(word, "--help") == 0) {
      fputs(usage, stdout);
      return 0;
    }
    if (strcmp(word, "--version") == 0) {
      puts("bmwi-sim " SIM_VERSION);
      return 0;
    }
    if (strcmp(word, "--tied") == 0) {
      options.tied = true;
      continue;
    }
    if (strcmp(word, "--any-key") == 0) {
      options.any_key = true;
      continue;
    }
    if (strcmp(word, "--tls") == 0) {
      if (value == NULL || second == NULL) {
        return bad_option("two files are missing after", word);
      }
      options.cert_file = value;
      options.key_file = second;
      i += 2;
      continue;
    }
    bool listen_word = strcmp(word, "--listen") == 0;
    bool speed_word = strcmp(word, "--speed") == 0;
    bool list_word = strcmp(word, "--list") == 0;
    if (!listen_word && !speed_word && !list_word && strcmp(word, "--vehicles") != 0) {
      return bad_option("unknown option", word);
    }
    if (value == NULL) {
      return bad_option("a value is missing after", word);
    }
    i++;
    if (listen_word) {
      if (!split_address(value)) {
        return bad_option("--listen wants HOST:PORT, not", value);
      }
    } else if (speed_word) {
      char *end;
      options.speed = strtod(value, &end);
      if (end == value || *end != '\0' || !(options.speed > 0 && options.speed <= 1e6)) {
        return bad_option("--speed wants a number above 0, not", value);
      }
    } else if (list_word) {
      options.list_array = strcmp(value, "array") == 0;
      if (!options.list_array && strcmp(value, "object") != 0) {
        return bad_option("--list wants array or object, not", value);
      }
    } else {
      options.vehicles_file = value;
    }
  }
  return -1;
}

static json_t *read_vehicles(const char *file) {
  json_error_t error;
  json_t *read = json_load_file(file, 0, &error);
  if (read == NULL) {
    if (error.line > 0) {
      fprintf(stderr, "bmwi-sim: %s: line %d: %s\n", file, error.line, error.text);
    } else {
      fprintf(stderr, "bmwi-sim: %s\n", error.text);
    }
    return NULL;
  }
  json_t *list = json_is_object(read) ? json_object_get(read, "vehicles") : read;
  bool good = json_is_array(list);
  for (size_t i = 0; good && i < json_array_size(list); i++) {
    const char *vin = json_string_value(json_object_get(json_array_get(list, i), "vin"));
    good = vin != NULL && vin[0] != '\0' && strlen(vin) < 64;
  }
  if (!good) {
    fprintf(stderr, "bmwi-sim: %s: a JSON array of vehicles is expected, each with a vin\n", file);
    list = NULL;
  }
  json_incref(list);
  json_decref(read);
  return list;
}

static char *read_text(const char *file) {
  FILE *stream = fopen(file, "rb");
  struct bytes text = {0};
  char part[4096];
  size_t got;
  if (stream == NULL) {
    fprintf(stderr, "bmwi-sim: %s: %s\n", file, strerror(errno));
    return NULL;
  }
  bytes_text(&text, "");
  do {
    got = fread(part, 1, sizeof part, stream);
    bytes_add(&text, part, got);
  } while (got == sizeof part && text.length < BODY_LIMIT);
  fclose(stream);
  return text.at;
}

static bool is_loopback(const struct sockaddr *address) {
  if (address->sa_family == AF_INET) {
    const struct sockaddr_in *v4 = (const void *)address;
    return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
  }
  const struct sockaddr_in6 *v6 = (const void *)address;
  return address->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

static int open_listener(void) {
  struct addrinfo wanted = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
  struct addrinfo *found = NULL;
  int error = getaddrinfo(options.host, options.port, &wanted, &found);
  if (error != 0) {
    fprintf(stderr, "bmwi-sim: %s: %s\n", options.host, gai_strerror(error));
    return -1;
  }
  int one = 1;
  int listener = socket(found->ai_family, SOCK_STREAM, 0);
  bool good = listener >= 0 && fcntl(listener, F_SETFD, FD_CLOEXEC) == 0 &&
              setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0 &&
              bind(listener, found->ai_addr, found->ai_addrlen) == 0 &&
              listen(listener, 1024) == 0;
  if (!good) {
    fprintf(stderr, "bmwi-sim: cannot listen on %s:%s: %s\n", options.host, options.port,
            strerror(errno));
    if (listener >= 0) {
      close(listener);
    }
    listener = -1;
  } else if (!is_loopback(found->ai_addr)) {
    fprintf(stderr, "bmwi-sim: warning: %s can be reached from other machines; the log-in is "
                    "public and there is no protection\n", options.host);
  }
  freeaddrinfo(found);
  return listener;
}

static void announce(int listener) {
  struct sockaddr_storage address;
  socklen_t length = sizeof address;
  char host[NI_MAXHOST];
  char port[NI_MAXSERV];
  memset(&address, 0, sizeof address);
  getsockname(listener, (struct sockaddr *)&address, &length);
  getnameinfo((struct sockaddr *)&address, length, host, sizeof host, port, sizeof port,
              NI_NUMERICHOST | NI_NUMERICSERV);
  bool v6 = strchr(host, ':') != NULL;
  printf("bmwi-sim listening on %s://%s%s%s:%s\n", world_tls() ? "https" : "http", v6 ? "[" : "",
         host, v6 ? "]" : "", port);
  fflush(stdout);
}

static void wait_for_end(void) {
  /* With no events asked for, poll tells only that nobody reads standard output any more. */
  struct pollfd watched[2] = {{.fd = wake[0], .events = POLLIN},
                              {.fd = options.tied ? STDOUT_FILENO : -1}};
  for (;;) {
    int ready = poll(watched, 2, -1);
    if (ready < 0 && errno != EINTR) {
      break;
    }
    if (ready > 0 && (watched[0].revents != 0 || watched[1].revents != 0)) {
      break;
    }
  }
}

static bool prepare(void) {
  pthread_condattr_t attributes;
  pthread_condattr_init(&attributes);
#ifndef __APPLE__
  pthread_condattr_setclock(&attributes, pause_clock);
#endif
  pthread_cond_init(&stop_condition, &attributes);
  pthread_condattr_destroy(&attributes);
  struct timespec epoch;
  clock_gettime(CLOCK_MONOTONIC, &started);
  clock_gettime(CLOCK_REALTIME, &epoch);
  started_epoch = (double)epoch.tv_sec + (double)epoch.tv_nsec / 1e9;
  if (pipe(wake) != 0 || fcntl(wake[1], F_SETFL, O_NONBLOCK) != 0) {
    perror("bmwi-sim: pipe");
    return false;
  }
  struct sigaction action;
  memset(&action, 0, sizeof action);
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  action.sa_handler = on_signal;
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGINT, &action, NULL);
  action.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &action, NULL);
  return true;
}

static void finish(struct MHD_Daemon *daemon) {
  pthread_mutex_lock(&stop_mutex);
  stopping = true;
  pthread_cond_broadcast(&stop_condition);
  pthread_mutex_unlock(&stop_mutex);
  MHD_stop_daemon(daemon);
}

int main(int count, char **words) {
  int code = read_options(count, words);
  if (code >= 0) {
    return code;
  }
  char *cert = NULL;
  char *key = NULL;
  int listener = -1;
  struct MHD_Daemon *daemon = NULL;
  json_set_alloc_funcs(must_alloc, free);
  json_object_seed(0);
  bool good = prepare();
  if (good && options.vehicles_file != NULL) {
    vehicles = read_vehicles(options.vehicles_file);
    good = vehicles != NULL;
  }
  if (good && world_tls()) {
    cert = read_text(options.cert_file);
    key = read_text(options.key_file);
    good = cert != NULL && key != NULL;
  }
  if (good) {
    world_reset();
    listener = open_listener();
    good = listener >= 0;
  }
  if (good) {
    daemon = route_start(listener, key, cert);
    good = daemon != NULL;
  }
  if (good) {
    announce(listener);
    wait_for_end();
    finish(daemon); /* closes the listener too */
  } else if (listener >= 0) {
    fprintf(stderr, "bmwi-sim: the server does not start%s\n",
            world_tls() ? "; do the certificate and the key fit together?" : "");
    close(listener);
  }
  cars_free();
  fault_clear();
  log_clear(LONG_MAX);
  json_decref(vehicles);
  free(settings.secret_answer);
  free(cert);
  free(key);
  close(wake[0]);
  close(wake[1]);
  pthread_cond_destroy(&stop_condition);
  return good ? 0 : 1;
}
