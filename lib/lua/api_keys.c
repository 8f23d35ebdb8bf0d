/*
 * What scripts need for keys and logins: digests, base64, comparisons that tell
 * nothing, basic authentication.  None of it waits or needs a request.
 */
#include "lua/api.h"

#include "base/digest.h"
#include "base/num.h"

static int sha256(lua_State *L)
{
    struct lh_str text = lh_api_string(L, 1, "httpd.sha256");
    uint8_t out[LH_SHA256_BYTES];

    lh_sha256(text.p, text.n, out);
    lua_pushlstring(L, (const char *)out, sizeof(out));
    return 1;
}

/* hmac(key, text). */
static int hmac(lua_State *L)
{
    struct lh_str key = lh_api_string(L, 1, "httpd.hmac");
    struct lh_str text = lh_api_string(L, 2, "httpd.hmac");
    uint8_t out[LH_SHA256_BYTES];

    lh_hmac_sha256(key.p, key.n, text.p, text.n, out);
    lua_pushlstring(L, (const char *)out, sizeof(out));
    return 1;
}

/* equal(a, b): the length alone is no secret. */
static int equal(lua_State *L)
{
    struct lh_str a = lh_api_string(L, 1, "httpd.equal");
    struct lh_str b = lh_api_string(L, 2, "httpd.equal");

    lua_pushboolean(L, a.n == b.n && lh_octets_equal(a.p, b.p, a.n));
    return 1;
}

/* --- base64 --------------------------------------------------------------- */

/* For URLs and cookies: another alphabet, no padding (RFC 4648, 5). */
static size_t for_urls(char *p, size_t n)
{
    while (n && p[n - 1] == '=')
        n--;
    for (size_t i = 0; i < n; i++) {
        if (p[i] == '+')
            p[i] = '-';
        else if (p[i] == '/')
            p[i] = '_';
    }
    return n;
}

/* base64(text [, "url"]). */
static int base64(lua_State *L)
{
    struct lh_str text = lh_api_string(L, 1, "httpd.base64");
    bool url = !lua_isnoneornil(L, 2);

    if (url && (lua_type(L, 2) != LUA_TSTRING ||
                strcmp(lua_tostring(L, 2), "url") != 0))
        return lh_api_error(
            L, "bad argument #2 to 'httpd.base64' (\"url\" or nothing)");
    char *out = lua_newuserdata(L, text.n / 3 * 4 + 4);
    size_t n = lh_base64(text.p, text.n, out);
    lua_pushlstring(L, out, url ? for_urls(out, n) : n);
    return 1;
}

/* Pushes the octets, or nil and "malformed". */
static bool push_unbase64(lua_State *L, struct lh_str text)
{
    uint8_t *out = lua_newuserdata(L, text.n / 4 * 3 + 3);
    size_t n;

    if (!lh_unbase64(text.p, text.n, out, &n)) {
        lua_pushnil(L);
        lua_pushliteral(L, "malformed");
        return false;
    }
    lua_pushlstring(L, (const char *)out, n);
    return true;
}

static int unbase64(lua_State *L)
{
    return push_unbase64(L, lh_api_string(L, 1, "httpd.unbase64")) ? 1 : 2;
}

/* --- basic authentication ------------------------------------------------- */

static int answer_malformed(lua_State *L)
{
    lua_pushnil(L);
    lua_pushliteral(L, "malformed");
    return 2;
}

/* Neither part has control characters (RFC 7617, 2). */
static bool is_clean(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)p[i] < ' ' || p[i] == 0x7F)
            return false;
    return true;
}

/* basic_auth(header): the handler's header, or the field's value; the name and
 * the password.  nil alone: there is none, or it is of another kind. */
static int basic_auth(lua_State *L)
{
    static const char scheme[] = "basic";
    struct lh_str text;

    if (lua_isnoneornil(L, 1))
        return 0;
    lua_settop(L, 1);
    if (lua_istable(L, 1)) {
        lua_getfield(L, 1, "authorization");
        if (lua_isnil(L, -1))
            return 1;
        lua_replace(L, 1);
    }
    text = lh_api_string(L, 1, "httpd.basic_auth");
    struct lh_str name = {text.p, lh_min(text.n, sizeof(scheme) - 1)};
    text.p += name.n;
    text.n -= name.n;
    if (!lh_str_equal_nocase(name, LH_STR(scheme)) ||
        (text.n && !lh_is_blank(*text.p)))
        return 0;
    if (!push_unbase64(L, lh_str_trim(text)))
        return 2;
    text.p = lua_tolstring(L, -1, &text.n);
    const char *colon = memchr(text.p, ':', text.n);
    if (!colon || !is_clean(text.p, text.n))
        return answer_malformed(L);
    lua_pushlstring(L, text.p, (size_t)(colon - text.p));
    lua_pushlstring(L, colon + 1, text.n - (size_t)(colon + 1 - text.p));
    return 2;
}

const luaL_Reg lh_key_functions[] = {
    {"sha256", sha256}, {"hmac", hmac},         {"equal", equal},
    {"base64", base64}, {"unbase64", unbase64}, {"basic_auth", basic_auth},
    {NULL, NULL},
};
