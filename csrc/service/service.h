/*
** What a service is: a value. All that is true of one service only stands as data in a file of its
** own (classic.c): its endpoints, its regions, and the methods that a car has there with what
** their arguments must look like. Nothing here knows Lua or libcurl.
*/
#ifndef BMWI_SERVICE_H
#define BMWI_SERVICE_H

#include "core/state.h"
#include "core/word.h"

#define BMWI_VERSION "0.1.0"

#pragma GCC visibility push(hidden)

typedef struct bmwi_service bmwi_service;

/* ---- what an argument must look like ----------------------------------------------------- */

typedef enum bmwi_type {
  BMWI_SWITCH,  /* true or false */
  BMWI_LINE,    /* a text */
  BMWI_WORD,    /* capitals, digits and '_' */
  BMWI_CLOCK,   /* "HH:MM" */
  BMWI_REAL,    /* a number from least to most */
  BMWI_COUNT,   /* a whole number from least to most */
  BMWI_WORDS,   /* an array of words out of `words` */
  BMWI_LINES,   /* an array of texts */
  BMWI_PART,    /* a table with members of its own */
  BMWI_DOCUMENT /* the same, sent as JSON in a pair; a text is passed on */
} bmwi_type;

typedef struct bmwi_schema bmwi_schema;

typedef struct bmwi_member {
  const char *name;
  bmwi_type type;
  double least, most;       /* of a number; equal: any */
  const char *const *words; /* ended by NULL */
  const bmwi_schema *part;
  const char *needed; /* what is missing where it is absent; NULL: it may be */
  const char *wire;   /* its name in a query or form where that is another */
} bmwi_member;

/* Rules between members. */
typedef enum bmwi_rule_kind {
  BMWI_TOGETHER, /* both or none */
  BMWI_EITHER,   /* at least one */
  BMWI_ONE_OF,   /* exactly one */
  BMWI_WITHOUT   /* not `a` */
} bmwi_rule_kind;

typedef struct bmwi_rule {
  bmwi_rule_kind kind;
  const char *a, *b;
  const char *message;
} bmwi_rule;

struct bmwi_schema {
  const bmwi_member *members; /* ended by a row without a name */
  const bmwi_rule *rules;     /* ended by a row without a message; NULL: none */
  bool open;                  /* members that are not listed are passed on */
};

/* ---- endpoints ------------------------------------------------------------------------------ */

/* What a good answer is. */
typedef enum bmwi_answer {
  BMWI_ANSWER_OBJECT, /* an object, inside the envelope if the row has one */
  BMWI_ANSWER_ARRAY,  /* an array, inside the envelope or bare */
  BMWI_ANSWER_ANY,    /* any JSON object or array, or nothing */
  BMWI_ANSWER_PNG,    /* bytes */
  BMWI_ANSWER_BYTES,  /* whatever they are */
  BMWI_ANSWER_NOTHING /* no body */
} bmwi_answer;

typedef struct bmwi_endpoint {
  bmwi_exchange exchange; /* first: operations know only this */
  bool second_host;       /* it is not on the server of the region */
  const char *path;       /* "{vin}" stands for the car, "{id}" for a thing; NULL: the caller's */
  const char *envelope;   /* the member that holds the answer, or NULL */
  bmwi_answer answer;
  bool starts_event; /* a command whose answer must have an event's id */
  bool has_event;    /* the answer may have one */
} bmwi_endpoint;

typedef struct bmwi_region {
  const char *name; /* as in the option `region` and in bmwi.regions */
  const char *mark; /* as in the list of cars */
  const char *url;
} bmwi_region;

/* ---- the methods of a car ------------------------------------------------------------------ */

/* How the table argument of a method travels. */
typedef enum bmwi_carrier {
  BMWI_CARRIED_NOT, /* there is none */
  BMWI_AS_PAIRS,    /* each member in the query of a GET, in the form of a POST */
  BMWI_AS_DOCUMENT  /* as JSON in one field of the form */
} bmwi_carrier;

typedef struct bmwi_method {
  const char *name; /* car:NAME */
  const bmwi_endpoint *endpoint;
  bool typed; /* the request has a type: `type`, or else the first argument */
  const char *type;
  bool kept_secret; /* the next argument, a text, is not sent, but kept out of messages */
  bmwi_carrier carrier;
  bool optional;       /* the table may be left out */
  const char *subject; /* names the table in messages */
  const bmwi_schema *schema;
  const char *field; /* of a document; NULL: an option of the client names it */
  const char *root;  /* the member that a document is put into; NULL: none */
  bool position;     /* takes the client's position, if it has one */
} bmwi_method;

/* ---- options of bmwi.new --------------------------------------------------------------------- */

typedef enum bmwi_option_type {
  BMWI_OPTION_TEXT,
  BMWI_OPTION_CHOICE, /* one of the words in `words` */
  BMWI_OPTION_ORIGIN, /* an URL without a path */
  BMWI_OPTION_URL,    /* with one */
  BMWI_OPTION_BROKER, /* the address of an MQTT broker */
  BMWI_OPTION_PATH,
  BMWI_OPTION_NUMBER, /* kept as a double */
  BMWI_OPTION_WHOLE,  /* kept as a long */
  BMWI_OPTION_TABLE,  /* read by a function of its own, as all below */
  BMWI_OPTION_OBJECT, /* a table that may inherit its methods */
  BMWI_OPTION_FUNCTION
} bmwi_option_type;

typedef struct bmwi_option {
  const char *name;
  bmwi_option_type type;
  size_t place;                 /* in the account */
  double standard, least, most; /* of a number */
  const char *text;             /* what a text is where it was not given; NULL: absent */
  const char *words;            /* of a choice: 'a', 'b' or 'c' */
  size_t secret;   /* a text that is blotted out of messages where it has so many bytes; 0: none */
  bool lower_case; /* a text is kept in lower case */
  bool any_bytes;  /* control characters may be part of the text: it goes into a form only */
} bmwi_option;

/* ---- failures -------------------------------------------------------------------------------- */

/* What can be done about a failure. */
typedef struct bmwi_advice {
  const char *part;   /* of the server's words or of ours; NULL: whatever they are */
  bmwi_code only;     /* with this code; BMWI_OK: any */
  const char *advice; /* NULL ends the rows */
} bmwi_advice;

#define BMWI_KEPT(member) offsetof(bmwi_account, member)

struct bmwi_service {
  const char *name;
  const char *client_type, *car_type; /* the metatables of its clients and cars */
  const bmwi_option *options;         /* beside the common ones; ended by a row without a name */
  const bmwi_region *regions;         /* at most BMWI_SESSIONS; ended by a row without a name */
  const char *region_member;          /* of a car in the list: the mark of its region */
  const char *subject_member;         /* of a token's answer: whose it is; NULL: none */
  const char *code_member;            /* of an error body: the service's own code; NULL: none */
  const char *event_member;      /* of an answer: the event's id, which is kept out of messages */
  const char *position[2];       /* the pairs of a query that hold latitude and longitude */
  const bmwi_endpoint *vehicles; /* its answer says which region serves which car; or NULL */
  bool login_by_code;         /* RFC 8628 below `login_url`; else a token path below the server */
  const char *token_path;     /* on the server of the region */
  const char *second_host;    /* of endpoints that are not served by the region */
  const char *secret_field;   /* of a form, with its '=': what must not come out again */
  const char *type_field;     /* the pair that holds the type of a request */
  const bmwi_method *methods; /* ended by a row without a name */
  /* What takes more than one request is written in Lua: a module that returns {client =, car =},
  ** tables of methods, and the endpoints that they call. */
  const char *module;
  const char *const *client_methods, *const *car_methods; /* its names, ended by NULL */
  const bmwi_endpoint *endpoints;                         /* ended by a row without a name */
  const char *lacks;     /* what to say of a method that only another service has */
  const char *no_server; /* what to say where neither an address nor a region was given */
  /* What is wrong with the options of a log-in, or NULL. `token`: there is a saved one. */
  const char *(*check_login)(const bmwi_account *account, bool token);
  /* Reads the service's own code out of a failure's description; of a call it may decide what the
  ** failure is. */
  void (*explain)(bmwi_failure *failure, bool call);
  const bmwi_advice *advice; /* the first row that fits counts */
};

/* For paths that have no method of their own: any GET, any POST. */
extern const bmwi_endpoint bmwi_free_get, bmwi_free_post;

/* Appends the endpoint's path with the VIN, or the id, in its place. */
bool bmwi_endpoint_path(bmwi_buffer *b, const bmwi_endpoint *endpoint, const char *value);
/* The service of that name, or NULL. */
const bmwi_service *bmwi_service_named(const char *name);
/* The endpoint of that name which a service's Lua module may call, or NULL. */
const bmwi_endpoint *bmwi_service_endpoint(const bmwi_service *service, const char *name);
/* The rows of all its options: the common ones, then its own; the last one has no name. */
const bmwi_option *bmwi_service_option(const bmwi_service *service, size_t i);
/* The index of a region by its name, or by the mark that a car of it has; -1 if there is none. */
int bmwi_service_region(const bmwi_service *service, const char *name);
int bmwi_service_region_of(const bmwi_service *service, const char *mark);

extern const bmwi_service bmwi_classic, bmwi_cardata;
/* All of them, ended by NULL; the first one is meant where none is named. */
extern const bmwi_service *const bmwi_services[];

#pragma GCC visibility pop

#endif
