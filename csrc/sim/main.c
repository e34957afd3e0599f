/* The program: its options, its services, startup and shutdown. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "cardata/cardata.h"
#include "classic/classic.h"
#include "control.h"
#include "listen.h"
#include "server.h"
#include "world.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SIM_VERSION "0.1.0"

static const struct service *const services[] = {&control_service, &cardata_service,
                                                 &classic_service, NULL};

static struct options {
  struct place listen;
  const char *cert_file;
  const char *key_file;
  bool tied;
} options = {.listen = {"127.0.0.1", "0"}};

static const size_t file_limit = (size_t)1 << 20;

/* ---- options ---- */

static const char *set_listen(const char *text) { return place_read(&options.listen, text); }

static const char *set_tied(const char *value) {
  (void)value;
  options.tied = true;
  return NULL;
}

static const struct option own_options[] = {
  {"--listen", "HOST:PORT", "where to listen (default 127.0.0.1:0; port 0: any free port)",
   set_listen},
  {"--tied", NULL, "exit when nobody reads standard output any more", set_tied},
  {0},
};

static void print_options(FILE *out, const struct option *option) {
  for (; option != NULL && option->word != NULL; option++) {
    char left[64];
    snprintf(left, sizeof left, "%s %s", option->word, option->value != NULL ? option->value : "");
    fprintf(out, "  %-20s %s\n", left, option->help);
  }
}

static void print_usage(FILE *out) {
  fputs("usage: bmwi-sim [options]\n"
        "\n"
        "  bmwi-sim        listens on any free port of 127.0.0.1 and prints its URL\n"
        "  bmwi-sim --listen 127.0.0.1:8080 --tls server.pem server.key\n"
        "\n",
        out);
  print_options(out, own_options);
  fputs("  --tls CERT KEY       serve HTTPS with this certificate (chain) and key, PEM files\n",
        out);
  for (int i = 0; services[i] != NULL; i++) {
    print_options(out, services[i]->options);
  }
  fputs("  --help               this text\n"
        "  --version            the version\n"
        "\n",
        out);
  for (int i = 0; services[i] != NULL; i++) {
    fputs(services[i]->about != NULL ? services[i]->about : "", out);
  }
  fputs("GET /_sim/ lists how to set faults, read the log and change the simulator.\n", out);
}

static int bad_option(const char *problem, const char *what) {
  fprintf(stderr, "bmwi-sim: %s: %s\n\n", problem, what);
  print_usage(stderr);
  return 2;
}

static const struct option *find_option(const char *word) {
  for (int i = -1; i < 0 || services[i] != NULL; i++) {
    const struct option *option = i < 0 ? own_options : services[i]->options;
    for (; option != NULL && option->word != NULL; option++) {
      if (strcmp(option->word, word) == 0) {
        return option;
      }
    }
  }
  return NULL;
}

/* -1: continue; otherwise the exit code. */
static int read_options(int count, char **words) {
  for (int i = 1; i < count; i++) {
    const char *word = words[i];
    const struct option *option = find_option(word);
    if (strcmp(word, "--help") == 0) {
      print_usage(stdout);
      return 0;
    }
    if (strcmp(word, "--version") == 0) {
      puts("bmwi-sim " SIM_VERSION);
      return 0;
    }
    if (strcmp(word, "--tls") == 0) { /* the only one that takes two values */
      if (i + 2 >= count) {
        return bad_option("two files are missing after", word);
      }
      options.cert_file = words[++i];
      options.key_file = words[++i];
      continue;
    }
    if (option == NULL) {
      return bad_option("unknown option", word);
    }
    if (option->value != NULL && ++i >= count) {
      return bad_option("a value is missing after", word);
    }
    const char *wanted = option->set(words[i]);
    if (wanted != NULL) {
      char problem[128];
      snprintf(problem, sizeof problem, "%s expects %s, not", word, wanted);
      return bad_option(problem, words[i]);
    }
  }
  return -1;
}

/* ---- start ---- */

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
  } while (got == sizeof part && text.length < file_limit);
  fclose(stream);
  return text.at;
}

int main(int count, char **words) {
  services_use(services);
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
  bool good = world_start() && services_start();
  if (good && options.cert_file != NULL) {
    cert = read_text(options.cert_file);
    key = read_text(options.key_file);
    good = cert != NULL && key != NULL;
  }
  if (good) {
    services_reset();
    listener = place_listen(&options.listen);
    good = listener >= 0;
  }
  if (good) {
    daemon = server_start(listener, key, cert);
    good = daemon != NULL;
  }
  bool serving = good;
  good = good && services_listen(key, cert);
  if (good) {
    place_announce(listener, "listening", cert != NULL ? "https" : "http");
    services_announce();
    world_wait(options.tied);
  }
  if (serving) {
    server_stop(daemon); /* closes the listener too */
  } else if (listener >= 0) {
    fprintf(stderr, "bmwi-sim: cannot start the server%s\n",
            cert != NULL ? "; does the key belong to the certificate?" : "");
    close(listener);
  }
  services_end();
  free(cert);
  free(key);
  return good ? 0 : 1;
}
