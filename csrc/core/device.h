/*
** The device authorization grant (RFC 8628) with PKCE (RFC 7636): its forms, and what each answer
** to a poll means. No I/O, no clock of its own.
*/
#ifndef BMWI_DEVICE_H
#define BMWI_DEVICE_H

#include <stdbool.h>

#include "core/buffer.h"
#include "core/verdict.h"

#pragma GCC visibility push(hidden)

#define BMWI_DEVICE_LIFE 900.0 /* seconds that a code lives, at most */

typedef struct bmwi_device_login {
  enum { BMWI_DEVICE_OFF, BMWI_DEVICE_CODE, BMWI_DEVICE_POLL } stage;
  char *code, *verifier; /* secrets */
  double interval;       /* seconds between polls */
  double ends;           /* monotonic: the code expires */
  double denied_until;   /* a denial counts from then on; 0: there was none */
  bool gateway_failed;   /* a server in between broke down over a poll, which may use the code up */
} bmwi_device_login;

/* Wipes all. */
void bmwi_device_login_clear(bmwi_device_login *device);
/* Begins anew: makes the verifier, and the form that asks for a code. False without memory or
** random bytes. */
bool bmwi_device_login_begin(bmwi_device_login *device, bmwi_buffer *form, const char *client_id,
                             const char *scope);
/* Takes over the code; `code` is copied. */
bool bmwi_device_login_take(bmwi_device_login *device, const char *code, double interval,
                            double lifetime, double now);
/* The form of a poll. */
bool bmwi_device_login_form(const bmwi_device_login *device, bmwi_buffer *form,
                            const char *client_id);
/* Whether to poll again after this failure; else it says what has become of the log-in. */
bool bmwi_device_login_again(bmwi_device_login *device, bmwi_failure *failure, double now);

/* The refresh token was refused. Services say then what they say of a wrong request, which is of no
** use to whoever reads it. */
void bmwi_device_login_ended(bmwi_failure *failure);

#pragma GCC visibility pop

#endif
