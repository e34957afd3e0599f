/* OAuth: the password grant, the refresh grant, and the tokens issued. */
#ifndef BMWI_SIM_CLASSIC_TOKEN_H
#define BMWI_SIM_CLASSIC_TOKEN_H

#include "../http.h"

void token_answer(struct request *request, struct reply *reply);
bool token_valid(const char *authorization);
void token_reset(void);
const char *token_control(const json_t *options);

#endif
