/* The log-in with a code (RFC 8628 with PKCE), and the page where the user allows it. */
#ifndef BMWI_SIM_CARDATA_LOGIN_H
#define BMWI_SIM_CARDATA_LOGIN_H

#include "../http.h"

void login_code(struct request *request, struct reply *reply);
void login_token(struct request *request, struct reply *reply);
bool login_mine(const struct request *request); /* the classic service has the same path */
void login_page(struct request *request, struct reply *reply);
void login_click(struct request *request, struct reply *reply);

void login_reset(void);
json_t *login_report(void);
const char *login_control(const json_t *options);

#endif
