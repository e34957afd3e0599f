/*
** The Lua binding: what its files share, grouped by file. Only luaopen_bmwi is exported: every
** header hides its declarations, because a rock is built without -fvisibility.
*/
#ifndef BMWI_H
#define BMWI_H

#include "binding/compat.h"
#include "core/account.h"
#include "core/attempt.h"
#include "core/op.h"
#include "core/session.h"
#include "service/service.h"

/* The error for finalizers that run after ours. */
#define BMWI_AT_ITS_END "bmwi is shut down: the Lua state is being closed"

#define BMWI_EXPORT __attribute__((visibility("default")))

#pragma GCC visibility push(hidden)

/* A client owns an account and its secrets. Its user value holds the hooks. */
typedef struct bmwi_client {
  bmwi_account account; /* must be first: the client is found by its address */
} bmwi_client;

/* From fail.c: every runtime failure is reported through it. */
/* Adds what the error body of the response says; may change the code. */
void bmwi_failure_describe(lua_State *L, const bmwi_op *op, bmwi_failure *failure);
/* Removes the secrets of this call's account, and control characters, from a string. */
void bmwi_failure_redact(const bmwi_op *op, char *text);
/* Pushes nil, message, code, info. `what` names the failed call; `service` provides hints. */
int bmwi_fail(lua_State *L, const char *what, const bmwi_failure *failure,
              const bmwi_service *service);
/* The same for a failure that did not come from the network. */
int bmwi_fail_plain(lua_State *L, const char *code, const char *format, ...);
const char *bmwi_code_name(bmwi_code code);
/* The code of that name, or BMWI_AUTH. */
bmwi_code bmwi_code_named(const char *name);

/* From auth_error.c: what processes share through a store. */
/* Pushes a log-in's auth error for a store to keep, or nil if other processes need not know it. */
void bmwi_auth_error_push(lua_State *L, const bmwi_session *session);
/* Restores the auth error on top of the stack, which bmwi_auth_error_push made, perhaps in another
** process; ignored if it is for another log-in or has expired. */
bool bmwi_auth_error_recall(lua_State *L, bmwi_session *session);
/* Writes the resources that refuse new tokens to the token table on top, and reads them. */
void bmwi_resources_push(lua_State *L, const bmwi_session *session);
void bmwi_resources_read(lua_State *L, int token, bmwi_session *session);

/* From json.c: the bridge to lua-cjson. */
void bmwi_json_open(lua_State *L);
void bmwi_json_push(lua_State *L); /* pushes bmwi.json */
/* Pushes the decoded value; false (and nothing pushed) if it is not JSON. */
bool bmwi_json_decode(lua_State *L, const char *data, size_t len);
/* Pushes the value at `index` as JSON. Raises if it cannot be encoded. */
void bmwi_json_encode(lua_State *L, int index);
int bmwi_json_print(lua_State *L); /* the function sys.json */
/* Pushes the number at `index` as a string, the same in every locale. */
void bmwi_push_decimal(lua_State *L, int index);
/* Pushes a number for a message: "10" on every Lua, where "%f" can make it "10.0". */
const char *bmwi_message_number(lua_State *L, double value);
/* Raises for a table with inherited members, which would be missed. */
void bmwi_check_plain(lua_State *L, int index);
typedef struct bmwi_name {
  const char *text;
  size_t len;
  int at; /* its place in the table that keeps it alive */
} bmwi_name;
/* Pushes a table that keeps the names in the table at `index` alive, and the names, sorted. */
const bmwi_name *bmwi_push_names(lua_State *L, int index, int *count);

/* From json_amend.c: what lua-cjson leaves to do. */
#define BMWI_JSON_DEPTH 100 /* of a response and of what is sent */
/* Removes null, makes whole floats integers and records arrays in the table on top, which was
** decoded from this text (a Lua string's). At `base` and after it on the stack are lua-cjson's
** function and the set of arrays. False if a number is out of range. */
bool bmwi_json_amend(lua_State *L, int base, const char *text, size_t len);
/* Whether the table at `index` can be an array: empty, or with a first element. */
bool bmwi_is_array(lua_State *L, int index);

/* From kept.c: this Lua state's engine. */
bmwi_engine *bmwi_loop_engine(lua_State *L);

/* From loop.c: the engine as an object. */
void bmwi_loop_open(lua_State *L); /* pushes the loop object */
/* Records the userdata of an account, for its callbacks. */
void bmwi_loop_adopt(lua_State *L, int client, const bmwi_account *account);
/* A gate's deadline from the optional seconds at `argument`; raises if they are invalid. */
double bmwi_gate_deadline(lua_State *L, int argument);

/* From await.c: waiting for the engine. */
/* Pushes a fresh operation that the collector owns. */
bmwi_op *bmwi_loop_op(lua_State *L, bmwi_kind kind);
/* Starts the operation on top of the stack and returns its results, blocking here or yielding
** inside bmwi.async. Use as `return bmwi_loop_await(...)`. `client` is the index of a value to keep
** alive meanwhile, or 0. */
int bmwi_loop_await(lua_State *L, int client);
int bmwi_loop_sleep(lua_State *L); /* bmwi.sleep */
/* Whether this thread is a coroutine of bmwi.async that can yield now. */
bool bmwi_is_task(lua_State *L);

/* From fields.c: tables of names and values. */
typedef void bmwi_add_field(lua_State *L, bmwi_op *op, const char *name, const char *value,
                            size_t len);
/* Adds the pairs of the table at `argument`, sorted by name. An array as a value repeats the
** name. */
void bmwi_add_fields(lua_State *L, bmwi_op *op, int argument, bmwi_add_field *add);
/* For a pair on top of the stack (name at -2, value at -1) of the table of fields at `argument`:
** returns the checked name and pushes the value as checked text. */
const char *bmwi_field_name(lua_State *L, int argument);
void bmwi_push_field(lua_State *L, int argument);

/* From methods.c: the method tables, one for each service. */
/* Adds to the table on top, for each of these names that it lacks, a method that fails as
** unsupported. */
void bmwi_methods_lacking(lua_State *L, const bmwi_service *service, const char *const *names);
/* The same for one name. */
void bmwi_method_lacking(lua_State *L, const bmwi_service *service, const char *name);
/* Adds the methods from the service's Lua module of that name. */
void bmwi_methods_of_module(lua_State *L, const bmwi_service *service, const char *kind);

/* From request.c: the operations of a client. */
/* The client at `index`, of any service, even if it is closed. */
bmwi_client *bmwi_client_get(lua_State *L, int index);
/* The open client at `index`; raises for a closed one. */
bmwi_client *bmwi_client_check(lua_State *L, int index);
/* Pushes a new operation for an endpoint with its URL (without a query). */
bmwi_op *bmwi_client_op(lua_State *L, bmwi_client *client, const bmwi_endpoint *endpoint,
                        const char *vin);
/* Appends to the URL. This and the following functions raise if the maximum is exceeded. */
void bmwi_client_path(lua_State *L, bmwi_op *op, const char *path);
/* Appends the client's position as a query, if it has one. */
void bmwi_client_position(lua_State *L, const bmwi_client *client, bmwi_op *op);
/* Adds one pair to the operation's query or form. */
void bmwi_client_query(lua_State *L, bmwi_op *op, const char *name, const char *value, size_t len);
void bmwi_client_form(lua_State *L, bmwi_op *op, const char *name, const char *value, size_t len);
/* Uses a JSON text as the body. */
void bmwi_client_document(lua_State *L, bmwi_op *op, const char *json, size_t len);

/* From answer.c. */
/* Pushes the results of a finished operation. */
int bmwi_deliver(lua_State *L, bmwi_op *op);
/* Pushes {message, code, info} for a command whose response cannot be read for lack of memory. */
void bmwi_push_unknown(lua_State *L, const bmwi_op *op);

/* How a feed delivers to a waiting operation: pushes the results. */
typedef struct bmwi_feed_face {
  int (*hand_out)(lua_State *L, bmwi_feed *feed);
} bmwi_feed_face;

/* From mqtt.c: connections to MQTT brokers. */
void bmwi_mqtt_open(lua_State *L); /* pushes bmwi._mqtt */

/* From token.c. */
void bmwi_token_open(lua_State *L);
/* Pushes an empty token that the collector owns: its strings have no other owner until a session
** takes them. */
bmwi_token *bmwi_new_token(lua_State *L);
/* Reads the table at `index` into an empty token: a token response, or a saved token, with its
** expires_at. False if it is invalid. */
bool bmwi_read_token(lua_State *L, int index, const bmwi_account *account, bmwi_token *token);
bool bmwi_read_kept_token(lua_State *L, int index, const bmwi_account *account, bmwi_token *token);
/* Pushes {access_token, refresh_token, token_type, scope, expires_at}, or nil. */
void bmwi_push_token(lua_State *L, const bmwi_account *account, const bmwi_token *token);

/* From hooks.c: a client's store, log, on_token and on_prompt. `client` is its index. */
/* Reads the options `token` and `store`; stores the hooks from the options for the client at 2. */
void bmwi_hooks_load(lua_State *L, bmwi_account *account);
void bmwi_hooks_keep(lua_State *L, bmwi_account *account);
/* Asks the client's store for a newer token before one is requested. */
void bmwi_ask_store(lua_State *L, bmwi_op *op, int client);
/* Reads the response to a token request and has the token saved. */
void bmwi_read_token_answer(lua_State *L, bmwi_op *op, int client);
/* Calls store:finish() after a renewal; calls on_token with the new token. */
void bmwi_hooks_finish(lua_State *L, bmwi_op *op, int client);
void bmwi_hooks_announce(lua_State *L, bmwi_op *op, int client);
/* Releases the store of a closed client if it had begun; does not raise. */
void bmwi_hooks_closed(lua_State *L, int client, bmwi_account *account);
/* Tells the store if this operation has found a resource that refuses a new token. */
void bmwi_hooks_resource(lua_State *L, bmwi_op *op);
/* Calls the client's log hook, if any, with the event and the table on top. */
void bmwi_call_log_hook(lua_State *L, int client, const char *event);
bool bmwi_logs(lua_State *L, int client);
/* Passes an operation's response, as received, to the client's recorder. */
void bmwi_hooks_record(lua_State *L, bmwi_op *op, int client);
/* Pushes the recorder, or nil. */
void bmwi_hooks_recorder(lua_State *L, int client);

/* From client.c: the client. */
void bmwi_client_open(lua_State *L);
int bmwi_client_new(lua_State *L); /* bmwi.new */

/* From car.c: the car. */
int bmwi_car_new(lua_State *L); /* client:vehicle(vin) */

/* From sys.c: POSIX functions that Lua lacks. */
void bmwi_sys_open(lua_State *L); /* pushes bmwi._sys */
/* Raises "interrupted!" or "terminated!" after such a signal, if sys.catch_signals() was called. */
void bmwi_sys_check(lua_State *L);

#pragma GCC visibility pop

#endif
