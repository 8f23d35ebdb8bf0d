/*
 * httpd.cookies and httpd.cookie (RFC 6265).  What a client sends is taken as
 * it comes; what a script makes is refused with an error where it would be
 * another cookie than was meant, or where browsers would drop it silently.
 */
#include "lua/api.h"

#include "http/cookie.h"
#include "http/exchange.h"

#include <math.h>

/* --- those of the request ------------------------------------------------- */

/* The first of a name is the one that a browser finds fits best (5.4). */
static void add_cookies(lua_State *L, struct lh_str field)
{
    struct lh_str name, value;

    while (lh_cookie_next(&field, &name, &value)) {
        lua_pushlstring(L, name.p, name.n);
        lua_pushvalue(L, -1);
        lua_rawget(L, -3);
        bool known = !lua_isnil(L, -1);
        lua_pop(L, 1);
        if (known) {
            lua_pop(L, 1);
            continue;
        }
        lua_pushlstring(L, value.p, value.n);
        lua_rawset(L, -3);
    }
}

/* cookies(): values by name.  HTTP/2 may split them into many fields. */
static int cookies(lua_State *L)
{
    const struct lh_task *task = lh_api_task(L, "httpd.cookies");

    if (!task)
        return lh_api_refuse(L);
    lua_newtable(L);
    if (!task->ex)
        return 1;
    const struct lh_fields *fields = &task->ex->request.fields;
    for (unsigned i = 0; i < fields->n; i++)
        if (lh_str_equal(fields->v[i].name, LH_STR("cookie")))
            add_cookies(L, fields->v[i].value);
    return 1;
}

/* --- one for the response ------------------------------------------------- */

/* The third argument's names. */
static const char *const options[] = {
    "max_age", "path", "domain", "secure", "http_only", "same_site", NULL};

static void check_octets(lua_State *L, const char *what, struct lh_str s,
                         size_t valid)
{
    if (valid < s.n)
        lh_api_error(L,
                     "httpd.cookie: octet %d of the %s may not stand there "
                     "(httpd.escape or httpd.base64 make it fit)",
                     (int)valid + 1, what);
}

static void check_name(lua_State *L, struct lh_str name)
{
    size_t i = 0;

    while (i < name.n && lh_token_lower[(uint8_t)name.p[i]])
        i++;
    if (name.n == 0)
        lh_api_error(L, "httpd.cookie: the name is empty");
    check_octets(L, "name", name, i);
}

/* Pushes the option's value; false: there is none, and nothing is pushed.  No
 * metamethod is asked, whose second answer may be another than its first. */
static bool push_option(lua_State *L, const char *name)
{
    if (!lua_istable(L, 3))
        return false;
    lua_pushstring(L, name);
    lua_rawget(L, 3);
    if (lua_toboolean(L, -1))
        return true;
    lua_pop(L, 1);
    return false;
}

/* The texts that options add to the one at the top. */
static bool add_text(lua_State *L, const char *name, const char *attribute)
{
    struct lh_str value;

    if (!push_option(L, name))
        return false;
    if (lua_type(L, -1) != LUA_TSTRING)
        lh_api_error(L, "httpd.cookie: %s is no string", name);
    value.p = lua_tolstring(L, -1, &value.n);
    check_octets(L, name, value, lh_cookie_attribute_valid(value));
    if (strcmp(name, "path") == 0 && (value.n == 0 || value.p[0] != '/'))
        lh_api_error(L, "httpd.cookie: the path does not begin with '/'");
    lua_pushfstring(L, "; %s=", attribute);
    lua_insert(L, -2);
    lua_concat(L, 3);
    return true;
}

static void add_max_age(lua_State *L)
{
    char text[32];
    double seconds;

    if (!push_option(L, "max_age"))
        return;
    seconds = (double)lua_tonumber(L, -1);
    if (lua_type(L, -1) != LUA_TNUMBER || !(fabs(seconds) <= 1e12))
        lh_api_error(L, "httpd.cookie: max_age is no number of seconds");
    snprintf(text, sizeof(text), "; Max-Age=%.0f", ceil(seconds));
    lua_pop(L, 1);
    lua_pushstring(L, text);
    lua_concat(L, 2);
}

static bool add_flag(lua_State *L, const char *name, const char *text)
{
    if (!push_option(L, name))
        return false;
    lua_pop(L, 1);
    lua_pushstring(L, text);
    lua_concat(L, 2);
    return true;
}

static void add_same_site(lua_State *L, bool secure)
{
    static const char *const kinds[] = {"Strict", "Lax", "None"};
    const char *found = NULL;

    if (!push_option(L, "same_site"))
        return;
    for (size_t i = 0; i < 3 && lua_type(L, -1) == LUA_TSTRING; i++)
        if (lh_str_equal_nocase(lh_str_of(lua_tostring(L, -1)),
                                lh_str_of(kinds[i])))
            found = kinds[i];
    if (!found)
        lh_api_error(L, "httpd.cookie: same_site is \"strict\", \"lax\" or "
                        "\"none\"");
    if (found == kinds[2] && !secure)
        lh_api_error(L, "httpd.cookie: same_site=\"none\" needs secure");
    lua_pop(L, 1);
    lua_pushfstring(L, "; SameSite=%s", found);
    lua_concat(L, 2);
}

static bool has_prefix(struct lh_str name, struct lh_str prefix)
{
    return name.n >= prefix.n &&
           lh_str_equal_nocase((struct lh_str){name.p, prefix.n}, prefix);
}

/* What browsers ask of such names. */
static void check_prefixes(lua_State *L, struct lh_str name, bool secure,
                           bool domain)
{
    bool host = has_prefix(name, LH_STR("__Host-"));
    bool root = false;

    if (!host && !has_prefix(name, LH_STR("__Secure-")))
        return;
    if (!secure)
        lh_api_error(L, "httpd.cookie: a name that begins so needs secure");
    /* A finalizer of the script may have changed it since it was looked at. */
    if (push_option(L, "path")) {
        root = lua_type(L, -1) == LUA_TSTRING &&
               strcmp(lua_tostring(L, -1), "/") == 0;
        lua_pop(L, 1);
    }
    if (host && (domain || !root))
        lh_api_error(L, "httpd.cookie: a name that begins with __Host- needs "
                        "path=\"/\" and no domain");
}

/* cookie(name, value [, options]): the value of a set-cookie field. */
static int cookie(lua_State *L)
{
    struct lh_str name = lh_api_string(L, 1, "httpd.cookie");
    struct lh_str value = lh_api_string(L, 2, "httpd.cookie");

    lua_settop(L, 3);
    lh_api_options(L, 3, "httpd.cookie", options);
    check_name(L, name);
    check_octets(L, "value", value, lh_cookie_value_valid(value));
    if (name.n + value.n > LH_COOKIE_BYTES_MAX)
        return lh_api_error(L, "httpd.cookie: browsers drop more than %d bytes",
                            LH_COOKIE_BYTES_MAX);
    lua_pushvalue(L, 1);
    lua_pushliteral(L, "=");
    lua_pushvalue(L, 2);
    lua_concat(L, 3);
    add_text(L, "path", "Path");
    bool domain = add_text(L, "domain", "Domain");
    add_max_age(L);
    bool secure = add_flag(L, "secure", "; Secure");
    add_flag(L, "http_only", "; HttpOnly");
    add_same_site(L, secure);
    check_prefixes(L, name, secure, domain);
    return 1;
}

const luaL_Reg lh_cookie_functions[] = {
    {"cookies", cookies},
    {"cookie", cookie},
    {NULL, NULL},
};
