/*
 * httpd.header, httpd.trailer: fields that a script sends.
 *
 * A table is checked as a whole before anything of it is given to the exchange:
 * a wrong name or value raises, and leaves the response as it was.
 */
#include "lua/api_field.h"

/* A table that becomes fields. */
struct out {
    struct lh_api_fields to; /* into `fields` */
    struct lh_task *task;
    struct lh_fields fields;
    unsigned status;    /* 0: none was given */
    bool colon_status;  /* it was ":status", which wins */
    const char *pseudo; /* one of those of promises was there */
    struct lh_str path; /* of a promise, in the arena; .p NULL: this is none */
};

/* Raises. */
static int no_memory(const struct out *out)
{
    return lh_api_error(out->to.L, "not enough memory");
}

/* "404", "404 Not Found"; 0: none. */
static unsigned parse_status(struct lh_str s)
{
    unsigned status = 0;

    if (s.n < 3 || (s.n > 3 && s.p[3] != ' '))
        return 0;
    for (int i = 0; i < 3; i++) {
        unsigned digit = (unsigned)(s.p[i] - '0');
        if (digit > 9)
            return 0;
        status = status * 10 + digit;
    }
    return status >= 100 && status <= 599 ? status : 0;
}

/* Also as a number. */
static void set_status(struct out *out, int value, bool colon)
{
    struct lh_str text = {NULL, 0};

    if (out->colon_status)
        return;
    text.p = lh_api_text(out->to.L, value, &text.n);
    if (!text.p)
        lh_api_error(out->to.L, "%s: the status is a %s", out->to.function,
                     luaL_typename(out->to.L, value));
    out->status = parse_status(text);
    if (!out->status)
        lh_api_error(out->to.L, "%s: '%s' is no status from 100 to 599",
                     out->to.function, text.p);
    out->colon_status = colon;
}

/* The pseudo-field's constant name; NULL: it is none of a promise. */
static const char *promise_name(struct lh_str name)
{
    static const struct lh_str names[] = {LH_STR(":path"), LH_STR(":method"),
                                          LH_STR(":scheme"),
                                          LH_STR(":authority")};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (lh_str_equal(name, names[i]))
            return names[i].p;
    return NULL;
}

/* ":status", or what only a promise may have. */
static bool take_pseudo(struct out *out, struct lh_str name, int value)
{
    struct lh_str text = {NULL, 0};

    /* As it is mostly written first, which is cheaper. */
    if (lh_str_equal(name, LH_STR(":status")) ||
        lh_str_equal_nocase(name, LH_STR(":status"))) {
        set_status(out, value, true);
        return true;
    }
    out->pseudo = promise_name(name);
    if (!out->pseudo)
        lh_api_error(out->to.L, "%s: '%s' is no field name", out->to.function,
                     name.p);
    if (lh_str_equal(name, LH_STR(":path"))) {
        text.p = lua_tolstring(out->to.L, value, &text.n);
        out->path = text.p ? lh_api_keep_text(&out->to, text) : text;
    }
    return false;
}

/* What would change the framing of the message is not the script's. */
static void check_field_name(const struct out *out, struct lh_str name)
{
    lh_api_check_field_name(&out->to, name);
    if (name.n == 17 && lh_str_equal_nocase(name, LH_STR("transfer-encoding")))
        lh_api_error(out->to.L, "%s: transfer-encoding is the server's",
                     out->to.function);
}

/* One entry of the table: its key is at index 2, its value at 3. */
static void add_entry(struct out *out)
{
    struct lh_str name = lh_api_field_name(&out->to, 2);

    if (name.n && name.p[0] == ':') {
        if (take_pseudo(out, name, 3))
            return;
    } else if (name.n == 6 && lh_str_equal_nocase(name, LH_STR("status"))) {
        set_status(out, 3, false);
        return;
    } else {
        check_field_name(out, name);
    }
    lh_api_add_field(&out->to, name, 3);
}

/* lua_next() goes on from the key at index 2, which therefore stays. */
static void add_table(struct out *out)
{
    lua_State *L = out->to.L;

    lua_settop(L, 1);
    lua_pushnil(L);
    while (lua_next(L, 1)) {
        add_entry(out);
        lua_settop(L, 2);
    }
}

/* Pseudo-fields are for promises alone. */
static void check_pseudo(const struct out *out)
{
    if (out->pseudo)
        lh_api_error(out->to.L, "%s: '%s' is no field name", out->to.function,
                     out->pseudo);
}

/* What says where a message ends or goes is for its final header alone. */
static void check_not_final(const struct out *out, const char *where)
{
    for (unsigned i = 0; i < out->fields.n; i++) {
        struct lh_str name = out->fields.v[i].name;
        if (!lh_field_is_header_only(name))
            continue;
        lua_pushlstring(out->to.L, name.p, name.n);
        lh_api_error(out->to.L, "%s: '%s' is for %s", out->to.function,
                     lua_tostring(out->to.L, -1), where);
    }
}

/* --- push promises -------------------------------------------------------- */

/* What the script has not said is as in the request. */
static void default_pseudo(struct out *out, struct lh_str name,
                           struct lh_str value)
{
    if (lh_fields_find(&out->fields, name) || !value.p)
        return;
    if (!lh_fields_add(&out->fields, out->to.arena, name,
                       lh_api_keep_text(&out->to, value)))
        no_memory(out);
}

/* True: the client has been promised it.  False: it does not want any, or this
 * is no HTTP/2. */
static int push_promise(struct out *out)
{
    struct lh_exchange *ex = out->task->ex;

    if (out->path.n == 0 || out->path.p[0] != '/')
        return lh_api_error(out->to.L, "%s: ':path' does not begin with '/'",
                            out->to.function);
    if (!ex->request.accepts_push) {
        lua_pushboolean(out->to.L, 0);
        return 1;
    }
    default_pseudo(out, LH_STR(":method"), LH_STR("GET"));
    default_pseudo(out, LH_STR(":scheme"), ex->request.scheme);
    default_pseudo(out, LH_STR(":authority"), ex->request.authority);
    int error = lh_exchange_promise(ex, &out->fields);
    if (error == LHTTPD_ENOMEM)
        return no_memory(out);
    lua_pushboolean(out->to.L, error == 0);
    return 1;
}

/* --- httpd.header --------------------------------------------------------- */

/* The usual mistake is a write before the header.  From here on it is told with
 * the line of that. */
static int already_sent(lua_State *L, const struct lh_task *task)
{
    task->known->notes_line = true;
    if (!task->header_line)
        return lh_api_error(L, "header already sent");
    return lh_api_error(L, "header already sent, in line %d",
                        task->header_line);
}

/* An informational answer (1xx) or the final one. */
static int start_response(struct out *out)
{
    struct lh_task *task = out->task;
    struct lh_exchange *ex = task->ex;
    int error;

    if (out->status == 101)
        return lh_api_error(out->to.L, "%s: 101 is not supported",
                            out->to.function);
    if (out->status && out->status < 200) {
        check_not_final(out, "the final header");
        error = lh_exchange_informational(ex, out->status, &out->fields);
    } else {
        unsigned usual = task->handler == task->vm->not_found ? 404 : 200;
        lh_api_note_line(out->to.L, task, 1);
        error = lh_exchange_start(ex, out->status ? out->status : usual,
                                  &out->fields);
    }
    if (error == LHTTPD_EINVAL)
        return lh_api_error(out->to.L, "%s: content-length is not a number",
                            out->to.function);
    if (error)
        return no_memory(out);
    lua_pushboolean(out->to.L, 1);
    return 1;
}

static int httpd_header(lua_State *L)
{
    struct out out = {.to = {L, "httpd.header", NULL, &out.fields}};
    struct lh_exchange *ex;

    out.task = lh_api_task(L, "httpd.header");
    if (!out.task)
        return lh_api_refuse(L);
    ex = out.task->ex;
    if (!lua_istable(L, 1))
        return lh_api_argument_error(L, 1, "httpd.header", "table");
    if (!ex || ex->gone || out.task->cut) {
        lua_pushnil(L);
        lua_pushliteral(L, "closed");
        return 2;
    }
    out.to.arena = &ex->arena;
    add_table(&out);
    if (out.path.p && !out.status)
        return push_promise(&out);
    check_pseudo(&out);
    if (ex->response.state != LH_RESPONSE_NONE)
        return already_sent(L, out.task);
    return start_response(&out);
}

/* --- httpd.trailer -------------------------------------------------------- */

/* Pushes the table of those that the client has sent, nil where it has not, or
 * not yet.  Equal names are joined by commas. */
static int request_trailers(lua_State *L, const struct lh_task *task)
{
    const struct lh_fields *fields;

    if (!task->ex || task->ex->body_state != LH_BODY_ENDED ||
        task->ex->request.trailers.n == 0) {
        lua_pushnil(L);
        return 1;
    }
    fields = &task->ex->request.trailers;
    lua_createtable(L, 0, (int)fields->n);
    for (unsigned i = 0; i < fields->n; i++) {
        const struct lh_field *field = &fields->v[i];
        lua_pushlstring(L, field->name.p, field->name.n);
        lua_pushvalue(L, -1);
        lua_rawget(L, -3);
        if (lua_isnil(L, -1)) {
            lua_pop(L, 1);
            lua_pushlstring(L, field->value.p, field->value.n);
        } else {
            lua_pushliteral(L, ", ");
            lua_pushlstring(L, field->value.p, field->value.n);
            lua_concat(L, 3);
        }
        lua_rawset(L, -3);
    }
    return 1;
}

/* What would change the message that it ends is for its header. */
static void check_trailers(const struct out *out)
{
    if (out->status)
        lh_api_error(out->to.L, "%s: the status is for httpd.header",
                     out->to.function);
    check_not_final(out, "httpd.header");
}

static int httpd_trailer(lua_State *L)
{
    struct out out = {.to = {L, "httpd.trailer", NULL, &out.fields}};
    int error;

    out.task = lh_api_task(L, "httpd.trailer");
    if (!out.task)
        return lh_api_refuse(L);
    if (lua_isnoneornil(L, 1))
        return request_trailers(L, out.task);
    if (!lua_istable(L, 1))
        return lh_api_argument_error(L, 1, "httpd.trailer", "table");
    if (!out.task->ex || out.task->ex->gone || out.task->cut) {
        lua_pushnil(L);
        lua_pushliteral(L, "closed");
        return 2;
    }
    out.to.arena = &out.task->ex->arena;
    add_table(&out);
    check_pseudo(&out);
    check_trailers(&out);
    error = lh_exchange_trailers(out.task->ex, &out.fields);
    if (error)
        return lh_api_error(L, "httpd.trailer: the response has ended");
    lua_pushboolean(L, 1);
    return 1;
}

const luaL_Reg lh_header_functions[] = {
    {"header", httpd_header},
    {"trailer", httpd_trailer},
    {NULL, NULL},
};
