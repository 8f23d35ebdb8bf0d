/*
 * The two tables that a handler gets.  `env` is made by boot.lua, from
 * strings that stay interned in the constants table; what its metatable
 * answers is made on demand from the running request.  `header` holds the
 * fields; its metatable finds them in any case and under their short names.
 */
#include "http/request_id.h"
#include "lua/task.h"

/* Longer strings are hardly repeated, or are cheap beside what they cost. */
#define CACHED_BYTES 128

/* Short names of pseudo-fields; a client's own field of such a name would be
 * mistaken for one. */
static const struct {
    struct lh_str name;
    const char *pseudo;
} aliases[] = {
    {LH_STR("method"), ":method"},       {LH_STR("path"), ":path"},
    {LH_STR("scheme"), ":scheme"},       {LH_STR("host"), ":authority"},
    {LH_STR("authority"), ":authority"},
};

#define ALIASES (sizeof(aliases) / sizeof(aliases[0]))

/* The pseudo-field of a short name, or NULL.  Names are compared in lower case.
 */
static const char *alias_of(struct lh_str name)
{
    if (name.n < 4 || name.n > 9)
        return NULL;
    for (size_t i = 0; i < ALIASES; i++)
        if (lh_str_equal(name, aliases[i].name))
            return aliases[i].pseudo;
    return NULL;
}

/* A string, or nil where there is none. */
static void push_str(lua_State *L, struct lh_str s)
{
    if (s.p)
        lua_pushlstring(L, s.p, s.n);
    else
        lua_pushnil(L);
}

/* Into the table at the top. */
static void constant(lua_State *L, int key, const char *text)
{
    lua_pushstring(L, text);
    lua_rawseti(L, -2, key);
}

void lh_env_constants(lua_State *L, const struct lh_vm *vm)
{
    constant(L, LH_CONST_PROTOCOL + LH_HTTP_1_0, "HTTP/1.0");
    constant(L, LH_CONST_PROTOCOL + LH_HTTP_1_1, "HTTP/1.1");
    constant(L, LH_CONST_PROTOCOL + LH_HTTP_2, "HTTP/2");
    constant(L, LH_CONST_METHOD, ":method");
    constant(L, LH_CONST_PATH, ":path");
    constant(L, LH_CONST_SCHEME, ":scheme");
    constant(L, LH_CONST_AUTHORITY, ":authority");
    for (int i = 0; i < LH_USUAL_NAMES; i++)
        constant(L, LH_CONST_COMMON + i, lh_usual_names[i].p);
    for (int i = 0; i < LH_VM_CACHE; i++)
        constant(L, LH_CONST_CACHE + i, "");
    lua_pushstring(L, vm->ctx->software ? vm->ctx->software : "");
    lua_setfield(L, -2, "software");
    lua_pushstring(L, vm->name ? vm->name : "");
    lua_setfield(L, -2, "filename");
    lua_pushstring(L, vm->prefix[0] ? vm->prefix : "/");
    lua_setfield(L, -2, "prefix");
}

/* Inside the turn: pushes a string, from the cache if it is there. */
static void push_cached(lua_State *L, struct lh_vm *vm, struct lh_str s)
{
    struct lh_vm_cached *known;
    unsigned hash = (unsigned)s.n;

    if (s.n == 0 || s.n > CACHED_BYTES) {
        lua_pushlstring(L, s.n ? s.p : "", s.n);
        return;
    }
    hash = hash * 31 + (unsigned char)s.p[0];
    hash = hash * 31 + (unsigned char)s.p[s.n / 2];
    hash = (hash * 31 + (unsigned char)s.p[s.n - 1]) & (LH_VM_CACHE - 1);
    known = &vm->cache[hash];
    if (known->n != s.n || memcmp(known->p, s.p, s.n) != 0) {
        lua_pushlstring(L, s.p, s.n);
        known->n = 0;
        lua_pushvalue(L, -1);
        lua_rawseti(L, LH_AT_CONSTANTS, LH_CONST_CACHE + (int)hash);
        known->p = lua_tolstring(L, -1, &known->n);
        return;
    }
    lua_rawgeti(L, LH_AT_CONSTANTS, LH_CONST_CACHE + (int)hash);
}

/* --- env ------------------------------------------------------------------ */

/* Made anew once a second, whoever asks. */
static void push_date(lua_State *L, struct lh_vm *vm)
{
    if (vm->date_s != vm->ctx->unix_s) {
        lua_pushstring(L, vm->ctx->date);
        lua_rawseti(L, LH_AT_CONSTANTS, LH_CONST_DATE);
        vm->date_s = vm->ctx->unix_s;
    }
    lua_rawgeti(L, LH_AT_CONSTANTS, LH_CONST_DATE);
}

/* What most handlers want is listed; the rest is made when it is asked for
 * (lh_env_index). */
void lh_env_push(lua_State *L, struct lh_task *task)
{
    const struct lh_request *r = &task->ex->request;
    const struct lh_peer *peer = task->ex->peer;
    struct lh_vm *vm = task->vm;

    lua_pushvalue(L, LH_AT_MAKE_ENV);
    lua_rawgeti(L, LH_AT_CONSTANTS, LH_CONST_PROTOCOL + (int)r->version);
    push_cached(L, vm, lh_str_of(peer->server_addr));
    lua_pushinteger(L, peer->server_port);
    push_cached(L, vm, lh_str_of(peer->client_addr));
    lua_pushinteger(L, peer->client_port);
    lua_rawgeti(L, LH_AT_CONSTANTS, LH_CONST_HANDLERS + task->handler);
    push_date(L, vm);
    push_str(L, r->query);
    if (r->accepts_push)
        lua_pushinteger(L, 1);
    else
        lua_pushnil(L);
    lua_call(L, 9, 1);
}

static void push_method(lua_State *L, const struct lh_task *task)
{
    push_str(L, task->ex->request.method);
}

static void push_uri(lua_State *L, const struct lh_task *task)
{
    push_str(L, task->ex->request.target);
}

static void push_path_info(lua_State *L, const struct lh_task *task)
{
    push_str(L, task->path_info);
}

static void push_query(lua_State *L, const struct lh_task *task)
{
    struct lh_str query = task->ex->request.query;

    push_str(L, query.p ? query : LH_STR(""));
}

/* Nil where the length is not known beforehand (RFC 3875, 4.1.2). */
static void push_content_length(lua_State *L, const struct lh_task *task)
{
    char text[20];
    uint64_t n = task->ex->request.content_length;

    if (n == LH_LENGTH_UNKNOWN)
        lua_pushnil(L);
    else
        lua_pushlstring(L, text, lh_u64_to_dec(text, n));
}

static void push_content_type(lua_State *L, const struct lh_task *task)
{
    const struct lh_field *type =
        lh_fields_find(&task->ex->request.fields, LH_STR("content-type"));

    push_str(L, type ? type->value : (struct lh_str){NULL, 0});
}

/* The path up to PATH_INFO, without the "/" between them. */
static void push_script_name(lua_State *L, const struct lh_task *task)
{
    const struct lh_name *name = &task->vm->names.v[task->handler];

    lua_pushstring(L, task->vm->prefix);
    lua_pushlstring(L, name->text, name->n - (name->wildcard ? 2 : 0));
    lua_concat(L, 2);
}

/* The authority without its port (RFC 3875, 4.1.14). */
static void push_server_name(lua_State *L, const struct lh_task *task)
{
    struct lh_str host = task->ex->request.authority;
    size_t end;

    if (!host.p || !host.n) {
        lua_pushstring(L, task->ex->peer->server_addr);
        return;
    }
    for (end = host.n; end > 0; end--)
        if (host.p[end - 1] == ':' || host.p[end - 1] == ']')
            break;
    if (end > 0 && host.p[end - 1] == ':')
        host.n = end - 1;
    push_str(L, host);
}

static void push_remote_addr(lua_State *L, const struct lh_task *task)
{
    lua_pushstring(L, task->ex->peer->client_addr);
}

static void push_remote_port(lua_State *L, const struct lh_task *task)
{
    char text[20];
    int port = task->ex->peer->client_port;

    lua_pushlstring(L, text,
                    lh_u64_to_dec(text, port > 0 ? (unsigned)port : 0));
}

/* Who is connected to us: the client, or the proxy that speaks for it. */
static void push_peer_addr(lua_State *L, const struct lh_task *task)
{
    const struct lh_peer *peer = task->ex->peer;

    lua_pushstring(L, peer->proxy_addr ? peer->proxy_addr : peer->client_addr);
}

static void push_peer_port(lua_State *L, const struct lh_task *task)
{
    const struct lh_peer *peer = task->ex->peer;

    lua_pushinteger(L, peer->proxy_addr ? peer->proxy_port : peer->client_port);
}

/* "on", or nil over plain TCP. */
static void push_https(lua_State *L, const struct lh_task *task)
{
    lua_pushstring(L, task->ex->peer->secure ? "on" : NULL);
}

static void push_tls_protocol(lua_State *L, const struct lh_task *task)
{
    const char *protocol = task->ex->peer->tls_protocol;

    lua_pushstring(L, protocol && protocol[0] ? protocol : NULL);
}

static void push_tls_cipher(lua_State *L, const struct lh_task *task)
{
    const char *cipher = task->ex->peer->tls_cipher;

    lua_pushstring(L, cipher && cipher[0] ? cipher : NULL);
}

static void push_tls_server_name(lua_State *L, const struct lh_task *task)
{
    const char *name = task->ex->peer->tls_server_name;

    lua_pushstring(L, name[0] ? name : NULL);
}

/* As Apache and nginx have it; nil over plain TCP. */
static void push_client_verify(lua_State *L, const struct lh_task *task)
{
    const struct lh_peer *peer = task->ex->peer;

    if (peer->cert)
        lua_pushstring(L, peer->cert->verify);
    else
        lua_pushstring(L, peer->tells_cert ? "NONE" : NULL);
}

static void push_client_subject(lua_State *L, const struct lh_task *task)
{
    const struct lh_peer_cert *cert = task->ex->peer->cert;

    lua_pushstring(L, cert ? cert->subject : NULL);
}

static void push_client_fingerprint(lua_State *L, const struct lh_task *task)
{
    const struct lh_peer_cert *cert = task->ex->peer->cert;

    lua_pushstring(L, cert ? cert->fingerprint : NULL);
}

static void push_worker(lua_State *L, const struct lh_task *task)
{
    lua_pushinteger(L, (lua_Integer)task->vm->ctx->worker);
}

static void push_request_id(lua_State *L, const struct lh_task *task)
{
    lua_pushstring(L, lh_request_id(task->ex));
}

static const struct {
    const char *name;
    void (*push)(lua_State *L, const struct lh_task *task);
} unlisted[] = {
    {"REQUEST_METHOD", push_method},
    {"REQUEST_URI", push_uri},
    {"PATH_INFO", push_path_info},
    {"QUERY_STRING", push_query},
    {"CONTENT_LENGTH", push_content_length},
    {"CONTENT_TYPE", push_content_type},
    {"SCRIPT_NAME", push_script_name},
    {"SERVER_NAME", push_server_name},
    {"REMOTE_ADDR", push_remote_addr},
    {"REMOTE_PORT", push_remote_port},
    {"PEER_ADDR", push_peer_addr},
    {"PEER_PORT", push_peer_port},
    {"HTTPS", push_https},
    {"SSL_PROTOCOL", push_tls_protocol},
    {"SSL_CIPHER", push_tls_cipher},
    {"SSL_SERVER_NAME", push_tls_server_name},
    {"SSL_CLIENT_VERIFY", push_client_verify},
    {"SSL_CLIENT_S_DN", push_client_subject},
    {"SSL_CLIENT_FINGERPRINT", push_client_fingerprint},
    {"WORKER", push_worker},
    {"REQUEST_ID", push_request_id},
};

/* Another request's table, kept by the script, knows what it lists alone. */
int lh_env_index(lua_State *L)
{
    const struct lh_vm *vm = lua_touserdata(L, lua_upvalueindex(1));
    const struct lh_task *task = vm->current;
    const char *name;

    if (!task || !task->ex || lua_topointer(L, 1) != task->env ||
        lua_type(L, 2) != LUA_TSTRING)
        return 0;
    name = lua_tostring(L, 2);
    for (size_t i = 0; i < sizeof(unlisted) / sizeof(unlisted[0]); i++) {
        if (strcmp(name, unlisted[i].name) == 0) {
            unlisted[i].push(L, task);
            return 1;
        }
    }
    return 0;
}

/* --- header --------------------------------------------------------------- */

/* A value that the request does not have is no entry. */
static void set_pseudo(lua_State *L, struct lh_vm *vm, int key,
                       struct lh_str value)
{
    if (!value.p)
        return;
    lua_rawgeti(L, LH_AT_CONSTANTS, key);
    push_cached(L, vm, value);
    lua_rawset(L, -3);
}

/* The name is at the top.  Is there a value already? */
static bool is_set(lua_State *L)
{
    lua_pushvalue(L, -1);
    lua_rawget(L, -3);
    if (!lua_isnil(L, -1))
        return true;
    lua_pop(L, 1);
    return false;
}

/* `seen` has a bit for each kind of name so far, so that most fields need no
 * look at the table. */
static void set_field(lua_State *L, struct lh_vm *vm,
                      const struct lh_field *field, uint64_t *seen)
{
    struct lh_str name = field->name;
    uint64_t bit = 1;

    if (name.n)
        bit <<= ((unsigned char)name.p[0] + 7 * name.n +
                 (unsigned char)name.p[name.n - 1]) &
                63;
    push_cached(L, vm, name);
    if (*seen & bit && is_set(L)) {
        lua_pushstring(L, lh_str_equal(name, LH_STR("cookie")) ? "; " : ", ");
        lua_pushlstring(L, field->value.p, field->value.n);
        lua_concat(L, 3);
    } else {
        push_cached(L, vm, field->value);
    }
    lua_rawset(L, -3);
    *seen |= bit;
}

/* A client's own field of an alias' name is left out, since it would be taken
 * for the pseudo-field. */
void lh_header_push(lua_State *L, const struct lh_task *task)
{
    const struct lh_request *r = &task->ex->request;
    struct lh_vm *vm = task->vm;
    uint64_t seen = 0;

    lua_createtable(L, 0, (int)r->fields.n + 4);
    set_pseudo(L, vm, LH_CONST_METHOD, r->method);
    set_pseudo(L, vm, LH_CONST_PATH, r->target);
    set_pseudo(L, vm, LH_CONST_SCHEME, r->scheme);
    set_pseudo(L, vm, LH_CONST_AUTHORITY, r->authority);
    for (unsigned i = 0; i < r->fields.n; i++)
        if (!alias_of(r->fields.v[i].name))
            set_field(L, vm, &r->fields.v[i], &seen);
    lua_pushvalue(L, LH_AT_HEADER_META);
    lua_setmetatable(L, -2);
}

/* Pushes the name in lower case; false: it is that already. */
static bool push_lower(lua_State *L, struct lh_str name)
{
    char lower[128];
    bool changed = false;

    if (name.n > sizeof(lower))
        return false;
    for (size_t i = 0; i < name.n; i++) {
        lower[i] = lh_lower(name.p[i]);
        changed |= lower[i] != name.p[i];
    }
    if (changed)
        lua_pushlstring(L, lower, name.n);
    return changed;
}

/* Reached only if the name is not a key: in another case, or a short name. */
int lh_header_index(lua_State *L)
{
    struct lh_str name = {NULL, 0};
    const char *pseudo;

    if (lua_type(L, 1) != LUA_TTABLE || lua_type(L, 2) != LUA_TSTRING)
        return 0;
    lua_settop(L, 2);
    name.p = lua_tolstring(L, 2, &name.n);
    if (push_lower(L, name)) {
        lua_replace(L, 2);
        name.p = lua_tolstring(L, 2, &name.n);
    }
    pseudo = alias_of(name);
    if (pseudo)
        lua_pushstring(L, pseudo);
    else
        lua_pushvalue(L, 2);
    lua_rawget(L, 1);
    return 1;
}
