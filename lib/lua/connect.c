/*
 * httpd.connect: a name is looked up, the first address that answers is taken,
 * and the socket is there.
 *
 * What always holds: a socket that is being connected has a struct
 * lh_connecting, of which at most one step (a look-up, a dial) is under way; it
 * begins once the wait has, and the end of the wait gives it up.
 */
#include "lua/socket.h"

#include "base/mem.h"
#include "lua/api.h"
#include "lua/gc.h"
#include "net/dial.h"
#include "os/aio.h"
#include "os/error.h"
#include "os/evq.h"
#include "os/sock.h"

/* Where nothing is said: a connection that takes longer is of little use. */
#define TIMEOUT_MS 30000

#define UNIX_PREFIX "unix:"

struct lh_connecting {
    struct lh_socket *socket;
    struct lh_lookup *lookup; /* NULL: none is under way */
    struct lh_dial dial;
    bool dials;
    bool over;             /* connected, or: */
    const char *why;       /* it has failed, for this reason, a constant; or */
    int error;             /* a negative errno */
    struct lh_resolved to; /* n == 0: the name is looked up */
    int port;
    bool keeps;
    const struct lh_trust *trust; /* NULL: without TLS */
    char *name;                   /* TLS: the server's, behind `host` */
    char host[];                  /* or "unix:/path" */
};

static void end_steps(struct lh_connecting *c)
{
    if (c->lookup)
        lh_lookup_leave(c->lookup);
    c->lookup = NULL;
    if (c->dials)
        lh_dial_end(&c->dial);
    c->dials = false;
}

static void connecting_free(struct lh_connecting *c)
{
    end_steps(c);
    lh_free(c);
}

/* It has failed, for whatever reason. */
static void connecting_given_up(struct lh_connecting *c)
{
    lh_count_add(&c->socket->vm->ctx->counters.sockets_failed, 1);
    connecting_free(c);
}

static void connecting_over(struct lh_connecting *c, const char *why, int error)
{
    c->over = true;
    c->why = why;
    c->error = error;
    if (c->socket->reader)
        lh_task_ready(c->socket->reader);
}

/* --- the steps ------------------------------------------------------------ */

/* As far as it goes without waiting. */
static void shake_hands(struct lh_connecting *c)
{
    struct lh_transport *t = c->socket->transport;
    unsigned interest = LH_EV_READ;

    (void)t->ops->receive(t);
    switch (lh_tls_client_state(t)) {
    case LH_TLS_CLIENT_READY:
        connecting_over(c, NULL, 0);
        break;
    case LH_TLS_CLIENT_FAILED:
        connecting_over(c, lh_tls_client_failure(t), 0);
        break;
    case LH_TLS_CLIENT_HANDSHAKE:
        if (t->ops->unsent(t))
            interest |= LH_EV_WRITE;
        lh_socket_await(c->socket, interest);
        if (c->socket->lost)
            connecting_over(c, NULL, LH_SYS_ENOMEM);
    }
}

/* 0 or a negative errno; the descriptor is the socket's, or closed. */
static int use_descriptor(const struct lh_connecting *c, int fd)
{
    struct lh_socket *s = c->socket;
    struct lh_net_pools *pools = &s->vm->ctx->outward->pools;
    struct lh_transport *t =
        c->trust ? lh_tls_client_new(pools, fd, c->trust, c->name)
                 : lh_tcp_new(pools, fd);

    if (!t) {
        lh_sock_close(fd);
        return LH_SYS_ENOMEM;
    }
    return lh_socket_open(s, t);
}

static void dialled(struct lh_dial *dial)
{
    struct lh_connecting *c = LH_OF(dial, struct lh_connecting, dial);
    int error = dial->fd < 0 ? dial->error : 0;

    c->dials = false;
    if (error == 0)
        error = use_descriptor(c, dial->fd);
    if (error == 0 && c->trust)
        shake_hands(c);
    else
        connecting_over(c, NULL, error);
}

static void begin_dial(struct lh_connecting *c)
{
    c->dials = true;
    lh_dial_begin(&c->dial, c->socket->vm->ctx, &c->to, dialled);
}

static void looked_up(void *owner, const struct lh_resolved *found)
{
    struct lh_connecting *c = owner;

    c->lookup = NULL;
    if (found->n == 0) {
        connecting_over(c, found->why, found->error);
        return;
    }
    c->to = *found;
    begin_dial(c);
}

static void begin_lookup(struct lh_connecting *c)
{
    struct lh_context *ctx = c->socket->vm->ctx;

    if (ctx->aio && strcmp(lh_aio_way(ctx->aio), "inline") == 0) {
        connecting_over(c,
                        "names are looked up by a thread, and aio=inline "
                        "allows none: give an address",
                        0);
        return;
    }
    c->lookup =
        lh_lookup_new(&ctx->outward->resolver, c->host, c->port, looked_up, c);
    if (!c->lookup)
        connecting_over(c, NULL, LH_SYS_ENOMEM);
}

/* --- the wait ------------------------------------------------------------- */

static enum lh_outcome poll_connect(struct lh_task *task, lua_State *L)
{
    const struct lh_socket *s = task->socket;

    (void)L;
    if (!s->connecting)
        return LH_OUTCOME_CLOSED;
    if (!s->connecting->over && s->transport)
        shake_hands(s->connecting);
    if (s->connecting->over)
        return LH_OUTCOME_DONE;
    if (task->cut)
        return LH_OUTCOME_CLOSED;
    if (s->reader && task->ex && lh_task_is_closed(task))
        return LH_OUTCOME_CLOSED;
    if (s->reader && lh_api_stops(task))
        return LH_OUTCOME_STOPPING;
    return task->timed_out ? LH_OUTCOME_TIMEOUT : LH_OUTCOME_PENDING;
}

/* The client is not kept waiting for what was written before. */
static void start_connect(struct lh_task *task)
{
    struct lh_socket *s = task->socket;

    s->reader = task;
    if (task->ex)
        lh_exchange_release(task->ex);
    if (poll_connect(task, NULL) != LH_OUTCOME_PENDING)
        lh_task_ready(task);
    else if (s->connecting->to.n)
        begin_dial(s->connecting);
    else
        begin_lookup(s->connecting);
}

static void cancel_connect(struct lh_task *task)
{
    struct lh_socket *s = task->socket;

    s->reader = NULL;
    if (s->connecting)
        end_steps(s->connecting);
}

/* Pushes nil, words and errno, and the socket is done with. */
static int push_connect_failure(lua_State *L, struct lh_task *task,
                                struct lh_socket *s)
{
    const struct lh_connecting *c = s->connecting;
    int error = c->error;
    const char *why = c->why ? c->why : lh_sys_text(error);

    lh_api_note_error(task->vm, error);
    lua_pushnil(L);
    lua_pushfstring(L, "%s: %s", c->host, why);
    if (error)
        lua_pushinteger(L, -error);
    lh_socket_end(s);
    return error ? 3 : 2;
}

/* From here on it belongs to its handler, or to whoever has it. */
static int push_connected(lua_State *L, struct lh_task *task)
{
    struct lh_socket *s = task->socket;
    struct lh_connecting *c = s->connecting;

    if (task->outcome != LH_OUTCOME_DONE) {
        lh_socket_end(s);
        return lh_api_answer(L, task, task->outcome);
    }
    if (!s->transport || c->why || c->error)
        return push_connect_failure(L, task, s);
    s->is_tls = c->trust != NULL;
    lh_socket_rest(s);
    if (!c->keeps)
        lh_list_append(&task->bound, &s->bound.link);
    s->connecting = NULL;
    connecting_free(c);
    lh_count_add(&task->vm->ctx->counters.sockets_connected, 1);
    lh_task_push_file(task, L);
    return 1;
}

static const struct lh_wait connect_wait = {
    .poll = poll_connect,
    .start = start_connect,
    .cancel = cancel_connect,
    .finish = push_connected,
    .keeps_handle = true,
};

/* --- arguments ------------------------------------------------------------ */

/* What a call says; the stack keeps its strings. */
struct wish {
    const char *host;
    int port;
    bool local; /* a unix socket */
    uint64_t timeout_ms;
    bool keeps;
    bool tls;
    const char *ca, *server_name; /* or NULL */
};

/* Pushes the option; false: it is not there.  No metamethod runs meanwhile. */
static bool push_connect_option(lua_State *L, int options, const char *name)
{
    lua_pushstring(L, name);
    lua_rawget(L, options);
    return !lua_isnil(L, -1);
}

/* NULL: it is not there. */
static const char *text_option(lua_State *L, int options, const char *name)
{
    size_t n = 0;

    if (!push_connect_option(L, options, name))
        return NULL;
    const char *text =
        lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &n) : "";
    if (n == 0 || strlen(text) != n)
        lh_api_error(L, "httpd.connect: %s is a string", name);
    return text;
}

static void read_connect_options(lua_State *L, int options, struct wish *w)
{
    static const char *const names[] = {"timeout", "keep",        "tls",
                                        "ca",      "server_name", NULL};

    w->timeout_ms = TIMEOUT_MS;
    if (!lh_api_options(L, options, "httpd.connect", names))
        return;
    if (push_connect_option(L, options, "timeout"))
        w->timeout_ms =
            lh_api_timeout(L, lua_gettop(L), "httpd.connect: timeout");
    if (push_connect_option(L, options, "keep"))
        w->keeps = lua_toboolean(L, -1) != 0;
    if (push_connect_option(L, options, "tls"))
        w->tls = lua_toboolean(L, -1) != 0;
    w->ca = text_option(L, options, "ca");
    w->server_name = text_option(L, options, "server_name");
    if (!w->tls && (w->ca || w->server_name))
        lh_api_error(L, "httpd.connect: ca and server_name are for tls = true");
    if (w->tls && w->local && !w->server_name)
        lh_api_error(L, "httpd.connect: TLS on a unix socket needs a "
                        "server_name");
}

static void read_connect_port(lua_State *L, struct wish *w)
{
    lua_Number n = lua_tonumber(L, 2);

    if (lua_type(L, 2) != LUA_TNUMBER)
        lh_api_argument_error(L, 2, "httpd.connect", "number");
    if (!(n >= 1 && n <= 65535) || n != (lua_Number)(int)n)
        lh_api_error(L, "bad argument #2 to 'httpd.connect' (a port is from 1 "
                        "to 65535)");
    w->port = (int)n;
}

/* connect_begin("unix:/path", options), or (host, port, options). */
static void read_wish(lua_State *L, struct wish *w)
{
    size_t n = 0;

    if (lua_type(L, 1) != LUA_TSTRING)
        lh_api_argument_error(L, 1, "httpd.connect", "string");
    w->host = lua_tolstring(L, 1, &n);
    if (n == 0 || strlen(w->host) != n)
        lh_api_error(L, "bad argument #1 to 'httpd.connect' (no name of a host "
                        "is empty or has a zero)");
    w->local = strncmp(w->host, UNIX_PREFIX, sizeof(UNIX_PREFIX) - 1) == 0;
    if (w->local && n == sizeof(UNIX_PREFIX) - 1)
        lh_api_error(L, "bad argument #1 to 'httpd.connect' (no path is behind "
                        "unix:)");
    if (!w->local)
        read_connect_port(L, w);
    read_connect_options(L, w->local ? 2 : 3, w);
}

/* An address is known at once; 0 or a negative errno. */
static int set_address(struct lh_connecting *c, const struct wish *w)
{
    c->port = w->port;
    c->keeps = w->keeps;
    if (!w->local) {
        lh_resolve_numeric(w->host, w->port, &c->to);
        return 0;
    }
    if (!lh_address_of_path(w->host + sizeof(UNIX_PREFIX) - 1, &c->to.v[0]))
        return LH_SYS_ENAMETOOLONG;
    c->to.n = 1;
    return 0;
}

static int too_many_sockets(lua_State *L, const struct lh_task *task)
{
    lh_count_add(&task->vm->ctx->counters.sockets_failed, 1);
    lua_pushnil(L);
    lua_pushliteral(L, "too many");
    return 2;
}

/* Its two strings stand behind it. */
static struct lh_connecting *connecting_new(const struct wish *w)
{
    const char *name = w->server_name ? w->server_name : w->host;
    size_t n = strlen(w->host) + 1, name_n = strlen(name) + 1;
    struct lh_connecting *c = lh_calloc(1, sizeof(*c) + n + name_n);

    if (!c)
        return NULL;
    memcpy(c->host, w->host, n);
    c->name = c->host + n;
    memcpy(c->name, name, name_n);
    return c;
}

static int no_trust(lua_State *L, struct lh_socket *s, const struct lh_err *err)
{
    lh_socket_end(s);
    lua_pushnil(L);
    lua_pushstring(L, err->text);
    return 2;
}

static int connect_begin(lua_State *L)
{
    struct lh_task *task = lh_api_task(L, "httpd.connect");
    struct wish w = {.port = 0};
    struct lh_err err;
    bool too_many;

    if (!task)
        return lh_api_refuse(L);
    lua_settop(L, 3);
    luaL_checkstack(L, LUA_MINSTACK, NULL);
    read_wish(L, &w);
    if (!task->vm->ctx->evq)
        return lh_api_error(L, "httpd.connect: there is no server here");
    struct lh_socket *s = lh_socket_push(L, task->vm, &too_many);
    if (too_many)
        return too_many_sockets(L, task);
    struct lh_connecting *c = s ? connecting_new(&w) : NULL;
    if (!c)
        return lh_api_error(L, "not enough memory");
    c->socket = s;
    s->connecting = c;
    s->give_up = connecting_given_up;
    lua_insert(L, 1);
    if (w.tls &&
        lh_outward_trust(task->vm->ctx->outward, w.ca, &c->trust, &err))
        return no_trust(L, s, &err);
    int r = set_address(c, &w);
    if (r < 0)
        connecting_over(c, NULL, r);
    task->socket = s;
    return lh_api_begin(L, task, &connect_wait, w.timeout_ms);
}

const luaL_Reg lh_connect_begins[] = {
    {"connect_begin", connect_begin},
    {NULL, NULL},
};
