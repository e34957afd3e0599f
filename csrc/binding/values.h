/*
** Values of a car over time. A state is everything known about a car: a plain table from descriptor
** to entry, which can be written as JSON and is never modified after it was created.
**
** An entry holds value, raw (as it came), unit, time and source; `empty` (a
** word) where there is no value; `flag` and `refused` as in the details; and
** what proves a unit later: unit_rest and unit_stream (the last ones stated),
** last and last_time (the last value whose unit was sure, in km or l). The
** entry "position" is the last pair of latitude and longitude of one moment.
*/
#ifndef BMWI_VALUES_H
#define BMWI_VALUES_H

#include "binding/bmwi.h"
#include "service/cardata_fields.h"

#pragma GCC visibility push(hidden)

#define BMWI_POSITION "position"

/* Called with only their arguments on the stack, as Lua calls a function. */
/* (state or nil, values, {source = "rest" or "stream"[, now =]}) -> state, changed, taken. The
** values are those of a response: descriptor -> {value =, unit =, timestamp =}. `changed` is a set
** of descriptors (not those with only a newer time), `taken` the number of new entries. */
int bmwi_values_merge(lua_State *L);
/* (state from a file) -> state without anything that an entry cannot hold; its source is
** "cache". */
int bmwi_values_restore(lua_State *L);
/* (state[, {now =}]) -> descriptor -> {value, unit, time, age, raw, source, empty, flag,
** refused} */
int bmwi_values_telematics(lua_State *L);
/* (one status, another) -> set of the members that differ */
int bmwi_values_changed(lua_State *L);
/* () -> array of the descriptors that make up a status */
int bmwi_values_descriptors(lua_State *L);

/* Access to members of tables, without metamethods. A missing text is NULL and a missing number
** NAN; the table keeps the text alive. Setting NULL or NAN does nothing. */
void bmwi_get(lua_State *L, int table, const char *name);
const char *bmwi_text_of(lua_State *L, int table, const char *name);
double bmwi_number_of(lua_State *L, int table, const char *name);
void bmwi_set_number(lua_State *L, int table, const char *name, double number);
void bmwi_set_text(lua_State *L, int table, const char *name, const char *text);
void bmwi_copy_member(lua_State *L, int from, int to, const char *name);
void bmwi_push_value(lua_State *L, const bmwi_value *value);
/* The value at `index` as sent by REST or the stream. */
void bmwi_read_value(lua_State *L, int index, const char *descriptor, bmwi_value *value);
/* The value of an entry of the state, which keeps it alive. */
void bmwi_entry_value(lua_State *L, int entry, bmwi_value *value);
/* The member `now` of the options at that index, or this machine's time. */
double bmwi_now_of(lua_State *L, int options);
/* Sets the members time and age; a time in the future of `now` has no age. */
void bmwi_set_time(lua_State *L, int table, double time, double now);

#pragma GCC visibility pop

#endif
