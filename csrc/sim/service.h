/* What the shared parts need of a service: its paths, its options, and what it does of its own.
   All of it is a value, so that services stand side by side on one port. */
#ifndef BMWI_SIM_SERVICE_H
#define BMWI_SIM_SERVICE_H

#include "http.h"

struct route {
  const char *method;
  const char *path; /* one "*" at most; a path may have several rows, one for each method */
  void (*handle)(struct request *request, struct reply *reply);
  const char *(*change)(const json_t *options); /* instead of `handle`: what takes the body */
  int access;                                   /* for the service's `allow` */
  const char *help;                             /* of a path under /_sim: one line */
  bool (*fits)(const struct request *request);  /* where services share a path; NULL: always */
};

struct option {
  const char *word;
  const char *value;                     /* its name in the help; NULL: none is taken */
  const char *help;                      /* several lines are allowed */
  const char *(*set)(const char *value); /* NULL or what it wants */
};

struct service {
  const struct route *routes;   /* ends with a row without a path */
  const struct option *options; /* of the command line; ends with a row without a word */
  const char *about;            /* a line of the help: how to log in */
  bool (*start)(void);          /* after the options; false: it has said what is wrong */
  /* Listens on a port of its own, with this certificate unless it is NULL; false: it has said what
     is wrong. `announce` then prints where. */
  bool (*listen)(const char *key, const char *cert);
  void (*announce)(void);
  void (*reset)(void); /* resets to the initial state */
  void (*end)(void);
  void (*seen)(struct request *request); /* called for its paths, even if a fault answers */
  bool (*allow)(struct request *request, struct reply *reply); /* false: answered */
  bool (*unknown)(struct request *request,
                  struct reply *reply);              /* an unknown path; true: handled */
  void (*headers)(struct reply *reply, long number); /* that all its answers carry */
  /* A recorded error by its name, with the detail that its text speaks of (NULL: it has one of its
     own); without a reply: is there such a name? */
  bool (*recorded)(struct reply *reply, const char *name, const char *detail);
  const char *(*detail)(const struct request *request); /* for such an error as a fault */
};

/* The list ends with NULL; the last service handles unknown paths. */
void services_use(const struct service *const list[]);
const struct service *service_at(int i); /* NULL: no more */

bool services_start(void);
bool services_listen(const char *key, const char *cert);
void services_announce(void);
void services_reset(void);
void services_end(void); /* in reverse order: threads end before what they use */
bool services_recorded(struct reply *reply, const char *name, const char *detail);

#endif
