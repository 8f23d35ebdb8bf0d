/*
 * A build without files and processes for scripts (LHTTPD_FILES=OFF): what the
 * rest of this folder asks of file.h and process.h.  The states that we make
 * have no io library, and of os nothing that has to do with either; what a
 * program's own states have is its own affair.
 */
#include "lua/api.h"
#include "lua/file.h"
#include "lua/process.h"
#include "os/error.h"

static const char *const left_out[] = {"execute", "remove", "rename",
                                       "tmpname"};

/* So that neither a global nor require "io" gives it. */
static void take_io(lua_State *L)
{
    lua_pushnil(L);
    lua_setglobal(L, "io");
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "loaded");
    lua_pushnil(L);
    lua_setfield(L, -2, "io");
    lua_pop(L, 2);
}

void lh_files_add(lua_State *L, struct lh_vm *vm)
{
    if (vm->factory && vm->factory->create)
        return;
    take_io(L);
    lua_getglobal(L, "os");
    for (size_t i = 0; i < sizeof(left_out) / sizeof(left_out[0]); i++) {
        lua_pushnil(L);
        lua_setfield(L, -2, left_out[i]);
    }
    lua_pop(L, 1);
}

bool lh_file_is_first(lua_State *L)
{
    (void)L;
    return false;
}

int lh_file_no_stream(lua_State *L, const char *function, const char *others)
{
    return lh_api_argument_error(L, 1, function, others);
}

int lh_file_read_begin(lua_State *L, struct lh_task *task)
{
    (void)task;
    return luaL_error(L, "there are no files in this build");
}

int lh_file_write_begin(lua_State *L, struct lh_task *task, uint64_t timeout_ms)
{
    (void)timeout_ms;
    return lh_file_read_begin(L, task);
}

/* --- httpd.wait: no stream is a file -------------------------------------- */

struct lh_file *lh_file_use(lua_State *L, struct lh_task *task,
                            const char *function, bool reads, int *error)
{
    (void)L;
    (void)task;
    (void)function;
    (void)reads;
    *error = LH_SYS_EINVAL;
    return NULL;
}

bool lh_file_readable(struct lh_task *task, struct lh_file *file)
{
    (void)task;
    (void)file;
    return false;
}

void lh_file_watch(struct lh_task *task)
{
    (void)task;
}

void lh_file_watch_on(struct lh_task *task)
{
    (void)task;
}

void lh_file_detach(struct lh_task *task)
{
    (void)task;
}

/* --- processes: none is ever started -------------------------------------- */

void lh_processes_init(struct lh_vm *vm)
{
    lh_list_init(&vm->processes);
}

void lh_processes_leave(struct lh_vm *vm)
{
    (void)vm;
}

void lh_processes_adopt(struct lh_vm *vm)
{
    (void)vm;
}

void lh_processes_deinit(struct lh_vm *vm)
{
    (void)vm;
}

void lh_process_sweep_soon(struct lh_vm *vm)
{
    (void)vm;
}

void lh_process_sweep(lua_State *L, struct lh_vm *vm)
{
    (void)L;
    (void)vm;
}
