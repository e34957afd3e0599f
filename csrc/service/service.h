/*
** The description of a service. Everything specific to one service is data in its own file (such as
** classic.c): its endpoints, its regions, and a car's methods with their arguments. Independent of
** Lua and libcurl.
*/
#ifndef BMWI_SERVICE_H
#define BMWI_SERVICE_H

#include "core/state.h"
#include "core/word.h"

#define BMWI_VERSION "0.1.0"

#pragma GCC visibility push(hidden)

typedef struct bmwi_service bmwi_service;

/* ---- arguments ------------------------------------------------------------------------------- */

typedef enum bmwi_type {
  BMWI_SWITCH,  /* true or false */
  BMWI_LINE,    /* a string */
  BMWI_WORD,    /* capital letters, digits and '_' */
  BMWI_CLOCK,   /* "HH:MM" */
  BMWI_REAL,    /* a number from least to most */
  BMWI_COUNT,   /* a whole number from least to most */
  BMWI_WORDS,   /* an array of words from `words` */
  BMWI_LINES,   /* an array of strings */
  BMWI_PART,    /* a table with its own members */
  BMWI_DOCUMENT /* the same, sent as JSON in a field; a string is passed on */
} bmwi_type;

typedef struct bmwi_schema bmwi_schema;

typedef struct bmwi_member {
  const char *name;
  bmwi_type type;
  double least, most;       /* for a number; equal: no limits */
  const char *const *words; /* terminated by NULL */
  const bmwi_schema *part;
  const char *needed; /* the error if it is missing; NULL: optional */
  const char *wire;   /* its name in a query or form if different */
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
  const bmwi_member *members; /* terminated by a row without a name */
  const bmwi_rule *rules;     /* terminated by a row without a message; NULL: none */
  bool open;                  /* unlisted members are passed on */
};

/* ---- endpoints ------------------------------------------------------------------------------ */

/* The expected content of a response. */
typedef enum bmwi_answer {
  BMWI_ANSWER_OBJECT, /* an object, inside the envelope if the row has one */
  BMWI_ANSWER_ARRAY,  /* an array, inside the envelope or bare */
  BMWI_ANSWER_ANY,    /* any JSON object or array, or an empty body */
  BMWI_ANSWER_PNG,    /* bytes */
  BMWI_ANSWER_BYTES,  /* any bytes */
  BMWI_ANSWER_NOTHING /* no body */
} bmwi_answer;

typedef struct bmwi_endpoint {
  bmwi_exchange exchange; /* must be first: operations only know this part */
  bool second_host;       /* it is not on the region's server */
  const char *path;       /* with "{vin}" and "{id}" as placeholders; NULL: given by the caller */
  const char *envelope;   /* the member that holds the result, or NULL */
  bmwi_answer answer;
  bool starts_event; /* a command whose response must contain an event id */
  bool has_event;    /* the response may contain an event id */
  bool has_routes;   /* the response says which region serves each car */
} bmwi_endpoint;

typedef struct bmwi_region {
  const char *name; /* as in the option `region` and bmwi.regions */
  const char *mark; /* as in the vehicle list */
  const char *url;
} bmwi_region;

/* ---- the methods of a car ------------------------------------------------------------------ */

/* How a method's table argument is sent. */
typedef enum bmwi_carrier {
  BMWI_CARRIED_NOT, /* there is none */
  BMWI_AS_PAIRS,    /* each member in a GET's query or a POST's form */
  BMWI_AS_DOCUMENT  /* as JSON in one field of the form */
} bmwi_carrier;

typedef struct bmwi_method {
  const char *name; /* car:NAME */
  const bmwi_endpoint *endpoint;
  bool typed; /* the request has a type: `type`, or the first argument */
  const char *type;
  bool kept_secret; /* the next argument, a string, is not sent, but redacted from messages */
  bmwi_carrier carrier;
  bool optional;       /* the table is optional */
  const char *subject; /* the table's name in messages */
  const bmwi_schema *schema;
  const char *field; /* for a document; NULL: named by a client option */
  const char *root;  /* the member that wraps a document; NULL: none */
  bool position;     /* sends the client's position, if it has one */
} bmwi_method;

/* ---- options of bmwi.new --------------------------------------------------------------------- */

typedef enum bmwi_option_type {
  BMWI_OPTION_TEXT,
  BMWI_OPTION_CHOICE, /* one of the words in `words` */
  BMWI_OPTION_ORIGIN, /* a URL without a path */
  BMWI_OPTION_URL,    /* a URL with a path */
  BMWI_OPTION_BROKER, /* the address of an MQTT broker */
  BMWI_OPTION_PATH,
  BMWI_OPTION_NUMBER, /* stored as a double */
  BMWI_OPTION_WHOLE,  /* stored as a long */
  BMWI_OPTION_TABLE,  /* read by a function of its own, like all below */
  BMWI_OPTION_OBJECT, /* a table that may inherit its methods */
  BMWI_OPTION_FUNCTION
} bmwi_option_type;

typedef struct bmwi_option {
  const char *name;
  bmwi_option_type type;
  size_t place;                 /* offset in the account */
  double standard, least, most; /* for a number */
  const char *text;             /* a string's default; NULL: none */
  const char *words;            /* for a choice: 'a', 'b' or 'c' */
  size_t secret;   /* a string of at least this length is redacted from messages; 0: not secret */
  bool lower_case; /* a string is converted to lower case */
  bool any_bytes;  /* the text may contain control characters: it is only sent in a form */
} bmwi_option;

/* ---- failures -------------------------------------------------------------------------------- */

/* A hint for a failure. */
typedef struct bmwi_advice {
  const char *part;   /* substring of the server's message or ours; NULL: any */
  bmwi_code only;     /* for this code only; BMWI_OK: any */
  const char *advice; /* NULL terminates the rows */
} bmwi_advice;

#define BMWI_KEPT(member) offsetof(bmwi_account, member)

struct bmwi_service {
  const char *name;
  const char *client_type, *car_type; /* the metatables of its clients and cars */
  const bmwi_option *options;    /* besides the common ones; terminated by a row without a name */
  const bmwi_region *regions;    /* at most BMWI_SESSIONS; terminated by a row without a name */
  const char *region_member;     /* of the vehicle list: a car's region mark */
  const char *subject_member;    /* of a token response: identifies the user; NULL: none */
  const char *code_member;       /* of an error body: the service's error code; NULL: none */
  const char *event_member;      /* the member with the event id, which is redacted from messages */
  const char *position[2];       /* the query parameters for latitude and longitude */
  const bmwi_endpoint *vehicles; /* client:vehicles(), unless the module has it; or NULL */
  bool login_by_code;            /* RFC 8628 below `login_url`; else a token path on the server */
  const char *token_path;        /* on the region's server */
  const char *second_host;       /* for endpoints on another host than the region's */
  const char *secret_field;      /* a form field, with its '=', that must be redacted */
  const char *type_field;        /* the field that holds a request's type */
  const bmwi_method *methods;    /* terminated by a row without a name */
  const char *const *arrays;     /* members that are arrays even when empty; or NULL */
  /* Whatever takes more than one request is written in Lua: a module that returns {client =, car
  ** =}, tables of methods, and the endpoints that they call. */
  const char *module;
  const char *const *client_methods, *const *car_methods; /* its methods, terminated by NULL */
  const bmwi_endpoint *endpoints;                         /* terminated by a row without a name */
  const char *lacks;     /* the message for a method that only another service has */
  const char *no_server; /* the error if neither an address nor a region is given */
  /* What is wrong with the log-in options, or NULL. `token`: there is a saved token. */
  const char *(*check_login)(const bmwi_account *account, bool token);
  /* Extracts the service's error code from a failure's description; for a call it may also change
  ** what kind of failure it is. */
  void (*explain)(bmwi_failure *failure, bool call);
  const bmwi_advice *advice; /* the first matching row is used */
};

/* For paths without a method of their own: any GET, any POST. */
extern const bmwi_endpoint bmwi_free_get, bmwi_free_post;

/* Appends the endpoint's path with the VIN or the id inserted. */
bool bmwi_endpoint_path(bmwi_buffer *b, const bmwi_endpoint *endpoint, const char *value);
/* The service with this name, or NULL. */
const bmwi_service *bmwi_service_named(const char *name);
/* Whether a service has an array under this name: in Lua [] and {} are the same table. */
bool bmwi_service_array(const char *name);
/* The endpoint with this name if a service's Lua module may call it, or NULL. */
const bmwi_endpoint *bmwi_service_endpoint(const bmwi_service *service, const char *name);
/* All of its options: the common ones, then its own, terminated by a row without a name. */
const bmwi_option *bmwi_service_option(const bmwi_service *service, size_t i);
/* The index of a region by its name or by a car's region mark; -1 if there is none. */
int bmwi_service_region(const bmwi_service *service, const char *name);
int bmwi_service_region_of(const bmwi_service *service, const char *mark);

extern const bmwi_service bmwi_classic, bmwi_cardata;
/* All services, terminated by NULL; the first one is the default. */
extern const bmwi_service *const bmwi_services[];

#pragma GCC visibility pop

#endif
