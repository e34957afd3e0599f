/*
** Requests: makes the operation of an endpoint, with its URL, query and form.
*/
#include "binding/bmwi.h"

#define CLOSED "attempt to use a closed client"
#define USUAL_URL 120 /* bytes: its buffer grows once */

bmwi_client *bmwi_client_get(lua_State *L, int index) {
  for (const bmwi_service *const *p = bmwi_services; *p != NULL; p++) {
    bmwi_client *client = luaL_testudata(L, index, (*p)->client_type);
    if (client != NULL) return client;
  }
  return luaL_checkudata(L, index, "bmwi.client"); /* raises */
}

bmwi_client *bmwi_client_check(lua_State *L, int index) {
  bmwi_client *client = bmwi_client_get(L, index);
  if (client->account.closed) luaL_error(L, CLOSED);
  return client;
}

static void need(lua_State *L, bool ok) {
  if (!ok) luaL_error(L, "the request is too large");
}

static bmwi_session *session_of(bmwi_account *account, const char *vin) {
  for (size_t i = 0; vin != NULL && i < account->route_count; i++)
    if (strcmp(account->routes[i].vin, vin) == 0)
      return &account->sessions[account->routes[i].session];
  return &account->sessions[account->home];
}

bmwi_op *bmwi_client_op(lua_State *L, bmwi_client *client, const bmwi_endpoint *endpoint,
                        const char *vin) {
  bmwi_account *account = &client->account;
  bmwi_session *session = session_of(account, vin);
  bmwi_op *op = bmwi_loop_op(L, BMWI_CALL);
  if (account->closed) luaL_error(L, CLOSED); /* a finalizer may have just closed it */
  bmwi_op_join(op, account, session, &endpoint->exchange);
  const char *server = endpoint->second_host ? account->second_url : session->base_url;
  need(L, bmwi_buffer_reserve(&op->url, USUAL_URL) && bmwi_buffer_text(&op->url, server));
  if (endpoint->path != NULL) need(L, bmwi_endpoint_path(&op->url, endpoint, vin));
  return op;
}

void bmwi_client_path(lua_State *L, bmwi_op *op, const char *path) {
  need(L, bmwi_buffer_text(&op->url, path));
}

void bmwi_client_query(lua_State *L, bmwi_op *op, const char *name, const char *value, size_t len) {
  bool first = strchr(op->url.data, '?') == NULL;
  need(L, bmwi_buffer_add(&op->url, first ? "?" : "&", 1) &&
            bmwi_buffer_pair(&op->url, name, value, len, false));
}

void bmwi_client_form(lua_State *L, bmwi_op *op, const char *name, const char *value, size_t len) {
  need(L, bmwi_buffer_pair(&op->body, name, value, len, true));
}

/* Decimal degrees, with a point in every locale. */
static void degrees(lua_State *L, bmwi_op *op, const char *name, double value) {
  char text[BMWI_DECIMAL];
  bmwi_decimal_places(text, value, 6);
  bmwi_client_query(L, op, name, text, strlen(text));
}

void bmwi_client_position(lua_State *L, const bmwi_client *client, bmwi_op *op) {
  const bmwi_account *account = &client->account;
  if (!account->has_position) return;
  degrees(L, op, account->service->position[0], account->lat);
  degrees(L, op, account->service->position[1], account->lon);
}

void bmwi_client_document(lua_State *L, bmwi_op *op, const char *json, size_t len) {
  need(L, bmwi_buffer_add(&op->body, json, len));
  op->content_type = "Content-Type: application/json";
}
