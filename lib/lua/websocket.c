/*
 * httpd.websocket, and its part of httpd.read, write and close: see
 * websocket.h. Frames are taken out of the request's body and put into the
 * response's, which lh_exchange_upgrade() has made a tunnel; the codec is in
 * lib/ws.
 *
 * What always holds: one that is open has a task, whose `websocket` it is;
 * `end` is PENDING until nothing more will be read, and then tells why.  A
 * frame goes into the exchange in one step, so that nothing gets between its
 * parts; while a message is lent nothing is written, and what is due waits for
 * its end.
 */
#include "lua/websocket.h"

#include "base/mem.h"
#include "base/num.h"
#include "lua/api.h"
#include "lua/gc.h"
#include "ws/ws_handshake.h"
#include "ws/ws_reader.h"

#include <math.h>

/* What is read ahead for a handler that does something else: enough to find
 * pings behind a few messages. */
#define AHEAD_BYTES ((size_t)16 << 10)

/* A message up to here is copied where there is room, a longer one is lent. */
#define COPY_BYTES ((size_t)16 << 10)

struct lh_websocket {
    struct lh_bound bound;
    struct lh_task *task; /* NULL: over */
    struct lh_ws_reader reader;
    struct lh_timer timer;
    uint64_t limit;      /* octets of a message; LHTTPD_UNLIMITED */
    uint64_t seen;       /* octets that had come when the timer was armed */
    size_t piece;        /* what httpd.read waits for; 0: a whole message */
    enum lh_outcome end; /* DONE: by a close frame; else as the answer has it */
    unsigned code;       /* of the close, 0: not yet */
    struct lh_str reason;       /* ours to free */
    struct lh_str close_reason; /* to send, at most LH_WS_REASON_BYTES; ours to
                                   free */
    struct lh_str protocol;     /* likewise; .p NULL: none was chosen */
    uint8_t *pong;              /* what it carries; ours to free */
    uint16_t close_code;        /* to send; LH_WS_NO_CODE: none */
    uint8_t pong_n;
    bool pong_due;
    bool pinged;     /* nothing has come since */
    bool reads;      /* its task waits in httpd.read, */
    bool looks;      /* or in httpd.wait */
    bool sends_text; /* what httpd.write sends */
    bool close_due, close_sent;
    bool told;  /* httpd.read has told the end */
    bool gives; /* a message is being made a string, or could
                   not be for lack of memory */
};

/* A copy to keep; without memory it is none. */
static struct lh_str keep_words(struct lh_str words)
{
    char *own = words.n ? lh_memdup(words.p, words.n) : NULL;

    return (struct lh_str){own, own ? words.n : 0};
}

static void free_words(struct lh_str *words)
{
    lh_free((void *)(uintptr_t)words->p);
    *words = (struct lh_str){NULL, 0};
}

/* --- its end -------------------------------------------------------------- */

static void set_end(struct lh_websocket *ws, enum lh_outcome end, unsigned code,
                    struct lh_str reason)
{
    if (ws->end != LH_OUTCOME_PENDING)
        return;
    ws->end = end;
    ws->code = code;
    ws->reason = keep_words(reason);
}

/* Without a close frame. */
static void lose_connection(struct lh_websocket *ws, const char *why)
{
    set_end(ws, LH_OUTCOME_CLOSED, LH_WS_ABNORMAL, lh_str_of(why));
}

static void say_close(struct lh_websocket *ws, unsigned code,
                      struct lh_str reason)
{
    if (ws->close_due || ws->close_sent)
        return;
    ws->close_due = true;
    ws->close_code = (uint16_t)code;
    ws->close_reason = keep_words(reason);
}

/* --- sending -------------------------------------------------------------- */

/* Can it say anything more? */
static bool may_send(const struct lh_websocket *ws)
{
    const struct lh_exchange *ex = ws->task ? ws->task->ex : NULL;

    return ex && !ex->gone && ex->response.state == LH_RESPONSE_STARTED &&
           !ws->close_sent;
}

/* A control frame.  Without memory the connection is cut: a frame that lacks
 * would not be missed. */
static void send_control(struct lh_websocket *ws, uint8_t opcode, const void *p,
                         size_t n)
{
    struct lh_exchange *ex = ws->task->ex;
    uint8_t frame[LH_WS_OUR_HEAD_BYTES + LH_WS_CONTROL_BYTES];
    size_t head = lh_ws_head_put(frame, opcode, n);

    if (n)
        memcpy(frame + head, p, n);
    if (lh_exchange_write(ex, frame, head + n) == 0)
        return;
    lose_connection(ws, "out of memory");
    lh_exchange_fail(ex, 500);
}

static void send_close(struct lh_websocket *ws)
{
    uint8_t payload[LH_WS_CONTROL_BYTES] = {(uint8_t)(ws->close_code >> 8),
                                            (uint8_t)ws->close_code};
    struct lh_str reason = ws->close_reason;
    size_t n = ws->close_code == LH_WS_NO_CODE ? 0 : 2 + reason.n;

    if (reason.n)
        memcpy(payload + 2, reason.p, reason.n);
    send_control(ws, LH_WS_CLOSE, payload, n);
    ws->close_due = false;
    ws->close_sent = true;
}

/* Of several pings the last is answered (RFC 6455, 5.5.3), once there is room:
 * a client that does not read gets no queue of pongs. */
static void send_due(struct lh_websocket *ws)
{
    struct lh_exchange *ex = ws->task->ex;

    if (!may_send(ws) || lh_exchange_borrows(ex))
        return;
    if (ws->pong_due && lh_exchange_room(ex) > 0) {
        ws->pong_due = false;
        send_control(ws, LH_WS_PONG, ws->pong, ws->pong_n);
    }
    if (ws->close_due && may_send(ws))
        send_close(ws);
}

/* --- receiving ------------------------------------------------------------ */

/* Why the client's octets are refused, as httpd.read has it. */
static enum lh_outcome fault_outcome(unsigned code)
{
    if (code == LH_WS_TOO_LARGE)
        return LH_OUTCOME_TOO_LARGE;
    return code == LH_WS_OUR_ERROR ? LH_OUTCOME_CLOSED : LH_OUTCOME_MALFORMED;
}

static void arm_timer(struct lh_websocket *ws)
{
    struct lh_context *ctx = ws->task->vm->ctx;

    ws->seen = ws->task->ex->body_received;
    lh_timer_arm(&ctx->timers, &ws->timer,
                 lh_deadline(ctx->now_ms, ctx->limits->ws_ping_ms));
}

static void take_event(struct lh_websocket *ws, enum lh_ws_event event)
{
    struct lh_ws_reader *r = &ws->reader;
    struct lh_str reason = {(const char *)r->control, r->control_n};

    switch (event) {
    case LH_WS_MORE:
    case LH_WS_FULL:
        break;
    case LH_WS_PINGED:
        lh_free(ws->pong);
        ws->pong = r->control;
        ws->pong_n = r->control_n;
        r->control = NULL;
        ws->pong_due = true;
        break;
    case LH_WS_PONGED:
        ws->pinged = false;
        break;
    case LH_WS_CLOSED:
        set_end(ws, LH_OUTCOME_DONE, r->code, reason);
        arm_timer(ws); /* for messages that came before */
        break;
    case LH_WS_FAULTY:
        reason = lh_str_of(r->why);
        set_end(ws, fault_outcome(r->code), r->code, reason);
        say_close(ws, r->code, reason);
        break;
    }
}

/* Octets of the first message: those that wait, and those that its present
 * frame announces. */
static uint64_t first_bytes(const struct lh_ws_reader *r)
{
    const struct lh_ws_message *m = r->first;
    bool comes =
        r->in_frame && m == r->last && !lh_ws_is_control(r->head.opcode);

    return m ? m->n - m->at + (comes ? r->left : 0) : 0;
}

static bool first_is_long(const struct lh_websocket *ws)
{
    return first_bytes(&ws->reader) > ws->limit;
}

/* How much may wait while nobody is known to want it. */
static size_t most_ahead(const struct lh_websocket *ws)
{
    if (ws->reads && ws->piece > AHEAD_BYTES)
        return ws->piece + LH_WS_MESSAGE_BYTES;
    return AHEAD_BYTES;
}

/* A reader of whole messages gets them up to the limit; one that reads pieces,
 * or nothing now, holds the client back.  httpd.wait may be followed by either:
 * it has enough once a message is known to be longer than the limit. */
static void read_frames(struct lh_websocket *ws)
{
    struct lh_exchange *ex = ws->task->ex;
    bool whole = ws->reads && ws->piece == 0;
    size_t most = whole ? SIZE_MAX : most_ahead(ws);
    size_t limit = whole && !ws->looks ? lh_to_size(ws->limit) : SIZE_MAX;
    enum lh_ws_event event = LH_WS_MORE;
    const uint8_t *p;
    size_t n, used;

    while (ws->end == LH_OUTCOME_PENDING && event != LH_WS_FULL &&
           !(ws->looks && first_is_long(ws)) &&
           (p = lh_buf_peek(&ex->body, &n)) != NULL) {
        /* One that is there is enough. */
        if (whole && ws->reader.first && ws->reader.first->whole) {
            most = AHEAD_BYTES;
            limit = SIZE_MAX;
        }
        event = lh_ws_read(&ws->reader, p, n, most, limit, &used);
        lh_exchange_body_drop(ex, used);
        take_event(ws, event);
    }
    if (ex->body.n == 0 && ex->body_state != LH_BODY_OPEN)
        lose_connection(ws, "");
}

/* Messages that came before the end are read first, and may be answered. */
static bool websocket_is_over(const struct lh_websocket *ws)
{
    if (ws->end == LH_OUTCOME_DONE || ws->end == LH_OUTCOME_CLOSED)
        return !ws->reader.first;
    return ws->end != LH_OUTCOME_PENDING;
}

/* Both sides have closed, or one cannot go on: the connection ends once what
 * was written has left. */
static void end_tunnel(struct lh_websocket *ws)
{
    lh_timer_disarm(&ws->timer);
    if (ws->end == LH_OUTCOME_DONE)
        say_close(ws, ws->code, LH_STR(""));
    send_due(ws);
    if (!ws->close_due)
        lh_exchange_end(ws->task->ex);
}

/* What has come ahead may be for a reader of pieces; a reader of whole messages
 * gets none of it that is longer than the limit. */
static void refuse_long(struct lh_websocket *ws)
{
    struct lh_str why = LH_STR("a message over its limit");

    if (ws->piece || ws->looks || !first_is_long(ws))
        return;
    lh_ws_reader_deinit(&ws->reader);
    free_words(&ws->reason);
    ws->end = LH_OUTCOME_PENDING;
    set_end(ws, LH_OUTCOME_TOO_LARGE, LH_WS_TOO_LARGE, why);
    say_close(ws, LH_WS_TOO_LARGE, why);
}

void lh_websocket_turn(struct lh_websocket *ws)
{
    struct lh_exchange *ex = ws->task->ex;

    if (ws->reads)
        refuse_long(ws);
    if (!ex || ex->gone) {
        lose_connection(ws, "");
        lh_timer_disarm(&ws->timer);
        return;
    }
    read_frames(ws);
    send_due(ws);
    if (websocket_is_over(ws))
        end_tunnel(ws);
}

/* --- time ----------------------------------------------------------------- */

/* A client that is not read from may have answered long ago. */
static bool is_held_back(const struct lh_websocket *ws)
{
    return ws->task->ex->body.n > 0;
}

/* Nothing has come for ws_ping_ms since the ping, or since we have closed. */
static void give_websocket_up(struct lh_websocket *ws)
{
    lose_connection(ws, ws->close_sent ? "no close frame" : "no pong");
    if (ws->close_sent)
        lh_exchange_end(ws->task->ex);
    else
        lh_exchange_fail(ws->task->ex, 500);
    lh_task_ready(ws->task);
}

/* The client has said that it goes, and its messages of before were not read
 * for ws_ping_ms: it waits for no answer to them any longer.  They can be read
 * yet. */
static void answer_close(struct lh_websocket *ws)
{
    end_tunnel(ws);
    if (ws->close_due)
        arm_timer(ws); /* a message of ours is still leaving */
    lh_task_ready(ws->task);
}

/* Anything that comes is a sign of life.  While the client takes nothing there
 * is another time-out (send_timeout_ms). */
static void on_timer(struct lh_timer *timer)
{
    struct lh_websocket *ws = LH_OF(timer, struct lh_websocket, timer);
    struct lh_exchange *ex = ws->task->ex;

    if (!ex || ex->gone)
        return;
    if (ws->end != LH_OUTCOME_PENDING) {
        if (ws->end == LH_OUTCOME_DONE)
            answer_close(ws);
        return;
    }
    bool silent = ex->body_received == ws->seen && !is_held_back(ws);
    if (ws->close_sent || (silent && ws->pinged)) {
        give_websocket_up(ws);
        return;
    }
    if (silent && may_send(ws) && !lh_exchange_out_bytes(ex)) {
        ws->pinged = true;
        send_control(ws, LH_WS_PING, NULL, 0);
    } else if (!silent) {
        ws->pinged = false;
    }
    arm_timer(ws);
}

/* --- the object ----------------------------------------------------------- */

struct lh_websocket *lh_websocket_at(lua_State *L, int index)
{
    return lh_api_object(L, index, lh_vm_of(L)->websocket_meta);
}

void lh_websocket_check(lua_State *L, const struct lh_websocket *ws,
                        const struct lh_task *task, const char *function)
{
    if (ws->task != task)
        lh_api_error(L, "%s: the websocket is another handler's", function);
}

void lh_websocket_leave(struct lh_websocket *ws, bool failed)
{
    const struct lh_task *task = ws->task;
    unsigned code = failed ? LH_WS_OUR_ERROR : LH_WS_NORMAL;

    if (!may_send(ws))
        return;
    if (task->vm->stopping || task->cut)
        code = LH_WS_GOING_AWAY;
    say_close(ws, code, LH_STR(""));
    send_due(ws);
    if (ws->close_sent)
        lh_exchange_end(task->ex);
}

/* Messages that were left to their VM, see end_websocket(). */
void lh_websocket_free_left(struct lh_vm *vm)
{
    struct lh_ws_reader all = {.first = vm->left_messages};

    vm->left_messages = NULL;
    lh_ws_reader_deinit(&all);
}

/* A finalizer that does this while a message becomes a string leaves the
 * message to the VM. */
static void leave_messages(struct lh_websocket *ws, struct lh_vm *vm)
{
    struct lh_ws_reader *r = &ws->reader;

    if (!ws->gives || !r->first)
        return;
    r->last->next = vm->left_messages;
    vm->left_messages = r->first;
    r->first = r->last = NULL;
}

/* Twice is once. */
static void end_websocket(struct lh_websocket *ws, struct lh_vm *vm)
{
    lh_list_remove(&ws->bound.link);
    lh_timer_disarm(&ws->timer);
    if (ws->task) {
        lh_websocket_leave(ws, false);
        lose_connection(ws, "");
        ws->task->websocket = NULL;
    }
    ws->task = NULL;
    leave_messages(ws, vm);
    ws->gives = false;
    lh_ws_reader_deinit(&ws->reader);
}

static void websocket_ended(struct lh_bound *bound)
{
    struct lh_websocket *ws = LH_OF(bound, struct lh_websocket, bound);

    end_websocket(ws, ws->task->vm);
}

/* The collector's, 5.4's at the end of a block, and any script's that finds it
 * in the metatable. */
static int collect_websocket(lua_State *L)
{
    struct lh_websocket *ws = lh_websocket_at(L, 1);

    if (!ws)
        return 0;
    struct lh_task *task = ws->task;
    end_websocket(ws, lh_vm_of(L));
    if (task)
        lh_task_ready(task); /* it may wait for this one */
    free_words(&ws->reason);
    free_words(&ws->close_reason);
    free_words(&ws->protocol);
    lh_free(ws->pong);
    ws->pong = NULL;
    ws->pong_n = 0;
    return 0;
}

/* Words of a websocket, which a script's finalizer may end while a string is
 * made: so the string is made of a copy, and is empty where that came first. */
static void push_words(lua_State *L, const struct lh_str *words)
{
    char *copy = lua_newuserdata(L, words->n + 1);
    size_t n = words->n;

    if (n)
        memcpy(copy, words->p, n);
    lua_pushlstring(L, copy, n);
}

/* code and reason once it is closed, and the protocol. */
static int websocket_index(lua_State *L)
{
    const struct lh_websocket *ws = lh_websocket_at(L, 1);
    const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";

    if (ws && strcmp(key, "code") == 0 && ws->code)
        lua_pushinteger(L, (lua_Integer)ws->code);
    else if (ws && strcmp(key, "reason") == 0 && ws->code)
        push_words(L, &ws->reason);
    else if (ws && strcmp(key, "protocol") == 0 && ws->protocol.p)
        push_words(L, &ws->protocol);
    else
        lua_pushnil(L);
    return 1;
}

static int websocket_text(lua_State *L)
{
    const struct lh_websocket *ws = lh_websocket_at(L, 1);

    lua_pushfstring(L, "websocket (%s)",
                    ws && ws->end == LH_OUTCOME_PENDING ? "open" : "closed");
    return 1;
}

void lh_websocket_prepare(lua_State *L, struct lh_vm *vm)
{
    static const luaL_Reg meta[] = {
        {"__gc", collect_websocket},
        {"__close", collect_websocket},
        {"__index", websocket_index},
        {"__tostring", websocket_text},
        {NULL, NULL},
    };

    lh_api_push_kind(L, vm, meta, "websocket");
    vm->websocket_meta = luaL_ref(L, LUA_REGISTRYINDEX);
}

/* --- httpd.websocket ------------------------------------------------------ */

/* Of the table at index 1, as a message's limit; raises for what is none.  No
 * metamethod is asked: it could open another one. */
static uint64_t bytes_option(lua_State *L, const struct lh_vm *vm)
{
    static const char *const names[] = {"protocols", "message_bytes", NULL};
    uint64_t limit = vm->ctx->limits->ws_message_bytes;
    lua_Number n;

    if (!lh_api_options(L, 1, "httpd.websocket", names))
        return limit;
    lua_pushliteral(L, "message_bytes");
    lua_rawget(L, 1);
    if (!lua_isnil(L, -1)) {
        n = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : 0;
        if (!(n >= 1 && n <= 9e15))
            lh_api_error(L, "bad argument #1 to 'httpd.websocket' "
                            "(message_bytes is a number from 1)");
        limit = (uint64_t)n;
    }
    lua_pop(L, 1);
    return limit;
}

/* The first of the script's list that the client offers is left on the stack;
 * nil where there is none. */
static void push_protocol(lua_State *L, struct lh_exchange *ex)
{
    struct lh_str s;

    if (!lua_istable(L, 1)) {
        lua_pushnil(L);
        return;
    }
    lua_pushliteral(L, "protocols");
    lua_rawget(L, 1);
    int list = lua_gettop(L);
    if (!lua_istable(L, list) && !lua_isnil(L, list))
        lh_api_error(L, "bad argument #1 to 'httpd.websocket' (protocols is an "
                        "array)");
    int count = lua_istable(L, list) ? (int)lh_lua_len(L, list) : 0;
    for (int i = 1; i <= count; i++) {
        lua_rawgeti(L, list, i);
        s.p = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &s.n) : "";
        if (!*s.p || !lh_field_name_valid(s))
            lh_api_error(L,
                         "bad argument #1 to 'httpd.websocket' (protocol %d "
                         "is no token)",
                         i);
        if (lh_ws_offers(ex, s))
            return;
        lua_pop(L, 1);
    }
    lua_pushnil(L);
}

/* It has its metatable before it is anybody's, so that it is collected in any
 * case. */
static struct lh_websocket *push_websocket(lua_State *L, struct lh_task *task)
{
    struct lh_websocket *ws = lua_newuserdata(L, sizeof(*ws));

    memset(ws, 0, sizeof(*ws));
    lh_list_init(&ws->bound.link);
    ws->bound.on_task_end = websocket_ended;
    lh_timer_init(&ws->timer, on_timer);
    lua_rawgeti(L, LUA_REGISTRYINDEX, task->vm->websocket_meta);
    lua_setmetatable(L, -2);
    return ws;
}

/* The protocol's name is at `index`, or nil. */
static bool keep_protocol(lua_State *L, int index, struct lh_websocket *ws,
                          struct lh_exchange *ex, struct lh_str *protocol)
{
    *protocol = (struct lh_str){NULL, 0};
    if (lua_isnil(L, index))
        return true;
    protocol->p = lua_tolstring(L, index, &protocol->n);
    ws->protocol = keep_words(*protocol);
    *protocol = lh_arena_copy(&ex->arena, protocol->p, protocol->n);
    return ws->protocol.p && protocol->p;
}

/* What the client is answered, unless the script says something else. */
static int refuse_client(lua_State *L, struct lh_exchange *ex, unsigned status,
                         const char *why)
{
    ex->usual_status = (uint16_t)status;
    lua_pushnil(L);
    lua_pushstring(L, why);
    return 2;
}

/* What must not be called where there is a response already, or no client. */
static bool check_new(lua_State *L, const struct lh_task *task)
{
    if (task->websocket)
        lh_api_error(L, "httpd.websocket: the request has one already");
    if (!task->ex || task->ex->gone || task->cut)
        return false;
    if (task->ex->response.state != LH_RESPONSE_NONE)
        lh_api_error(L, "httpd.websocket: header already sent");
    return true;
}

/* The task looks at it once more in this turn, for frames that have come
 * already. */
static int open_websocket(lua_State *L, struct lh_task *task, uint64_t limit)
{
    struct lh_exchange *ex = task->ex;
    struct lh_websocket *ws = push_websocket(L, task);
    struct lh_str protocol;

    if (!keep_protocol(L, -2, ws, ex, &protocol) || lh_ws_accept(ex, protocol))
        return lh_api_error(L, "not enough memory");
    ws->limit = limit;
    ws->task = task;
    task->websocket = ws;
    lh_api_note_line(L, task, 1);
    lh_list_append(&task->bound, &ws->bound.link);
    arm_timer(ws);
    lh_task_ready(task);
    return 1;
}

static int httpd_websocket(lua_State *L)
{
    struct lh_task *task = lh_api_task(L, "httpd.websocket");
    const char *why;

    if (!task)
        return lh_api_refuse(L);
    if (!lua_isnoneornil(L, 1) && !lua_istable(L, 1))
        return lh_api_argument_error(L, 1, "httpd.websocket", "table");
    uint64_t limit = bytes_option(L, task->vm);
    if (!check_new(L, task)) {
        lua_pushnil(L);
        lua_pushliteral(L, "closed");
        return 2;
    }
    unsigned status = lh_ws_handshake_check(task->ex, &why);
    if (status)
        return refuse_client(L, task->ex, status, why);
    push_protocol(L, task->ex);
    return open_websocket(L, task, limit);
}

/* --- httpd.read ----------------------------------------------------------- */

/* Is the first message there, or as much of it as was asked for? */
static bool has_message(const struct lh_websocket *ws)
{
    const struct lh_ws_message *m = ws->reader.first;

    return m && (m->whole || (ws->piece && m->n - m->at >= ws->piece));
}

bool lh_websocket_readable(struct lh_websocket *ws)
{
    if (!ws->task)
        return true;
    ws->reads = ws->looks = true;
    ws->piece = 0;
    lh_websocket_turn(ws);
    ws->reads = ws->looks = false;
    return has_message(ws) || first_is_long(ws) ||
           ws->end != LH_OUTCOME_PENDING;
}

/* What ends a wait comes before messages, as for a subscription.  What has come
 * before the end is read first. */
static enum lh_outcome poll_ws_message(struct lh_task *task, lua_State *L)
{
    struct lh_websocket *ws = task->websocket;

    (void)L;
    if (task->cut || !ws)
        return LH_OUTCOME_CLOSED;
    ws->reads = true;
    lh_websocket_turn(ws);
    ws->reads = task->wait_step == LH_WAIT_STARTED;
    if (task->vm->stopping && !task->told)
        return LH_OUTCOME_STOPPING;
    if (has_message(ws))
        return LH_OUTCOME_DONE;
    if (ws->end != LH_OUTCOME_PENDING)
        return ws->told ? LH_OUTCOME_CLOSED : ws->end;
    return task->timed_out ? LH_OUTCOME_TIMEOUT : LH_OUTCOME_PENDING;
}

/* Frames that come from now on are for the reader. */
static void start_ws_reading(struct lh_task *task)
{
    task->websocket->reads = true;
}

static void stop_ws_reading(struct lh_task *task)
{
    if (task->websocket)
        task->websocket->reads = false;
}

/* How much of the first message the call gets, and whether more of it follows.
 */
static size_t message_part(const struct lh_websocket *ws, bool *more)
{
    const struct lh_ws_message *m = ws->reader.first;
    size_t n = m->n - m->at;

    if (ws->piece && n > ws->piece)
        n = ws->piece;
    *more = !m->whole || n < m->n - m->at;
    return n;
}

static int push_ws_message(lua_State *L, struct lh_task *task)
{
    struct lh_websocket *ws = task->websocket;

    if (task->outcome != LH_OUTCOME_DONE) {
        if (ws && task->outcome != LH_OUTCOME_STOPPING)
            ws->told |= ws->end != LH_OUTCOME_PENDING;
        return lh_api_answer(L, task, task->outcome);
    }
    if (!ws || !has_message(ws)) {
        if (ws)
            ws->told = true;
        lua_pushnil(L);
        return 1;
    }
    const struct lh_ws_message *m = ws->reader.first;
    bool more;
    size_t n = message_part(ws, &more);
    lh_websocket_free_left(task->vm);
    ws->gives = true;
    lua_pushlstring(L, n ? (const char *)m->p + m->at : "", n);
    lua_pushstring(L, m->text ? "text" : "binary");
    if (ws->gives)
        lh_ws_take(&ws->reader, n);
    ws->gives = false;
    if (ws->end == LH_OUTCOME_DONE && task->ex && lh_timer_armed(&ws->timer))
        arm_timer(ws); /* there may be more, and an answer to this one */
    if (more)
        lua_pushboolean(L, true);
    return more ? 3 : 2;
}

static const struct lh_wait ws_read_wait = {
    .poll = poll_ws_message,
    .start = start_ws_reading,
    .cancel = stop_ws_reading,
    .finish = push_ws_message,
    .keeps_handle = true,
};

int lh_websocket_read_begin(lua_State *L, struct lh_task *task)
{
    struct lh_websocket *ws = lh_websocket_at(L, 1);
    lua_Number n = 0;

    if (!ws->task && !task->websocket)
        return lh_api_answer(L, task, LH_OUTCOME_CLOSED);
    lh_websocket_check(L, ws, task, "httpd.read");
    if (!lua_isnoneornil(L, 2)) {
        n = lua_type(L, 2) == LUA_TNUMBER ? lua_tonumber(L, 2) : 0;
        if (!(n >= 1) || floor((double)n) != (double)n)
            return lh_api_error(L, "bad argument #2 to 'httpd.read' (of a "
                                   "websocket: how many bytes, from 1)");
    }
    ws->piece = n < (lua_Number)(SIZE_MAX / 8) ? (size_t)n : SIZE_MAX / 8;
    ws->piece = lh_min(ws->piece, lh_to_size(ws->limit));
    return lh_api_begin(L, task, &ws_read_wait,
                        lh_api_timeout(L, 3, "httpd.read"));
}

/* --- httpd.write ---------------------------------------------------------- */

/* As for a body: a small message that does not fit waits for what is there. */
static bool message_must_wait(const struct lh_exchange *ex, size_t n)
{
    size_t room = lh_exchange_room(ex);

    return lh_exchange_borrows(ex) || room == 0 ||
           (n <= COPY_BYTES && n > room && ex->response.bytes.n > 0);
}

static bool message_is_copied(const struct lh_exchange *ex, size_t n)
{
    return n <= COPY_BYTES && n <= lh_exchange_room(ex);
}

/* Head and octets in one step.  A message that is lent has left before the call
 * returns, so its string needs no keeping beyond it. */
static int give_message(struct lh_task *task)
{
    struct lh_exchange *ex = task->ex;
    struct lh_websocket *ws = task->websocket;
    size_t n = task->data.n;
    uint8_t head[LH_WS_OUR_HEAD_BYTES];
    size_t head_n =
        lh_ws_head_put(head, ws->sends_text ? LH_WS_TEXT : LH_WS_BINARY, n);
    bool copied = message_is_copied(ex, n);
    int error = lh_exchange_write(ex, head, head_n);

    if (!error)
        error = copied ? lh_exchange_write(ex, task->data.p, n)
                       : lh_exchange_lend(ex, task->data.p, n);
    return error;
}

/* Lending begins once the wait has: nothing is left behind where it cannot. */
static enum lh_outcome poll_ws_write(struct lh_task *task, lua_State *L)
{
    struct lh_websocket *ws = task->websocket;
    bool begun = task->data.done;

    (void)L;
    if (task->cut || !ws || !may_send(ws) || ws->close_due)
        return LH_OUTCOME_CLOSED;
    if (begun)
        return lh_exchange_borrows(task->ex) ? LH_OUTCOME_PENDING
                                             : LH_OUTCOME_DONE;
    bool waits = message_must_wait(task->ex, task->data.n);
    if (waits && task->timed_out)
        return LH_OUTCOME_TIMEOUT;
    if (waits || (!message_is_copied(task->ex, task->data.n) &&
                  task->wait_step != LH_WAIT_STARTED))
        return LH_OUTCOME_PENDING;
    if (give_message(task)) {
        lose_connection(ws, "out of memory");
        lh_exchange_fail(task->ex, 500);
        return LH_OUTCOME_MEMORY;
    }
    task->data.done = 1;
    return lh_exchange_borrows(task->ex) ? LH_OUTCOME_PENDING : LH_OUTCOME_DONE;
}

static int push_written_bytes(lua_State *L, struct lh_task *task)
{
    if (task->outcome != LH_OUTCOME_DONE)
        return lh_api_answer(L, task, task->outcome);
    lua_pushinteger(L, (lua_Integer)task->data.n);
    return 1;
}

static const struct lh_wait ws_write_wait = {
    .poll = poll_ws_write,
    .start = lh_task_ready,
    .finish = push_written_bytes,
    .keeps_data = true,
};

/* Text unless it is called binary; a text that is not UTF-8 would end the
 * connection at the other side. */
static void check_kind(lua_State *L, const struct lh_task *task)
{
    struct lh_utf8 utf8 = {0, 0, 0};
    const char *kind = lua_isnoneornil(L, 3) ? "text" : lua_tostring(L, 3);
    const uint8_t *p = (const uint8_t *)task->data.p;

    task->websocket->sends_text = kind && strcmp(kind, "text") == 0;
    if (!kind || (strcmp(kind, "text") != 0 && strcmp(kind, "binary") != 0))
        lh_api_error(L, "bad argument #3 to 'httpd.write' ('text' or 'binary' "
                        "expected)");
    if (task->websocket->sends_text &&
        !(lh_utf8_feed(&utf8, p, task->data.n) && lh_utf8_ends(&utf8)))
        lh_api_error(L, "httpd.write: the text is not UTF-8; send it as "
                        "'binary'");
}

int lh_websocket_write_begin(lua_State *L, struct lh_task *task)
{
    struct lh_websocket *ws = lh_websocket_at(L, 1);

    if (!ws->task && !task->websocket)
        return lh_api_answer(L, task, LH_OUTCOME_CLOSED);
    lh_websocket_check(L, ws, task, "httpd.write");
    check_kind(L, task);
    task->data.done = 0;
    return lh_api_begin(L, task, &ws_write_wait,
                        lh_api_timeout(L, 4, "httpd.write"));
}

/* --- httpd.close ---------------------------------------------------------- */

/* Of index 2 and 3; raises for what no close frame may have. */
static unsigned close_arguments(lua_State *L, struct lh_str *reason)
{
    struct lh_utf8 utf8 = {0, 0, 0};
    lua_Number n = LH_WS_NORMAL;

    if (!lua_isnoneornil(L, 2))
        n = lua_type(L, 2) == LUA_TNUMBER ? lua_tonumber(L, 2) : 0;
    if (!(n >= 1000 && n <= 4999) || !lh_ws_code_valid((unsigned)n))
        lh_api_error(L, "bad argument #2 to 'httpd.close' (not a close code)");
    *reason = LH_STR("");
    if (!lua_isnoneornil(L, 3))
        reason->p = lh_api_text(L, 3, &reason->n);
    if (!reason->p || reason->n > LH_WS_REASON_BYTES ||
        !lh_utf8_feed(&utf8, (const uint8_t *)reason->p, reason->n) ||
        !lh_utf8_ends(&utf8))
        lh_api_error(L,
                     "bad argument #3 to 'httpd.close' (a reason is UTF-8 "
                     "of at most %d bytes)",
                     LH_WS_REASON_BYTES);
    return (unsigned)n;
}

/* websocket_close(value, code, reason): the part of httpd.close; false: it is
 * none.  The client has ws_ping_ms for its answer. */
static int websocket_close(lua_State *L)
{
    struct lh_websocket *ws = lh_websocket_at(L, 1);
    struct lh_str reason;

    lua_settop(L, 3);
    if (ws) {
        unsigned code = close_arguments(L, &reason);
        if (ws->task && may_send(ws) && !ws->close_due) {
            say_close(ws, code, reason);
            send_due(ws);
            arm_timer(ws);
        }
    }
    lua_pushboolean(L, ws != NULL);
    return 1;
}

const luaL_Reg lh_websocket_functions[] = {
    {"websocket", httpd_websocket},
    {NULL, NULL},
};

const luaL_Reg lh_websocket_begins[] = {
    {"websocket_close", websocket_close},
    {NULL, NULL},
};
