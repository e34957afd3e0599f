/*
** The device authorization grant (RFC 8628) with PKCE (RFC 7636): its forms, and the meaning of
** each response to a poll. No I/O, no clock of its own.
*/
#ifndef BMWI_DEVICE_H
#define BMWI_DEVICE_H

#include <stdbool.h>

#include "core/buffer.h"
#include "core/verdict.h"

#pragma GCC visibility push(hidden)

#define BMWI_DEVICE_LIFE 900.0 /* maximum lifetime of a code in seconds */

typedef struct bmwi_device_login {
  enum { BMWI_DEVICE_OFF, BMWI_DEVICE_CODE, BMWI_DEVICE_POLL } stage;
  char *code, *verifier; /* secrets */
  double interval;       /* seconds between polls */
  double ends;           /* monotonic: the code expires */
  double denied_until;   /* a denial is final from then on; 0: there was none */
  bool gateway_failed;   /* a gateway failed during a poll, which may have used up the code */
  /* All scopes together were refused: each is requested alone, to find out which one it is. */
  const char *alone;    /* this one, in the list; NULL: all together */
  const char *missing;  /* the one that was refused */
  int refused, granted; /* how many were */
  bmwi_failure refusal; /* of all together */
} bmwi_device_login;

/* Wipes everything. */
void bmwi_device_login_clear(bmwi_device_login *device);
/* Starts again: makes the verifier and the form that requests a code. False without memory or
** random bytes. */
bool bmwi_device_login_begin(bmwi_device_login *device, bmwi_buffer *form, const char *client_id,
                             const char *scope);
/* The request for a code failed, or a scope alone was granted (BMWI_OK; that code is not used).
** True if there is another scope to request: its form. Otherwise the failure says which
** scope is missing, if that is known. */
bool bmwi_device_login_probe(bmwi_device_login *device, bmwi_buffer *form, const char *client_id,
                             const char *scope, bmwi_failure *failure);
/* Stores a copy of the code. */
bool bmwi_device_login_take(bmwi_device_login *device, const char *code, double interval,
                            double lifetime, double now);
/* The form of a poll. */
bool bmwi_device_login_form(const bmwi_device_login *device, bmwi_buffer *form,
                            const char *client_id);
/* Whether to poll again after this failure. If not, the failure describes how the log-in ended. */
bool bmwi_device_login_again(bmwi_device_login *device, bmwi_failure *failure, double now);

/* The refresh token was refused. Services then describe an invalid request, which does not help the
** user, so the description is replaced. */
void bmwi_device_login_ended(bmwi_failure *failure);

#pragma GCC visibility pop

#endif
