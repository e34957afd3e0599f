/* What the shared code needs to know about a service. Services are plain values, so that several
   can share one port. */
#ifndef BMWI_SIM_SERVICE_H
#define BMWI_SIM_SERVICE_H

#include "http.h"

struct route {
  const char *method;
  const char *path; /* with at most one "*"; one row for each method */
  void (*handle)(struct request *request, struct reply *reply);
  const char *(*change)(const json_t *options); /* instead of `handle`: see reply_change */
  int access;                                   /* for the service's `allow` */
  const char *help;                             /* of a path below /_sim: one line */
  bool (*fits)(
    const struct request *request); /* where services share a path; NULL: always matches */
};

struct option {
  const char *word;
  const char *value;                     /* its name in the help; NULL: takes no value */
  const char *help;                      /* several lines are allowed */
  const char *(*set)(const char *value); /* NULL or what it expects */
};

struct service {
  const char *name;             /* in a recording; NULL: cannot be recorded */
  const struct route *routes;   /* ends with a row without a path */
  const struct option *options; /* of the command line; ends with a row without a word */
  const char *about;            /* a line for the help: how to log in */
  bool (*start)(void);          /* after the options are read; false: it has printed why */
  /* Listens on a port of its own, with this certificate unless it is NULL; false: it has printed
     why. `announce` then prints the address. */
  bool (*listen)(const char *key, const char *cert);
  void (*announce)(void);
  void (*reset)(void); /* to the initial state */
  void (*end)(void);
  void (*seen)(struct request *request); /* for each request, even if a fault answers it */
  bool (*allow)(struct request *request, struct reply *reply); /* false: it has answered */
  bool (*unknown)(struct request *request,
                  struct reply *reply);              /* an unknown path; true: it has answered */
  void (*headers)(struct reply *reply, long number); /* adds those that all its answers have */
  /* Answers with a recorded error; `detail` replaces the name in its text (NULL: the recorded one).
     false: no such error. With a NULL reply it only checks that. */
  bool (*recorded)(struct reply *reply, const char *name, const char *detail);
  const char *(*detail)(
    const struct request *request); /* for a recorded error that a fault sends */
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
