/*
 * httpd.read: the request's body.  Octets go from the exchange into the task's
 * input, as many as the call may use, and from there to the script, so that a
 * call that fails or times out loses nothing.
 */
#include "base/num.h"
#include "lua/api.h"
#include "lua/subscription.h"
#include "lua/file.h"
#include "lua/form.h"
#include "lua/socket.h"
#include "lua/websocket.h"

#define STEP_BYTES ((size_t)4 << 10)

/* Takes up to `n` octets out of the exchange, which makes room for the client's
 * next ones.  False: no memory. */
static bool take_body(struct lh_task *task, size_t n)
{
    struct lh_input *in = &task->input;

    n = lh_min(n, task->ex->body.n);
    if (n == 0)
        return true;
    if (!lh_input_room(in, n))
        return false;
    in->n += lh_exchange_read(task->ex, in->p + in->n, n);
    return true;
}

/* By steps, so that what is behind the line stays in the exchange. */
static bool pull_line(struct lh_task *task)
{
    size_t seen = 0;

    while (!lh_input_line(&task->input, seen) && task->ex->body.n &&
           lh_input_bytes(&task->input) <= LH_TEXT_MAX) {
        seen = lh_input_bytes(&task->input);
        if (!take_body(task, STEP_BYTES))
            return false;
    }
    return true;
}

/* As much as the call can use, no more.  False: no memory. */
static bool pull_wanted(struct lh_task *task)
{
    if (task->read.mode == LH_READ_LINE || task->read.mode == LH_READ_LINE_END)
        return pull_line(task);
    return lh_read_asks(&task->read) ||
           take_body(task, lh_read_wants(&task->read, &task->input));
}

/* What the call may have now without waiting for more. */
static enum lh_outcome have_enough(const struct lh_task *task)
{
    if (lh_read_asks(&task->read) && task->ex->body.n)
        return LH_OUTCOME_DONE;
    return lh_read_enough(task->vm, &task->read, &task->input);
}

static enum lh_outcome body_outcome(const struct lh_task *task)
{
    enum lh_outcome outcome = lh_api_body_outcome(task->ex->body_state);

    /* A client that sends no more may have sent all of it. */
    return outcome == LH_OUTCOME_PENDING && task->cut ? LH_OUTCOME_CLOSED
                                                      : outcome;
}

/* Octets that are there win over a body that was cut, and over the time-out. */
static enum lh_outcome poll_body(struct lh_task *task, lua_State *L)
{
    enum lh_outcome outcome;

    (void)L;
    if (!task->ex)
        return LH_OUTCOME_CLOSED;
    if (!pull_wanted(task))
        return LH_OUTCOME_MEMORY;
    outcome = have_enough(task);
    if (outcome == LH_OUTCOME_PENDING)
        outcome = body_outcome(task);
    if (outcome == LH_OUTCOME_PENDING && task->timed_out)
        outcome = LH_OUTCOME_TIMEOUT;
    return outcome;
}

/* The number 0 asks whether there is anything: "", or nil at the end.  What is
 * too large for one string can still be read in pieces; a handler that does
 * not, and has no answer, answers 413. */
static int push_body(lua_State *L, struct lh_task *task)
{
    if (task->outcome == LH_OUTCOME_TOO_LARGE)
        lh_exchange_blame_body(task->ex, 413);
    if (task->outcome != LH_OUTCOME_DONE)
        return lh_api_answer(L, task, task->outcome);
    if (task->ex)
        lh_exchange_forgive_body(task->ex);
    if (lh_read_asks(&task->read) && task->ex->body.n) {
        lua_pushliteral(L, "");
        return 1;
    }
    return lh_read_push(L, &task->read, &task->input);
}

static const struct lh_wait read_wait = {
    .poll = poll_body,
    .start = lh_task_start_body,
    .cancel = lh_task_stop_body,
    .finish = push_body,
};

/* Of another stream than the client. */
static int read_other_begin(lua_State *L, struct lh_task *task)
{
    if (lh_file_is_first(L))
        return lh_file_read_begin(L, task);
    if (lh_subscription_is_first(L))
        return lh_subscription_read_begin(L, task);
    if (lh_websocket_at(L, 1))
        return lh_websocket_read_begin(L, task);
    if (lh_part_is_first(L))
        return lh_part_read_begin(L, task);
    if (lh_socket_at(L, 1))
        return lh_socket_read_begin(L, task);
    return lh_file_no_stream(L, "httpd.read",
                             "socket, subscription, websocket, part or nil");
}

static int read_begin(lua_State *L)
{
    struct lh_task *task = lh_api_task(L, "httpd.read");

    if (!task)
        return lh_api_refuse(L);
    if (!lua_isnoneornil(L, 1))
        return read_other_begin(L, task);
    if (task->websocket)
        return lh_api_error(L, "httpd.read: the request is a websocket now");
    if (task->form)
        return lh_api_error(L, "httpd.read: httpd.multipart reads the body");
    lh_read_mode(L, &task->read);
    return lh_api_begin(L, task, &read_wait,
                        lh_api_timeout(L, 3, "httpd.read"));
}

const luaL_Reg lh_read_begins[] = {
    {"read_begin", read_begin},
    {NULL, NULL},
};
