/* The tokens given out, how they are renewed, and when they end. */
#ifndef BMWI_SIM_CARDATA_TOKEN_H
#define BMWI_SIM_CARDATA_TOKEN_H

#include "../http.h"

/* Only this client id exists, in this spelling. */
extern const char client_id[];
extern const char gcid[];

/* Whether the client may have all these scopes; what is left out gives no access to the service. */
bool scope_good(const char *scope);

/* An id_token that was given out; the stream's password. */
struct id_token {
  unsigned char hash[32];
  double ends;    /* by world_now */
  bool streaming; /* its scope has the stream in it */
  bool dynamic;   /* it has dynamic scopes */
};
const struct id_token *id_token_find(const char *text, size_t length); /* NULL: none of ours */

void token_issue(struct reply *reply, const char *scope);
void token_refresh(const struct request *request, struct reply *reply);
/* What is wrong with the access token of a request, by the name of the error; NULL: nothing. */
const char *token_problem(const struct request *request);
void cardata_token_reset(void);
const char *cardata_token_control(const json_t *options);

#endif
