/*
** Answers: converts the result of an operation to Lua values.
*/
#include <stdio.h>
#include <stdlib.h>

#include "binding/bmwi.h"
#include "core/session.h"

static const bmwi_endpoint *endpoint_of(const bmwi_op *op) {
  return (const bmwi_endpoint *)op->exchange; /* its first member */
}

/* Pushes the type of the command that was sent: the first field of its form, which needs no
** escaping. */
static void push_type(lua_State *L, const bmwi_op *op) {
  const char *type = op->body.data + strlen(op->service->type_field) + 1;
  lua_pushlstring(L, type, strcspn(type, "&"));
}

/* A failed call. If the outcome of a command is unknown, an execution without an eventId is
** returned too, so that bmwi.wait can still follow the command by its type. */
static int fail_call(lua_State *L, const bmwi_op *op, const bmwi_failure *failure) {
  const bmwi_service *service = op->service;
  const char *own = op->kind == BMWI_SLEEP ? "waiting" : "log-in";
  const char *what = op->exchange == NULL ? own : op->exchange->name;
  int results = bmwi_fail(L, what, failure, service);
  if (failure->code != BMWI_UNKNOWN || service == NULL || op->exchange == NULL ||
      !endpoint_of(op)->starts_event)
    return results;
  lua_createtable(L, 0, 2);
  push_type(L, op);
  lua_setfield(L, -2, service->type_field);
  lua_pushboolean(L, 1);
  lua_setfield(L, -2, "lost");
  lua_setfield(L, -2, "execution");
  return results;
}

static int not_promised(lua_State *L, const bmwi_op *op, const char *text) {
  bmwi_failure failure;
  bmwi_failure_set(&failure, op->exchange->command ? BMWI_UNKNOWN : BMWI_JSON, text);
  failure.status = op->transfer.status;
  return fail_call(L, op, &failure);
}

static int no_member(lua_State *L, const bmwi_op *op, const char *member) {
  char text[96];
  snprintf(text, sizeof text, "the response has no member '%s'", member);
  return not_promised(L, op, text);
}

/* Records which server each car belongs to, from the vehicle list on top of the stack. */
static void note_routes(lua_State *L, bmwi_account *account) {
  if (account->session_count == 1) return;
  size_t count = lua_rawlen(L, -1);
  bmwi_route *routes = calloc(count + 1, sizeof *routes);
  if (routes == NULL) {
    luaL_error(L, "not enough memory"); /* raises */
    return;
  }
  free(account->routes);
  account->routes = routes; /* the account owns it before Lua is called again */
  account->route_count = 0;
  for (size_t i = 1; i <= count; i++) {
    lua_rawgeti(L, -1, (int)i);
    if (lua_istable(L, -1)) {
      size_t len = 0;
      lua_getfield(L, -1, "vin");
      lua_getfield(L, -2, account->service->region_member);
      const char *vin = lua_type(L, -2) == LUA_TSTRING ? lua_tolstring(L, -2, &len) : NULL;
      const char *mark = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
      bmwi_route *entry = &account->routes[account->route_count];
      entry->session = bmwi_service_region_of(account->service, mark);
      if (vin != NULL && entry->session >= 0 && bmwi_vin(entry->vin, vin, len))
        account->route_count++;
      lua_pop(L, 2);
    }
    lua_pop(L, 1);
  }
}

/* Keeps the event id on top of the stack, so that it can be redacted if a server repeats it. */
static void note_event(lua_State *L, bmwi_account *account) {
  lua_getfield(L, -1, account->service->event_member);
  if (lua_type(L, -1) == LUA_TSTRING) bmwi_account_event(account, lua_tostring(L, -1));
  lua_pop(L, 1);
}

/* Whether the execution on top of the stack is of another type than the command that was sent. */
static bool is_other_command(lua_State *L, const bmwi_op *op) {
  lua_getfield(L, -1, op->service->type_field);
  push_type(L, op);
  bool other = lua_type(L, -2) == LUA_TSTRING && !lua_rawequal(L, -2, -1);
  lua_pop(L, 2);
  return other;
}

static bool starts_array(const bmwi_buffer *body) {
  return body->data[strspn(body->data, " \t\r\n\xEF\xBB\xBF")] == '[';
}

static int deliver_json(lua_State *L, bmwi_op *op) {
  const bmwi_endpoint *endpoint = endpoint_of(op);
  bmwi_buffer *body = &op->transfer.body;
  if (body->len == 0) {
    if (endpoint->answer != BMWI_ANSWER_ANY) return not_promised(L, op, "the response is empty");
    lua_pushboolean(L, 1);
    return 1;
  }
  bool array = starts_array(body);
  bool decoded = bmwi_json_decode(L, body->data, body->len);
  bmwi_buffer_free(body);
  if (!decoded) return not_promised(L, op, "the response is not JSON");
  if (endpoint->answer == BMWI_ANSWER_ANY && lua_isnil(L, -1)) lua_pop(L, 1);
  if (!lua_istable(L, -1)) return not_promised(L, op, "the response is not an object");
  bool wants_array = endpoint->answer == BMWI_ANSWER_ARRAY;
  if (endpoint->envelope != NULL && !array) {
    lua_getfield(L, -1, endpoint->envelope);
    if (!lua_istable(L, -1)) return no_member(L, op, endpoint->envelope);
    array = bmwi_is_array(L, -1) && (wants_array || lua_rawlen(L, -1) > 0);
  }
  if (endpoint->answer != BMWI_ANSWER_ANY && array != wants_array)
    return not_promised(L, op,
                        wants_array ? "the response is not an array"
                                    : "the response is an array, not an object");
  if (op->account == NULL) return 1;
  if (endpoint->starts_event) {
    const char *member = op->account->service->event_member;
    lua_getfield(L, -1, member);
    if (lua_type(L, -1) != LUA_TSTRING) return no_member(L, op, member);
    lua_pop(L, 1);
    if (is_other_command(L, op))
      return not_promised(L, op, "the response is about another command");
  }
  if (endpoint->has_routes) note_routes(L, op->account);
  if (endpoint->has_event) note_event(L, op->account);
  return 1;
}

/* Servers other than BMW's send a blank line or an empty object where BMW sends nothing. */
static bool says_nothing(const bmwi_buffer *body) {
  char left[3] = "";
  size_t n = 0;
  for (size_t i = 0; i < body->len && n < 3; i++)
    if (memchr(" \t\r\n", body->data[i], 4) == NULL) left[n++] = body->data[i];
  return n == 0 || (n == 2 && memcmp(left, "{}", 2) == 0);
}

static int deliver_nothing(lua_State *L) {
  lua_pushboolean(L, 1);
  return 1;
}

static int deliver_answer(lua_State *L, bmwi_op *op) {
  const bmwi_buffer *body = &op->transfer.body;
  switch (endpoint_of(op)->answer) {
    case BMWI_ANSWER_PNG:
      if (body->len < 8 || memcmp(body->data, "\x89PNG\r\n\x1a\n", 8) != 0)
        return not_promised(L, op, "the response is not a PNG picture");
      lua_pushlstring(L, body->data, body->len);
      return 1;
    case BMWI_ANSWER_BYTES:
      lua_pushlstring(L, body->data != NULL ? body->data : "", body->len);
      return 1;
    case BMWI_ANSWER_NOTHING:
      return says_nothing(body) ? deliver_nothing(L)
                                : not_promised(L, op, "the response is not empty");
    default: return deliver_json(L, op);
  }
}

/* The feed is still alive: its waiter keeps it so, and closing it cancels the operation. There is
** none if it was delivered already, or another operation waits for it since. */
static int deliver_received(lua_State *L, bmwi_op *op) {
  bmwi_feed *feed = op->feed;
  if (feed == NULL) return luaL_error(L, "this call is over");
  bmwi_feed_leave(feed);
  return feed->face->hand_out(L, feed);
}

void bmwi_push_unknown(lua_State *L, const bmwi_op *op) {
  bmwi_failure failure;
  bmwi_failure_set(&failure, BMWI_UNKNOWN, "not enough memory to read the response");
  lua_createtable(L, 3, 0);
  int table = lua_gettop(L);
  fail_call(L, op, &failure);
  for (int i = 3; i > 0; i--) lua_rawseti(L, table, i);
  lua_pop(L, 1); /* the nil */
}

static void describe(lua_State *L, const bmwi_op *op, bmwi_failure *failure) {
  bmwi_failure_describe(L, op, failure);
  bool by_service = failure->own && failure->api_code[0] != '\0';
  if (by_service && op->account != NULL && op->exchange->metered) bmwi_session_end(op, failure);
}

static int deliver_failure(lua_State *L, bmwi_op *op) {
  bmwi_failure failure = *op->failure; /* a finalizer may close the feed, which replaces it */
  if (op->kind == BMWI_LOST) return luaL_error(L, "%s", failure.text);
  if (failure.code == BMWI_NO_MEMORY) return luaL_error(L, "not enough memory");
  if (op->kind == BMWI_RECEIVE) return bmwi_fail(L, "receive", &failure, NULL);
  if (op->kind == BMWI_CALL && !failure.login) describe(L, op, &failure);
  bmwi_hooks_resource(L, op);
  return fail_call(L, op, &failure);
}

int bmwi_deliver(lua_State *L, bmwi_op *op) {
  if (op->failure != NULL) return deliver_failure(L, op);
  switch (op->kind) {
    case BMWI_CALL: return deliver_answer(L, op);
    case BMWI_RECEIVE: return deliver_received(L, op);
    case BMWI_SLEEP: return 0;
    default: return deliver_nothing(L);
  }
}
