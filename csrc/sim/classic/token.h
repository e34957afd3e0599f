/* OAuth: the password and the refresh grant, the tokens given out and when they end. */
#ifndef BMWI_SIM_CLASSIC_TOKEN_H
#define BMWI_SIM_CLASSIC_TOKEN_H

#include "../http.h"

void token_answer(struct request *request, struct reply *reply);
bool token_valid(const char *authorization);
void token_reset(void);
const char *token_control(const json_t *options);

#endif
