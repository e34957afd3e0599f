/*
** Kept: see kept.h.
*/
#include "binding/kept.h"

static const char keys[BMWI_KEPT_COUNT];

void bmwi_push_kept(lua_State *L, int which) { lua_rawgetp(L, LUA_REGISTRYINDEX, &keys[which]); }

void bmwi_keep(lua_State *L, int which) { lua_rawsetp(L, LUA_REGISTRYINDEX, &keys[which]); }

bmwi_loop *bmwi_get_loop(lua_State *L) {
  bmwi_push_kept(L, BMWI_KEPT_SELF);
  bmwi_loop *self = lua_touserdata(L, -1);
  lua_pop(L, 1);
  if (self == NULL || self->engine == NULL || self->ended) luaL_error(L, BMWI_AT_ITS_END);
  else if (!bmwi_engine_mine(self->engine))
    luaL_error(L, "bmwi was loaded before this process was forked: load it in the child instead");
  return self;
}

void bmwi_set_entry(lua_State *L, int which, const void *p) {
  bmwi_push_kept(L, which);
  lua_insert(L, -2);
  lua_rawsetp(L, -2, p);
  lua_pop(L, 1);
}

void bmwi_push_entry(lua_State *L, int which, const void *p) {
  bmwi_push_kept(L, which);
  lua_rawgetp(L, -1, p);
  lua_remove(L, -2);
}

/* (Before Lua 5.4 even assigning nil may allocate, if the key is new.) */
void bmwi_clear_value(lua_State *L, int which) {
  bmwi_push_kept(L, which);
  lua_insert(L, -2);
  lua_pushvalue(L, -1);
  lua_rawget(L, -3);
  bool present = !lua_isnil(L, -1);
  lua_pop(L, 1);
  lua_pushnil(L);
  if (present) lua_rawset(L, -3);
  lua_settop(L, present ? -2 : -4);
}

void bmwi_clear_entry(lua_State *L, int index, const void *p) {
  lua_rawgetp(L, index, p);
  bool present = !lua_isnil(L, -1);
  lua_pop(L, 1);
  if (!present) return;
  lua_pushnil(L);
  lua_rawsetp(L, index, p);
}

/* What needs memory comes before what is to be undone: if it raises, nothing is kept. */
void bmwi_keep_op(lua_State *L, int thread, bmwi_op *op) {
  int kept = lua_gettop(L), waits = kept + 1, ops = kept + 2;
  bmwi_push_kept(L, BMWI_KEPT_WAITS);
  bmwi_push_kept(L, BMWI_KEPT_OPS);
  lua_pushvalue(L, thread);
  lua_pushlightuserdata(L, op);
  lua_pushvalue(L, thread);
  lua_pushboolean(L, 0);
  lua_rawset(L, waits);
  lua_pushvalue(L, kept);
  op->slot = luaL_ref(L, ops);
  lua_rawset(L, waits); /* the key is there, so this needs none */
  lua_settop(L, kept - 1);
}

void bmwi_push_kept_op(lua_State *L, const bmwi_op *op, int which) {
  if (op->slot == 0) {
    lua_pushnil(L);
    return;
  }
  bmwi_push_kept(L, BMWI_KEPT_OPS);
  lua_rawgeti(L, -1, op->slot);
  lua_rawgeti(L, -1, which);
  lua_replace(L, -3);
  lua_pop(L, 1);
}

void bmwi_drop_op(lua_State *L, bmwi_op *op) {
  if (op->slot == 0) return;
  bmwi_push_kept(L, BMWI_KEPT_OPS);
  luaL_unref(L, -1, op->slot);
  lua_pop(L, 1);
  op->slot = 0;
}

static void weak_table(lua_State *L, int which, const char *mode) {
  lua_newtable(L);
  if (mode != NULL) {
    lua_createtable(L, 0, 1);
    lua_pushstring(L, mode);
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
  }
  bmwi_keep(L, which);
}

void bmwi_kept_open(lua_State *L) {
  weak_table(L, BMWI_KEPT_WAKES, "k");
  weak_table(L, BMWI_KEPT_WAITS, "k");
  weak_table(L, BMWI_KEPT_OPS, NULL);
  weak_table(L, BMWI_KEPT_CLIENTS, "v");
  weak_table(L, BMWI_KEPT_RAISED, NULL);
  bmwi_push_kept(L, BMWI_KEPT_OPS);
  lua_pushboolean(L, 1);
  luaL_unref(L, -1, luaL_ref(L, -2)); /* makes its list of free slots, which needs memory */
  lua_pop(L, 1);
  lua_createtable(L, BMWI_FAULTS + 1, 0); /* filled, so that an error needs no memory later */
  for (int i = 1; i <= BMWI_FAULTS; i++) {
    lua_pushboolean(L, 0);
    lua_rawseti(L, -2, i);
  }
  lua_pushliteral(L, "an error without a message");
  lua_rawseti(L, -2, BMWI_FAULTS + 1);
  bmwi_keep(L, BMWI_KEPT_FAULTS);
}

bmwi_engine *bmwi_loop_engine(lua_State *L) { return bmwi_get_loop(L)->engine; }
