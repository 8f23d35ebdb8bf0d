/*
 * Scripts that do not stop: see kill.h.
 *
 * What always holds: a signal finds in vm->kill.chain only states that are
 * alive, since the main state, the handler's coroutine and `anchors` keep them;
 * and no hook outlives its run, for one that finds `on` false takes itself
 * away.
 */
#include "lua/kill.h"

#include "lua/api.h"
#include "os/clock.h"
#include "os/interrupt.h"

/* So many errors in a run, and then another way is looked for. */
#define RAISED_MAX 100

/* --- the hook ------------------------------------------------------------- */

/* Where the script is: what the functions of httpd are made of does not count.
 */
static void push_place(lua_State *L, lua_State *of)
{
    lua_Debug ar;

    for (int level = 0; lua_getstack(of, level, &ar); level++) {
        lua_getinfo(of, "Sl", &ar);
        if (ar.currentline <= 0 || strcmp(ar.source, "=httpd") == 0)
            continue;
        lua_pushfstring(L, "%s:%d: ", ar.short_src, ar.currentline);
        return;
    }
    lua_pushliteral(L, "");
}

void lh_kill_push_message(lua_State *L, lua_State *of, const struct lh_vm *vm)
{
    char text[100];

    snprintf(text, sizeof(text),
             "it ran for longer than script_kill_ms=%llu without a pause",
             (unsigned long long)vm->ctx->kill_ms);
    push_place(L, of);
    lua_pushstring(L, text);
    lua_concat(L, 2);
}

/* Raises at every instruction, so what catches the error gets another one at
 * once, until nothing of the run is left.  Where that takes too many, since 5.3
 * and 5.4 allow pcalls inside each other without end, the coroutine is left
 * where it is. */
static void end_script(lua_State *L, lua_Debug *ar)
{
    (void)ar;
    lua_getfield(L, LUA_REGISTRYINDEX, "lhttpd.vm");
    struct lh_vm *vm = lua_touserdata(L, -1);
    lua_pop(L, 1);
    if (!vm || !vm->kill.on) {
        lua_sethook(L, NULL, 0, 0);
        return;
    }
    lh_count_add(&vm->ctx->counters.scripts_ended, vm->kill.raised == 0);
    if (++vm->kill.raised > RAISED_MAX && LH_LUA_53 && vm->kill.n > 1 &&
        lh_lua_can_yield(L)) {
        lua_yield(L, 0);
        return;
    }
    lh_kill_push_message(L, L, vm);
    lua_error(L);
}

/* In a signal handler, on the thread that runs the VM.  A run that has begun
 * meanwhile has its own time. */
static void kill_now(void *data)
{
    struct lh_context *ctx = data;
    struct lh_vm *vm = ctx->kill_of;

    if (!vm || lh_clock_ms() < lh_deadline(atomic_load(&ctx->running.since_ms),
                                           ctx->kill_ms))
        return;
    vm->kill.on = true;
    for (unsigned i = 0; i < vm->kill.n; i++)
        lua_sethook(vm->kill.chain[i], end_script, LUA_MASKCOUNT, 1);
}

void lh_vm_interruptible(struct lh_context *ctx)
{
    if (ctx->kill_ms)
        atomic_store(&ctx->running.thread, lh_interrupt_enter(kill_now, ctx));
}

void lh_vm_uninterruptible(const struct lh_context *ctx)
{
    if (ctx->kill_ms)
        lh_interrupt_enter(NULL, NULL);
}

/* --- a run ---------------------------------------------------------------- */

void lh_kill_watch(struct lh_vm *vm)
{
    vm->kill.raised = 0;
    vm->kill.chain[0] = vm->L;
    vm->kill.n = 1;
    atomic_signal_fence(memory_order_seq_cst);
    vm->ctx->kill_of = vm;
}

void lh_kill_unwatch(struct lh_vm *vm)
{
    vm->ctx->kill_of = NULL;
    atomic_signal_fence(memory_order_seq_cst);
    if (vm->kill.on)
        lua_sethook(vm->L, NULL, 0, 0);
    vm->kill.on = false;
}

static void add_to_chain(struct lh_kill *kill, lua_State *co)
{
    kill->chain[kill->n] = co;
    atomic_signal_fence(memory_order_seq_cst);
    kill->n++;
}

/* One that was ended before it began does not run after all. */
void lh_kill_add(struct lh_vm *vm, lua_State *co)
{
    add_to_chain(&vm->kill, co);
    if (vm->kill.on)
        lua_sethook(co, end_script, LUA_MASKCOUNT, 1);
}

/* --- coroutines of the script --------------------------------------------- */

/* track(coroutine): it is kept alive first, at the place that it gets. */
static int track(lua_State *L)
{
    struct lh_vm *vm = lh_vm_of(L);
    struct lh_kill *kill = &vm->kill;
    lua_State *co = lua_tothread(L, 1);

    if (!co || !vm->ctx->kill_of || kill->n >= LH_KILL_CHAIN)
        return 0;
    lua_rawgeti(L, LUA_REGISTRYINDEX, kill->anchors);
    lua_pushvalue(L, 1);
    lua_rawseti(L, -2, (int)kill->n);
    add_to_chain(kill, co);
    if (kill->on)
        lua_sethook(co, end_script, LUA_MASKCOUNT, 1);
    return 0;
}

/* untrack(): in the one that has resumed; those inside of it have ended or
 * wait. */
static int untrack(lua_State *L)
{
    struct lh_kill *kill = &lh_vm_of(L)->kill;

    for (unsigned n = kill->n; n > 0; n--) {
        if (kill->chain[n - 1] != L)
            continue;
        kill->n = n;
        break;
    }
    return 0;
}

/* kills(): is the run being ended?  The hook is silent in a message handler
 * that its error calls, so that must not run. */
static int kills(lua_State *L)
{
    lua_pushboolean(L, lh_vm_of(L)->kill.on);
    return 1;
}

static const luaL_Reg asking[] = {{"kills", kills}, {NULL, NULL}};

static const luaL_Reg tracking[] = {
    {"track", track},
    {"untrack", untrack},
    {NULL, NULL},
};

void lh_kill_register(lua_State *L, struct lh_vm *vm)
{
    if (!vm->ctx->kill_ms)
        return;
    lh_api_register(L, vm, asking);
    if (LH_LUA_JIT)
        return;
    lua_newtable(L);
    vm->kill.anchors = luaL_ref(L, LUA_REGISTRYINDEX);
    lh_api_register(L, vm, tracking);
}
