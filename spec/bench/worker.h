/*
** Shared by the benchmark's C programs. A worker reads lines "N REPEATS"
** from its standard input, does N things that often, and answers each line with
** the seconds of processor time that took. "0 0" asks it to tidy up.
*/
#ifndef BENCH_WORKER_H
#define BENCH_WORKER_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static inline void check(int good, const char *what) {
  if (good) return;
  fprintf(stderr, "bench: %s\n", what);
  exit(1);
}

static inline double processor(int who) {
  struct rusage use;
  getrusage(who, &use);
  return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
         (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
}

/* `who` is RUSAGE_SELF or RUSAGE_CHILDREN. */
static inline void work(int who, void (*run)(long), void (*tidy)(void)) {
  long n, repeats;
  while (scanf("%ld %ld", &n, &repeats) == 2) {
    double before = processor(who);
    for (long i = 0; i < repeats; i++) run(n);
    if (n == 0 && tidy != NULL) tidy();
    printf("%.6f\n", processor(who) - before);
    fflush(stdout);
  }
}

/* A member of /proc/self/status in bytes. */
static inline double memory(const char *name) {
  char line[256];
  double found = 0;
  FILE *file = fopen("/proc/self/status", "r");
  while (file != NULL && fgets(line, sizeof line, file) != NULL)
    if (strncmp(line, name, strlen(name)) == 0) found = atof(line + strlen(name) + 1) * 1024;
  if (file != NULL) fclose(file);
  return found;
}

#endif
