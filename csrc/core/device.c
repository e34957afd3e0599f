/*
** Device authorization: see device.h.
*/
#include "core/device.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>
#if defined(__APPLE__)
#include <sys/random.h>
#endif

#include "core/base64.h"
#include "core/sha256.h"

#define VERIFIER 43          /* characters for 32 bytes in base64url; the minimum of RFC 7636 */
#define SLOW_DOWN 5          /* seconds, RFC 8628 section 3.5 */
#define DEFAULT_INTERVAL 5.0 /* seconds, RFC 8628 section 3.2 */
#define LONGEST_INTERVAL 60.0
#define DENIALS 12 /* polls: it can take that long until a grant is known on all servers */

void bmwi_device_login_clear(bmwi_device_login *device) {
  bmwi_drop(&device->code);
  bmwi_drop(&device->verifier);
  memset(device, 0, sizeof *device);
}

/* The form that requests a code, with a new verifier. */
static bool make_form(bmwi_device_login *device, bmwi_buffer *form, const char *client_id,
                      const char *scope) {
  unsigned char bytes[BMWI_SHA256_SIZE];
  char text[VERIFIER + 5];
  if (getentropy(bytes, sizeof bytes) != 0) return false;
  text[bmwi_base64url_encode(text, bytes, sizeof bytes)] = '\0';
  bmwi_drop(&device->verifier);
  device->verifier = bmwi_copy(text);
  bmwi_sha256(bytes, text, VERIFIER);
  text[bmwi_base64url_encode(text, bytes, sizeof bytes)] = '\0'; /* now the challenge */
  return device->verifier != NULL && bmwi_buffer_field(form, "client_id", client_id) &&
         bmwi_buffer_field(form, "response_type", "device_code") &&
         bmwi_buffer_field(form, "scope", scope) &&
         bmwi_buffer_field(form, "code_challenge", text) &&
         bmwi_buffer_field(form, "code_challenge_method", "S256");
}

bool bmwi_device_login_begin(bmwi_device_login *device, bmwi_buffer *form, const char *client_id,
                             const char *scope) {
  bmwi_device_login_clear(device);
  device->stage = BMWI_DEVICE_CODE;
  return make_form(device, form, client_id, scope);
}

/* The first scope from here on that belongs to a service: those without a colon belong to the
** log-in itself. */
static const char *service_scope(const char *at) {
  while (*at != '\0') {
    size_t n = strcspn(at, " ");
    if (memchr(at, ':', n) != NULL) return at;
    at += n + strspn(at + n, " ");
  }
  return NULL;
}

static bool refuses_scope(const bmwi_failure *failure) {
  return failure->status == 400 && strcmp(failure->error, "invalid_request") == 0;
}

bool bmwi_device_login_probe(bmwi_device_login *device, bmwi_buffer *form, const char *client_id,
                             const char *scope, bmwi_failure *failure) {
  char text[160];
  bool refused = refuses_scope(failure);
  if (device->alone == NULL) {
    if (!refused) return false;
    device->refusal = *failure;
    device->alone = service_scope(scope);
  } else if (refused || failure->code == BMWI_OK) {
    if (refused) device->missing = device->alone;
    if (refused) device->refused++;
    else device->granted++;
    device->alone = service_scope(device->alone + strcspn(device->alone, " "));
  } else { /* not BMW's answer: which one it is stays unknown */
    device->granted = 0;
    device->alone = NULL;
  }
  if (device->alone != NULL) {
    int length = (int)strcspn(device->alone, " ");
    bmwi_buffer_clear(form); /* not before: the request may be repeated as it was */
    if (snprintf(text, sizeof text, "openid %.*s", length, device->alone) < (int)sizeof text &&
        make_form(device, form, client_id, text))
      return true;
  }
  *failure = device->refusal;
  if (device->refused != 1 || device->granted == 0) return false;
  snprintf(failure->text, sizeof failure->text, "the client has no subscription for %.*s",
           (int)strcspn(device->missing, " "), device->missing);
  failure->description[0] = '\0';
  return false;
}

bool bmwi_device_login_take(bmwi_device_login *device, const char *code, double interval,
                            double lifetime, double now) {
  bmwi_drop(&device->code);
  device->code = bmwi_copy(code);
  device->interval = interval > 0 ? interval : DEFAULT_INTERVAL;
  if (device->interval > LONGEST_INTERVAL) device->interval = LONGEST_INTERVAL;
  device->ends = now + (lifetime > 0 && lifetime < BMWI_DEVICE_LIFE ? lifetime : BMWI_DEVICE_LIFE);
  device->stage = BMWI_DEVICE_POLL;
  return device->code != NULL;
}

bool bmwi_device_login_form(const bmwi_device_login *device, bmwi_buffer *form,
                            const char *client_id) {
  return bmwi_buffer_field(form, "client_id", client_id) &&
         bmwi_buffer_field(form, "grant_type", "urn:ietf:params:oauth:grant-type:device_code") &&
         bmwi_buffer_field(form, "device_code", device->code) &&
         bmwi_buffer_field(form, "code_verifier", device->verifier);
}

/* The log-in has failed permanently: sets the reason. */
static bool give_up(bmwi_failure *failure, const char *text) {
  bmwi_cut(failure->text, sizeof failure->text, text);
  failure->code = BMWI_AUTH;
  failure->retryable = false;
  return false;
}

bool bmwi_device_login_again(bmwi_device_login *device, bmwi_failure *failure, double now) {
  const char *error = failure->error;
  bool expired = now >= device->ends || strcmp(error, "expired_token") == 0;
  bool answered = failure->status != 0;
  if (!answered && failure->code != BMWI_NETWORK && failure->code != BMWI_TIMEOUT) return false;
  if (expired) return give_up(failure, "the code expired before it was confirmed");
  if (strcmp(error, "authorization_pending") == 0) return true;
  if (strcmp(error, "slow_down") == 0) {
    device->interval += SLOW_DOWN;
    return true;
  }
  if (strcmp(error, "access_denied") == 0) {
    if (device->gateway_failed)
      return give_up(failure, "the service failed during the confirmation, which used up the code");
    if (device->denied_until <= 0) device->denied_until = now + DENIALS * device->interval;
    return now < device->denied_until || give_up(failure, "the log-in was denied");
  }
  if (error[0] == '\0' && (!answered || failure->status >= 500)) {
    device->gateway_failed = device->gateway_failed || failure->status >= 500;
    return true;
  }
  return give_up(failure, "the code was refused");
}

void bmwi_device_login_ended(bmwi_failure *failure) {
  const char *error = failure->error;
  if (strcmp(error, "invalid_request") != 0 && strcmp(error, "invalid_grant") != 0) return;
  give_up(failure, "the log-in has ended");
  failure->description[0] = '\0';
}
