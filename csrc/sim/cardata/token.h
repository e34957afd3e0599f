/* The tokens: issuing, refreshing, checking. */
#ifndef BMWI_SIM_CARDATA_TOKEN_H
#define BMWI_SIM_CARDATA_TOKEN_H

#include "../http.h"

/* The only client id there is; case-sensitive. */
extern const char client_id[];
extern const char gcid[];

/* Whether the client may have all these scopes. */
bool scope_good(const char *scope);

/* An issued id_token, which is the password for the stream. */
struct id_token {
  unsigned char hash[32];
  double ends;    /* by world_now */
  bool streaming; /* its scope includes the stream */
  bool dynamic;   /* it has dynamic scopes */
};
const struct id_token *id_token_find(const char *text, size_t length); /* NULL: never issued */

void token_issue(struct reply *reply, const char *scope);
void token_refresh(const struct request *request, struct reply *reply);
/* The name of the error for the request's access token; NULL: it is valid. */
const char *token_problem(const struct request *request);
void cardata_token_reset(void);
const char *cardata_token_control(const json_t *options);

#endif
