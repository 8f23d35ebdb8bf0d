/*
 * Fields that a script gives in a table, by httpd.header and others: names are
 * strings; a value is a string, a number, or an array of these.  What is wrong
 * raises, and says which field it is.
 */
#ifndef LH_LUA_API_FIELD_H
#define LH_LUA_API_FIELD_H

#include "lua/api.h"

/* Where they go. */
struct lh_api_fields {
    lua_State *L;
    const char *function; /* that the script has called, for errors */
    struct lh_arena *arena;
    struct lh_fields *fields;
};

/* The name at the index, which may be a pseudo-field's, or none; it is Lua's.
 */
struct lh_str lh_api_field_name(const struct lh_api_fields *to, int index);

/* Raises where it is no field's name (RFC 9110, 5.1). */
void lh_api_check_field_name(const struct lh_api_fields *to,
                             struct lh_str name);

/* Adds the field with what is at the index of the stack, not from its top: once
 * for each value of an array. */
void lh_api_add_field(const struct lh_api_fields *to, struct lh_str name,
                      int index);

/* A copy in the arena: a finalizer of the script may empty its table, and a
 * number's text is nobody's, so that Lua's own strings are gone with the next
 * entry. */
struct lh_str lh_api_keep_text(const struct lh_api_fields *to, struct lh_str s);

#endif
