/*
** luaopen_bmwi: builds the module's table. Also defines the few lines of bmwi.base64, bmwi.services
** and bmwi.regions.
*/
#include "binding/bmwi.h"

#include <stdint.h>

#include "binding/values_status.h"
#include "core/base64.h"
#include "core/sha256.h"

/* Far above the length of any Lua string; keeps the sums from overflowing. */
#define MAX_BASE64 (SIZE_MAX / 4)

/* bmwi.base64.encode(bytes) -> text: RFC 4648 section 4, padded, no line breaks */
static int encode(lua_State *L) {
  size_t len;
  const char *data = luaL_checklstring(L, 1, &len);
  if (len > MAX_BASE64) return luaL_error(L, "too long");
  size_t size = BMWI_BASE64_ENCODED(len);
  char *out = lua_newuserdata(L, size + 1);
  bmwi_base64_encode(out, data, len);
  lua_pushlstring(L, out, size);
  bmwi_wipe(out, size); /* it may hold Basic credentials */
  return 1;
}

/* bmwi.base64.decode(text) -> bytes | nil, message, "base64" */
static int decode(lua_State *L) {
  size_t len, written;
  const char *text = luaL_checklstring(L, 1, &len);
  unsigned char *out = lua_newuserdata(L, BMWI_BASE64_DECODED(len) + 1);
  if (!bmwi_base64_decode(out, &written, text, len))
    return bmwi_fail_plain(L, "base64", "not base64 as RFC 4648 section 4 defines it");
  lua_pushlstring(L, (const char *)out, written);
  bmwi_wipe(out, written);
  return 1;
}

static const luaL_Reg base64_functions[] = {
  {"encode", encode},
  {"decode", decode},
  {NULL, NULL},
};

/* sha256(bytes) -> 32 bytes */
static int sha256(lua_State *L) {
  size_t len;
  unsigned char digest[BMWI_SHA256_SIZE];
  const char *data = luaL_checklstring(L, 1, &len);
  bmwi_sha256(digest, data, len);
  lua_pushlstring(L, (const char *)digest, sizeof digest);
  return 1;
}

/* base64url(bytes) -> text without padding */
static int base64url(lua_State *L) {
  size_t len;
  const char *data = luaL_checklstring(L, 1, &len);
  if (len > MAX_BASE64) return luaL_error(L, "too long");
  char *out = lua_newuserdata(L, BMWI_BASE64_ENCODED(len) + 1);
  lua_pushlstring(L, out, bmwi_base64url_encode(out, data, len));
  return 1;
}

static const luaL_Reg hash_functions[] = {
  {"sha256", sha256},
  {"base64url", base64url},
  {NULL, NULL},
};

static const luaL_Reg functions[] = {
  {"new", bmwi_client_new},
  {"sleep", bmwi_loop_sleep},
  {NULL, NULL},
};

BMWI_EXPORT int luaopen_bmwi(lua_State *L);

int luaopen_bmwi(lua_State *L) {
  luaL_checkversion(L);
  bmwi_json_open(L);
  bmwi_token_open(L);
  bmwi_client_open(L);
  lua_newtable(L);
  luaL_setfuncs(L, functions, 0);
  lua_pushliteral(L, BMWI_VERSION);
  lua_setfield(L, -2, "_VERSION");
  bmwi_loop_open(L);
  lua_setfield(L, -2, "loop");
  lua_pushstring(L, bmwi_engine_version());
  lua_setfield(L, -2, "curl_version");
  bmwi_json_push(L);
  lua_setfield(L, -2, "json");
  bmwi_sys_open(L);
  lua_setfield(L, -2, "_sys");
  lua_newtable(L);
  luaL_setfuncs(L, base64_functions, 0);
  lua_setfield(L, -2, "base64");
  lua_newtable(L); /* private, like the next one: for the specs */
  luaL_setfuncs(L, hash_functions, 0);
  lua_setfield(L, -2, "_hash");
  bmwi_values_open(L);
  lua_setfield(L, -2, "_values");
  bmwi_mqtt_open(L);
  lua_setfield(L, -2, "_mqtt");
  lua_newtable(L); /* bmwi.services: the values of the option `service` */
  for (int i = 0; bmwi_services[i] != NULL; i++) {
    lua_pushstring(L, bmwi_services[i]->name);
    lua_rawseti(L, -2, i + 1);
  }
  lua_setfield(L, -2, "services");
  lua_newtable(L);
  for (const bmwi_region *region = bmwi_services[0]->regions; region->name != NULL; region++) {
    lua_pushstring(L, region->url);
    lua_setfield(L, -2, region->name);
  }
  lua_setfield(L, -2, "regions");
  return 1;
}
