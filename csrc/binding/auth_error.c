/*
** What processes share through a store besides the token: a refused log-in, and the
** resources that refuse even new tokens.
*/
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "binding/bmwi.h"
#include "core/clock.h"

#define MAX_PAUSE 90000.0 /* seconds */

void bmwi_auth_error_push(lua_State *L, const bmwi_session *session) {
  const bmwi_failure *error = &session->auth_error;
  double left = session->auth_error_until - bmwi_now();
  bool closed = session->request.account == NULL;
  if (closed || error->code == BMWI_OK || !session->auth_error_shared) {
    lua_pushnil(L);
    return;
  }
  lua_createtable(L, 0, 8);
  lua_pushstring(L, bmwi_code_name(error->code));
  lua_setfield(L, -2, "code");
  lua_pushstring(L, error->text);
  lua_setfield(L, -2, "text");
  lua_pushstring(L, error->description);
  lua_setfield(L, -2, "description");
  lua_pushinteger(L, error->status);
  lua_setfield(L, -2, "status");
  lua_pushinteger(L, (lua_Integer)bmwi_session_trace(session));
  lua_setfield(L, -2, "trace");
  bmwi_push_whole(L, (double)(long long)error->refused_at);
  lua_setfield(L, -2, "at");
  if (session->by_resource) { /* the access token is useless, too */
    lua_pushboolean(L, true);
    lua_setfield(L, -2, "token_refused");
  }
  if (!isfinite(left)) return;
  bmwi_push_whole(L, (double)(long long)(bmwi_wall() + left) + 1);
  lua_setfield(L, -2, "ends");
}

static double number_member(lua_State *L, const char *name, double absent) {
  lua_getfield(L, -1, name);
  double value = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : absent;
  lua_pop(L, 1);
  return value;
}

static void text_member(lua_State *L, const char *name, char *out, size_t room) {
  lua_getfield(L, -1, name);
  bmwi_cut(out, room, lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "");
  bmwi_sanitize(out);
  lua_pop(L, 1);
}

bool bmwi_auth_error_recall(lua_State *L, bmwi_session *session) {
  if (!lua_istable(L, -1) || session->forced || session->request.account == NULL) return false;
  double left = number_member(L, "ends", HUGE_VAL) - bmwi_wall();
  bool far = isfinite(left) && left > MAX_PAUSE; /* a clock was wrong */
  if (!(left > 0) || far || number_member(L, "trace", -1) != bmwi_session_trace(session))
    return false;
  bmwi_failure failure;
  char code[32];
  text_member(L, "code", code, sizeof code);
  bmwi_failure_set(&failure, bmwi_code_named(code), "");
  text_member(L, "text", failure.text, sizeof failure.text);
  text_member(L, "description", failure.description, sizeof failure.description);
  failure.retryable = isfinite(left);
  double status = number_member(L, "status", 0), at = number_member(L, "at", 1);
  failure.status = status > 0 && status <= 999 ? (long)status : 0;
  double now = bmwi_wall(); /* fmin() would need libm, which each start would then search */
  failure.refused_at = at < 1 ? 1 : at < now ? at : now;
  return bmwi_session_recall(session, &failure, left);
}

void bmwi_resources_push(lua_State *L, const bmwi_session *session) {
  if (session->resource_count == 0) return;
  lua_createtable(L, (int)session->resource_count, 0);
  for (size_t i = 0; i < session->resource_count; i++) {
    char text[17];
    snprintf(text, sizeof text, "%016llx", (unsigned long long)session->resources[i]);
    lua_pushstring(L, text);
    lua_rawseti(L, -2, (int)i + 1);
  }
  lua_setfield(L, -2, "refused_by");
}

void bmwi_resources_read(lua_State *L, int token, bmwi_session *session) {
  lua_getfield(L, token, "refused_by");
  size_t count = lua_istable(L, -1) ? lua_rawlen(L, -1) : 0;
  for (size_t i = 1; i <= count; i++) {
    lua_rawgeti(L, -1, (int)i);
    const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
    if (strlen(text) == 16) bmwi_session_note(session, strtoull(text, NULL, 16));
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}
