/*
** The Lua face: what its files offer each other, grouped by file. Nothing here
** is seen outside the library but luaopen_bmwi: all headers hide what they
** declare, since a rock is built without -fvisibility.
*/
#ifndef BMWI_H
#define BMWI_H

#include "binding/compat.h"
#include "core/account.h"
#include "core/attempt.h"
#include "core/op.h"
#include "core/session.h"
#include "service/service.h"

/* What a finalizer sees that runs after ours. */
#define BMWI_AT_ITS_END "bmwi is shut down: the Lua state is being closed"

#define BMWI_EXPORT __attribute__((visibility("default")))

#pragma GCC visibility push(hidden)

/* A client owns one account with its secrets. Its user value holds the hooks. */
typedef struct bmwi_client {
  bmwi_account account; /* first: found by its address */
} bmwi_client;

/* From fail.c: every failure of the world leaves through here. */
/* Adds what the error body of the answer says; may change the code. */
void bmwi_failure_describe(lua_State *L, const bmwi_op *op, bmwi_failure *failure);
/* Takes out of a text what this call's account must keep to itself, and control characters. */
void bmwi_failure_redact(const bmwi_op *op, char *text);
/* Pushes nil, message, code, info; `what` names the call that failed, `service` knows advice. */
int bmwi_fail(lua_State *L, const char *what, const bmwi_failure *failure,
              const bmwi_service *service);
/* The same for a failure on this side of the network. */
int bmwi_fail_plain(lua_State *L, const char *code, const char *format, ...);
const char *bmwi_code_name(bmwi_code code);
/* The code of that name, or BMWI_AUTH. */
bmwi_code bmwi_code_named(const char *name);

/* From auth_error.c: what one process passes to the next through a store. */
/* Pushes the auth error of a log-in for a store to keep, or nil if others need not know of any. */
void bmwi_auth_error_push(lua_State *L, const bmwi_session *session);
/* Takes over the auth error on top of the stack, which bmwi_auth_error_push made in another process
** perhaps, if it is of a log-in such as ours and not over. */
bool bmwi_auth_error_recall(lua_State *L, bmwi_session *session);
/* Writes the resources that refuse new tokens into the token table on top; reads them. */
void bmwi_resources_push(lua_State *L, const bmwi_session *session);
void bmwi_resources_read(lua_State *L, int token, bmwi_session *session);

/* From json.c: the bridge to lua-cjson. */
void bmwi_json_open(lua_State *L);
void bmwi_json_push(lua_State *L); /* pushes bmwi.json */
/* Pushes the decoded value; false (and nothing pushed) if it is not JSON. */
bool bmwi_json_decode(lua_State *L, const char *data, size_t len);
/* Pushes the JSON text of the value at `index`. Raises what cannot be encoded. */
void bmwi_json_encode(lua_State *L, int index);
int bmwi_json_print(lua_State *L); /* the function sys.json */
/* Pushes the number at `index` as text, the same in every locale. */
void bmwi_push_decimal(lua_State *L, int index);
/* Raises for a table that has members which are not in itself: they would not be seen. */
void bmwi_check_plain(lua_State *L, int index);
/* Whether the table at `index` can be an array: empty, or with a first element. */
bool bmwi_is_array(lua_State *L, int index);

/* From kept.c: this Lua state's engine. */
bmwi_engine *bmwi_loop_engine(lua_State *L);

/* From loop.c: it as an object. */
void bmwi_loop_open(lua_State *L); /* pushes the loop object */
/* Remembers which userdata an account lives in, for its callbacks. */
void bmwi_loop_adopt(lua_State *L, int client, const bmwi_account *account);
/* The deadline of a gate by the seconds at that argument, if any; raises for a bad one. */
double bmwi_gate_deadline(lua_State *L, int argument);

/* From await.c: what waits for the engine. */
/* Pushes a fresh operation that the collector owns. */
bmwi_op *bmwi_loop_op(lua_State *L, bmwi_kind kind);
/* Starts the operation on top of the stack and returns its results: waits here,
** or yields inside bmwi.async. To be returned: it is the caller's last act.
** `client` is the index of what must stay alive meanwhile, or 0. */
int bmwi_loop_await(lua_State *L, int client);
int bmwi_loop_sleep(lua_State *L); /* bmwi.sleep */
/* Whether this thread is a coroutine of bmwi.async that can yield now. */
bool bmwi_is_task(lua_State *L);

/* From fields.c: tables of names and values. */
typedef void bmwi_add_field(lua_State *L, bmwi_op *op, const char *name, const char *value,
                            size_t len);
/* Adds the pairs of a table, which is that argument, in the order of their names. An array as a
** value stands for a name that is repeated. */
void bmwi_add_fields(lua_State *L, bmwi_op *op, int argument, bmwi_add_field *add);
/* Of one pair of a table of fields, which is that argument, with the name at -2 and the value at
** -1: the name, checked; pushes the value as text, checked. */
const char *bmwi_field_name(lua_State *L, int argument);
void bmwi_push_field(lua_State *L, int argument);

/* From methods.c: the tables of methods, one for each service. */
/* Into the table on top: for each of these names that it lacks, a method that says so. */
void bmwi_methods_lacking(lua_State *L, const bmwi_service *service, const char *const *names);
/* The same for one name. */
void bmwi_method_lacking(lua_State *L, const bmwi_service *service, const char *name);
/* The methods that the service's Lua module has under that name. */
void bmwi_methods_of_module(lua_State *L, const bmwi_service *service, const char *kind);

/* From request.c: the operations of a client. */
/* The client at `index`, whichever service it is of, even if it is closed. */
bmwi_client *bmwi_client_get(lua_State *L, int index);
/* The open client at `index`; raises for a closed one. */
bmwi_client *bmwi_client_check(lua_State *L, int index);
/* Pushes a new operation on an endpoint with its URL filled in (no query yet). */
bmwi_op *bmwi_client_op(lua_State *L, bmwi_client *client, const bmwi_endpoint *endpoint,
                        const char *vin);
/* Appends to the URL. All of these raise beyond the maximum. */
void bmwi_client_path(lua_State *L, bmwi_op *op, const char *path);
/* Appends the client's position as a query, if it has one. */
void bmwi_client_position(lua_State *L, const bmwi_client *client, bmwi_op *op);
/* Adds one pair to the operation's query or form. */
void bmwi_client_query(lua_State *L, bmwi_op *op, const char *name, const char *value, size_t len);
void bmwi_client_form(lua_State *L, bmwi_op *op, const char *name, const char *value, size_t len);
/* Makes a JSON text the body. */
void bmwi_client_document(lua_State *L, bmwi_op *op, const char *json, size_t len);

/* From answer.c. */
/* Pushes the results of a finished operation. */
int bmwi_deliver(lua_State *L, bmwi_op *op);
/* Pushes {message, code, info} of a command whose answer cannot be read for lack of memory. */
void bmwi_push_unknown(lua_State *L, const bmwi_op *op);

/* How a feed hands out what an operation has waited for: pushes the results. */
typedef struct bmwi_feed_face {
  int (*hand_out)(lua_State *L, bmwi_feed *feed);
} bmwi_feed_face;

/* From mqtt.c: connections to MQTT brokers. */
void bmwi_mqtt_open(lua_State *L); /* pushes bmwi._mqtt */

/* From hooks.c: the store, the log, on_token and on_prompt of a client. `client` is its index. */
void bmwi_hooks_open(lua_State *L);
/* Reads the options `token` and `store`; keeps the hooks of the options for the client at 2. */
void bmwi_hooks_load(lua_State *L, bmwi_account *account);
void bmwi_hooks_keep(lua_State *L, bmwi_account *account);
/* Pushes {access_token, refresh_token, token_type, scope, expires_at}, or nil. */
void bmwi_push_token(lua_State *L, const bmwi_account *account, const bmwi_token *token);
/* Asks the client's store for a newer token before one is requested. */
void bmwi_ask_store(lua_State *L, bmwi_op *op, int client);
/* Reads the answer of a token request and has the token saved. */
void bmwi_read_token_answer(lua_State *L, bmwi_op *op, int client);
/* Calls store:finish() after a renewal; calls on_token with the new token. */
void bmwi_hooks_finish(lua_State *L, bmwi_op *op, int client);
void bmwi_hooks_announce(lua_State *L, bmwi_op *op, int client);
/* Lets the store of a closed client go, if it had begun; raises nothing. */
void bmwi_hooks_closed(lua_State *L, int client, bmwi_account *account);
/* Tells the store of a resource that refuses a new token, if this operation has found one. */
void bmwi_hooks_resource(lua_State *L, bmwi_op *op);
/* Calls the client's log hook, if any, with the event and the table on top. */
void bmwi_call_log_hook(lua_State *L, int client, const char *event);
bool bmwi_logs(lua_State *L, int client);
/* Hands the answer of an operation, as it came, to the client's recorder. */
void bmwi_hooks_record(lua_State *L, bmwi_op *op, int client);
/* Pushes the recorder, or nil. */
void bmwi_hooks_recorder(lua_State *L, int client);

/* From client.c: the client. */
void bmwi_client_open(lua_State *L);
int bmwi_client_new(lua_State *L); /* bmwi.new */

/* From car.c: the car. */
int bmwi_car_new(lua_State *L); /* client:vehicle(vin) */

/* From sys.c: what POSIX offers and Lua lacks. */
void bmwi_sys_open(lua_State *L); /* pushes bmwi._sys */
/* Raises "terminated!" if SIGTERM came, where that was asked for. */
void bmwi_sys_check(lua_State *L);

#pragma GCC visibility pop

#endif
