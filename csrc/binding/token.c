/*
** Tokens: converts them from and to Lua tables.
*/
#include "binding/bmwi.h"
#include "binding/options.h"
#include "core/clock.h"

#define TOKEN "bmwi.token"
#define MAX_TOKEN (16 * 1024) /* for one text in a token */

static const char *member_name(size_t i, const bmwi_account *account) {
  const char *name = bmwi_token_members[i].name;
  return name != NULL ? name : account->service->subject_member;
}

/* Copies a text of the token table at `index`; false if it is invalid. */
static bool read_member(lua_State *L, int index, const char *name, bool header, char **out) {
  size_t len;
  lua_getfield(L, index, name);
  bool absent = lua_isnil(L, -1);
  const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &len) : NULL;
  bool good = absent || (text != NULL && strlen(text) == len && len <= MAX_TOKEN &&
                         (!header || bmwi_token_text(text, len)));
  if (good && text != NULL) *out = bmwi_keep_text(L, text);
  lua_pop(L, 1);
  return good;
}

bool bmwi_read_token(lua_State *L, int index, const bmwi_account *account, bmwi_token *token) {
  for (size_t i = 0; i < BMWI_TOKEN_MEMBERS; i++) {
    const char *name = member_name(i, account);
    if (name != NULL &&
        !read_member(L, index, name, bmwi_token_members[i].header, bmwi_token_member_at(token, i)))
      return false;
  }
  return token->access != NULL;
}

bool bmwi_read_kept_token(lua_State *L, int index, const bmwi_account *account, bmwi_token *token) {
  if (!bmwi_read_token(L, index, account, token)) return false;
  lua_getfield(L, index, "expires_at");
  if (lua_type(L, -1) == LUA_TNUMBER) {
    double wall = bmwi_wall();
    bmwi_token_lives(token, lua_tonumber(L, -1) - wall, wall, bmwi_now());
  }
  lua_pop(L, 1);
  return true;
}

bmwi_token *bmwi_new_token(lua_State *L) {
  bmwi_token *token = lua_newuserdata(L, sizeof *token);
  memset(token, 0, sizeof *token);
  luaL_setmetatable(L, TOKEN);
  return token;
}

static void push_members(lua_State *L, const bmwi_account *account, const bmwi_token *token) {
  lua_createtable(L, 0, BMWI_TOKEN_MEMBERS + 1);
  for (size_t i = 0; i < BMWI_TOKEN_MEMBERS; i++) {
    const char *text = *bmwi_token_member_at(token, i);
    if (text == NULL) continue;
    lua_pushstring(L, text);
    lua_setfield(L, -2, member_name(i, account));
  }
  if (!token->expires) return;
  bmwi_push_whole(L, (double)(long long)token->expires_wall);
  lua_setfield(L, -2, "expires_at");
}

/* From a copy: a finalizer that runs meanwhile may close the client or have its token renewed. */
void bmwi_push_token(lua_State *L, const bmwi_account *account, const bmwi_token *token) {
  bmwi_token *copy = bmwi_new_token(L);
  if (!bmwi_token_copy(copy, token)) luaL_error(L, "not enough memory");
  if (copy->access != NULL) push_members(L, account, copy);
  else lua_pushnil(L);
  bmwi_token_clear(copy);
  lua_remove(L, -2);
}

static int token_gc(lua_State *L) {
  bmwi_token_clear(lua_touserdata(L, 1));
  return 0;
}

void bmwi_token_open(lua_State *L) {
  luaL_newmetatable(L, TOKEN);
  lua_pushcfunction(L, token_gc);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
}
