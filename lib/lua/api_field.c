/* Fields that a script gives in a table: see api_field.h. */
#include "lua/api_field.h"

static void field_lacks_memory(const struct lh_api_fields *to)
{
    lh_api_error(to->L, "not enough memory");
}

struct lh_str lh_api_keep_text(const struct lh_api_fields *to, struct lh_str s)
{
    struct lh_str copied = lh_arena_copy(to->arena, s.p, s.n);

    if (!copied.p)
        field_lacks_memory(to);
    return copied;
}

struct lh_str lh_api_field_name(const struct lh_api_fields *to, int index)
{
    struct lh_str name = {NULL, 0};

    if (lua_type(to->L, index) != LUA_TSTRING)
        lh_api_error(to->L, "%s: a field name is a string, not a %s",
                     to->function, luaL_typename(to->L, index));
    name.p = lua_tolstring(to->L, index, &name.n);
    return name;
}

void lh_api_check_field_name(const struct lh_api_fields *to, struct lh_str name)
{
    if (!lh_field_name_valid(name))
        lh_api_error(to->L, "%s: '%s' is no field name", to->function, name.p);
}

/* One value, at `index`. */
static void add_value(const struct lh_api_fields *to, struct lh_str name,
                      int index)
{
    struct lh_str value = {NULL, 0};

    value.p = lh_api_text(to->L, index, &value.n);
    if (!value.p)
        lh_api_error(to->L, "%s: the value of '%s' is a %s", to->function,
                     name.p, luaL_typename(to->L, index));
    value = lh_str_trim(value);
    if (!lh_field_value_valid(value))
        lh_api_error(to->L, "%s: the value of '%s' has a control character",
                     to->function, name.p);
    if (!lh_fields_add(to->fields, to->arena, lh_api_keep_text(to, name),
                       lh_api_keep_text(to, value)))
        field_lacks_memory(to);
}

void lh_api_add_field(const struct lh_api_fields *to, struct lh_str name,
                      int index)
{
    lua_State *L = to->L;

    if (!lua_istable(L, index)) {
        add_value(to, name, index);
        return;
    }
    for (int i = 1; i <= (int)lh_lua_len(L, index); i++) {
        lua_rawgeti(L, index, i);
        add_value(to, name, lua_gettop(L));
        lua_pop(L, 1);
    }
}
