/*
 * httpd.publish and httpd.subscribe: see subscription.h.  The queue of a
 * subscriber, and what fills it, is in base/channel.h.
 *
 * What always holds: a subscription that is open has a channel and is bound to
 * a task; one whose reader waits is anchored by that, so it is not collected.
 */
#include "lua/subscription.h"

#include "base/channel.h"
#include "base/hub.h"
#include "lua/api.h"

/* Messages that may wait for a subscriber. */
#define QUEUE_DEFAULT 64
#define QUEUE_MAX     65536

struct lh_subscription {
    struct lh_bound bound;
    struct lh_subscriber subscriber;
    struct lh_vm *vm;
    struct lh_task *reader; /* waits in httpd.read */
};

/* --- the object ----------------------------------------------------------- */

static bool is_subscription(lua_State *L, int index)
{
    return lh_api_object(L, index, lh_vm_of(L)->subscription_meta) != NULL;
}

bool lh_subscription_is_first(lua_State *L)
{
    return is_subscription(L, 1);
}

/* For its methods: raises unless the first argument is one. */
static struct lh_subscription *check_subscription(lua_State *L,
                                                  const char *function)
{
    if (!is_subscription(L, 1))
        lh_api_argument_error(L, 1, function, "subscription");
    return lua_touserdata(L, 1);
}

/* Twice is once.  Who waits learns it. */
static void end_subscription(struct lh_subscription *s)
{
    lh_list_remove(&s->bound.link);
    if (!s->subscriber.channel)
        return;
    lh_channels_unsubscribe(s->vm->ctx->channels, &s->subscriber);
    if (s->reader)
        lh_task_ready(s->reader);
}

static void subscriber_ended(struct lh_bound *bound)
{
    end_subscription(LH_OF(bound, struct lh_subscription, bound));
}

/* Between two turns of the script: nothing runs in the VM now. */
static void on_message(struct lh_subscriber *subscriber)
{
    struct lh_subscription *s =
        LH_OF(subscriber, struct lh_subscription, subscriber);

    if (s->reader)
        lh_task_ready(s->reader);
}

/* The collector's, 5.4's at the end of a block, and any script's that finds it
 * in the metatable. */
static int collect_subscription(lua_State *L)
{
    if (is_subscription(L, 1))
        end_subscription(lua_touserdata(L, 1));
    return 0;
}

/* Also once it is closed. */
static int subscription_dropped(lua_State *L)
{
    const struct lh_subscription *s = check_subscription(L, "dropped");

    lh_lua_push_count(L, s->subscriber.dropped);
    return 1;
}

static int subscription_text(lua_State *L)
{
    const struct lh_subscription *s = check_subscription(L, "tostring");

    lua_pushfstring(L, "subscription (%s)",
                    s->subscriber.channel ? "open" : "closed");
    return 1;
}

void lh_subscription_prepare(lua_State *L, struct lh_vm *vm)
{
    static const luaL_Reg meta[] = {
        {"__gc", collect_subscription},
        {"__close", collect_subscription},
        {"__tostring", subscription_text},
        {NULL, NULL},
    };
    static const luaL_Reg methods[] = {
        {"dropped", subscription_dropped},
        {NULL, NULL},
    };

    lh_api_push_kind(L, vm, meta, "subscription");
    lua_newtable(L);
    lh_api_register(L, vm, methods);
    lua_setfield(L, -2, "__index");
    vm->subscription_meta = luaL_ref(L, LUA_REGISTRYINDEX);
}

/* --- httpd.subscribe ------------------------------------------------------ */

static struct lh_str text_argument(lua_State *L, int index,
                                   const char *function)
{
    struct lh_str s = {NULL, 0};

    s.p = lh_api_text(L, index, &s.n);
    if (!s.p)
        lh_api_argument_error(L, index, function, "string");
    return s;
}

static int too_large(lua_State *L)
{
    lua_pushnil(L);
    lua_pushliteral(L, "too large");
    return 2;
}

/* Of the table at index 2; raises for what is no such number. */
static unsigned queue_option(lua_State *L)
{
    static const char *const names[] = {"queue", NULL};
    lua_Number n = QUEUE_DEFAULT;

    if (!lh_api_options(L, 2, "httpd.subscribe", names))
        return QUEUE_DEFAULT;
    lua_pushliteral(L, "queue");
    lua_rawget(L, 2);
    if (lua_type(L, -1) == LUA_TNUMBER)
        n = lua_tonumber(L, -1);
    else if (!lua_isnil(L, -1))
        n = 0;
    if (!(n >= 1 && n <= QUEUE_MAX))
        lh_api_error(L,
                     "bad argument #2 to 'httpd.subscribe' (queue is a number "
                     "from 1 to %d)",
                     QUEUE_MAX);
    lua_pop(L, 1);
    return (unsigned)n;
}

/* It has its metatable before it subscribes, so that it is collected in any
 * case. */
static struct lh_subscription *push_subscription(lua_State *L, struct lh_vm *vm)
{
    struct lh_subscription *s = lua_newuserdata(L, sizeof(*s));

    *s = (struct lh_subscription){.vm = vm};
    lh_list_init(&s->bound.link);
    lh_list_init(&s->subscriber.link);
    s->bound.on_task_end = subscriber_ended;
    s->subscriber.on_message = on_message;
    lua_rawgeti(L, LUA_REGISTRYINDEX, vm->subscription_meta);
    lua_setmetatable(L, -2);
    return s;
}

/* While a script loads there is no request, so there it raises. */
static int subscribe(lua_State *L)
{
    struct lh_task *task = lh_api_task(L, "httpd.subscribe");
    struct lh_vm *vm = lh_vm_of(L);

    if (!task)
        return lh_api_refuse(L);
    struct lh_str name = text_argument(L, 1, "httpd.subscribe");
    unsigned most = queue_option(L);
    if (!vm->ctx->channels)
        return lh_api_error(L, "httpd.subscribe: there is no server here");
    if (name.n > LH_CHANNEL_NAME_MAX)
        return too_large(L);
    struct lh_subscription *s = push_subscription(L, vm);
    if (lh_channels_subscribe(vm->ctx->channels, &s->subscriber, name, most))
        return lh_api_error(L, "not enough memory");
    lh_list_append(&task->bound, &s->bound.link);
    return 1;
}

/* unsubscribe(value): the part of httpd.close; false: it is none. */
static int unsubscribe(lua_State *L)
{
    bool is = lh_subscription_is_first(L);

    if (is)
        end_subscription(lua_touserdata(L, 1));
    lua_pushboolean(L, is);
    return 1;
}

/* --- httpd.read ----------------------------------------------------------- */

/* What ends a wait comes before messages, or a handler that lags behind would
 * not learn of a stop; none is lost by that. */
static enum lh_outcome poll_message(struct lh_task *task, lua_State *L)
{
    const struct lh_subscriber *s = &task->reads->subscriber;

    (void)L;
    if (task->cut || !s->channel)
        return LH_OUTCOME_CLOSED;
    if (task->vm->stopping && !task->told)
        return LH_OUTCOME_STOPPING;
    if (task->ex && lh_task_is_closed(task))
        return LH_OUTCOME_CLOSED;
    if (lh_subscriber_first(s))
        return LH_OUTCOME_DONE;
    return task->timed_out ? LH_OUTCOME_TIMEOUT : LH_OUTCOME_PENDING;
}

/* The client is not kept waiting for what was written before. */
static void start_reading(struct lh_task *task)
{
    task->reads->reader = task;
    if (task->ex)
        lh_exchange_release(task->ex);
}

static void stop_reading(struct lh_task *task)
{
    task->reads->reader = NULL;
}

/* The message leaves the queue once it is a string.  Making that may run a
 * finalizer, which may close the subscription, or raise: so the VM has a share
 * of the message meanwhile. */
static int push_published(lua_State *L, struct lh_task *task)
{
    struct lh_subscriber *s = &task->reads->subscriber;
    struct lh_publication **given = &task->vm->given;

    if (task->outcome != LH_OUTCOME_DONE)
        return lh_api_answer(L, task, task->outcome);
    if (!lh_subscriber_first(s)) /* closed since the wait is over */
        return lh_api_answer(L, task, LH_OUTCOME_CLOSED);
    lh_publication_drop(*given);
    *given = lh_subscriber_first(s);
    lh_publication_hold(*given);
    lua_pushlstring(L, (*given)->data.p, (*given)->data.n);
    if (lh_subscriber_first(s))
        lh_subscriber_next(s);
    lh_publication_drop(*given);
    *given = NULL;
    return 1;
}

static const struct lh_wait message_wait = {
    .poll = poll_message,
    .start = start_reading,
    .cancel = stop_reading,
    .finish = push_published,
    .keeps_handle = true,
};

struct lh_subscription *lh_subscription_check_free(lua_State *L, int index,
                                                   const char *function)
{
    if (!is_subscription(L, index))
        return NULL;
    struct lh_subscription *s = lua_touserdata(L, index);
    if (!s->subscriber.channel)
        lh_api_error(L, "%s: the subscription is closed", function);
    if (s->reader)
        lh_api_error(L, "%s: another handler waits for the subscription",
                     function);
    return s;
}

bool lh_subscription_readable(const struct lh_subscription *s)
{
    return !s->subscriber.channel || lh_subscriber_first(&s->subscriber);
}

void lh_subscription_watch(struct lh_subscription *s, struct lh_task *reader)
{
    s->reader = reader;
}

int lh_subscription_read_begin(lua_State *L, struct lh_task *task)
{
    struct lh_subscription *s = lua_touserdata(L, 1);

    if (!lua_isnoneornil(L, 2))
        return lh_api_error(L, "bad argument #2 to 'httpd.read' (nil expected: "
                               "a subscription gives whole messages)");
    lh_subscription_check_free(L, 1, "httpd.read");
    uint64_t timeout_ms = lh_api_timeout(L, 3, "httpd.read");
    task->reads = s;
    return lh_api_begin(L, task, &message_wait, timeout_ms);
}

/* --- httpd.publish -------------------------------------------------------- */

/* Also while the script loads, when nobody subscribes yet, and in finalizers:
 * it never waits. */
static int publish(lua_State *L)
{
    struct lh_str name = text_argument(L, 1, "httpd.publish");
    struct lh_str text = text_argument(L, 2, "httpd.publish");
    struct lh_hub *hub = lh_vm_of(L)->ctx->hub;
    int r = hub ? hub->publish(hub, name, text) : 0;

    if (r == LHTTPD_EINVAL)
        return too_large(L);
    if (r < 0)
        return lh_api_error(L, "not enough memory");
    lua_pushboolean(L, 1);
    return 1;
}

const luaL_Reg lh_subscription_functions[] = {
    {"publish", publish},
    {"subscribe", subscribe},
    {NULL, NULL},
};

const luaL_Reg lh_subscription_begins[] = {
    {"unsubscribe", unsubscribe},
    {NULL, NULL},
};
