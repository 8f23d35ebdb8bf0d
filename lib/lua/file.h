/*
 * Inside lib/lua: files of io.open and io.popen, used by httpd.  An io handle
 * that httpd has seen has a struct lh_file, a userdata in the VM's weak table
 * of them.
 *
 * Between httpd calls and buffered ones (f:read, f:seek) a file changes hands:
 * while it is `ours`, the position is `offset` less what waits in `ahead`, the
 * FILE's buffer is empty, and a pipe does not make its users wait.  Operations
 * use a descriptor of their own, so that they never meet another file under a
 * number that was closed.
 */
#ifndef LH_LUA_FILE_H
#define LH_LUA_FILE_H

#include "files/conduit.h"
#include "lua/task.h"
#include "os/aio.h"
#include "os/slots.h"

struct lh_descriptor {
    int fd;
    unsigned refs;
};

/* What httpd.sendfile has to send, see file_send.c. */
struct lh_sending {
    struct lh_input in; /* octets from `at` on */
    uint64_t at, left, sent;
    struct lh_conduit *conduit; /* instead of `in`, once it is made */
    bool copies;                /* never by a pipe */
    bool owns; /* the file is nobody else's: closed at the end */
};

struct lh_file {
    struct lh_vm *vm;
    struct lh_descriptor *descriptor; /* NULL: not used by httpd yet */
    bool readable, writable, appends;
    bool seekable; /* operations say where */
    bool pollable; /* a pipe, a terminal: events, no operations */
    bool standard; /* other programs have it too */
    bool shared;   /* likewise, on a disk: each write claims its place */
    bool ours;
    bool dead; /* finalized: a script's own finalizer may still have the handle
                */
    bool left; /* of popen, and its process was left */
    uint64_t offset;        /* of the next octet that the kernel moves */
    struct lh_input ahead;  /* octets that were read, and not taken yet */
    struct lh_input behind; /* a pipe's that the FILE held back: they go first
                             */

    struct lh_task *task;           /* waits for it */
    struct lh_list queue;           /* tasks that wait for their turn */
    struct lh_operation *operation; /* is on its way */
    size_t moved;                   /* octets of the last writes */
    bool ended;                     /* the last read met the end */
    int error;                      /* of the last one, negative */

    struct lh_sending sending;
    lua_CFunction closer;       /* of a handle that we open */
    struct lh_process *process; /* of popen */
    struct lh_source source;    /* pollable: events */
    uint64_t tag;
};

/* An operation in flight.  It owns its buffer and a share of its descriptor,
 * and is freed when the kernel is done, whoever has left meanwhile. */
struct lh_operation {
    struct lh_aio_op aio;
    struct lh_context *ctx;
    struct lh_descriptor *descriptor;
    struct lh_conduit *conduit; /* a share, too; NULL: none */
    struct lh_file *file;       /* NULL: it has left */
    /* Tells the file how it came out; not called once that has left.  The task
     * that waits for the file is woken afterwards. */
    void (*deliver)(struct lh_operation *op, struct lh_file *file);
};

/* --- files.c -------------------------------------------------------------- */

/* Adds to the table at the top what boot.lua needs of files and processes. */
void lh_files_add(lua_State *L, struct lh_vm *vm);

/* --- operation.c ---------------------------------------------------------- */

/* With a buffer of n octets, if n > 0.  NULL: no memory. */
struct lh_operation *lh_operation_new(struct lh_context *ctx,
                                      enum lh_aio_kind kind,
                                      struct lh_descriptor *descriptor,
                                      size_t n);
void lh_operation_start(struct lh_operation *op);
void lh_operation_free(struct lh_operation *op); /* not started; NULL allowed */

/* It may be somebody's turn: tells the task that waits for the file, or else
 * the first that waits for its turn. */
void lh_file_tell(const struct lh_file *file);

void lh_descriptor_drop(struct lh_descriptor *d); /* one share; NULL allowed */

/* --- file.c --------------------------------------------------------------- */

extern const luaL_Reg lh_file_begins[];

/* Makes the VM's tables; adds to the table at the top what boot.lua needs.
 * False: there is no io library. */
bool lh_file_prepare(lua_State *L, struct lh_vm *vm);

/* Is the first argument a file? */
bool lh_file_is_first(lua_State *L);

/* Raises: the first argument is no stream that the function takes, which are
 * files, where the build has them, and `others`: "socket or nil". */
int lh_file_no_stream(lua_State *L, const char *function, const char *others);

/* The state of the first argument, which becomes ours.  NULL: it is another
 * task's turn, see lh_file_await_turn().  Raises if it is closed.  An error of
 * os/error.h is left in *error. */
struct lh_file *lh_file_use(lua_State *L, struct lh_task *task,
                            const char *function, bool reads, int *error);

/* The handle's state, or NULL. */
struct lh_file *lh_file_find(lua_State *L, struct lh_vm *vm, int index);

/* Pushes a new handle of io's own kind, which is closed.  NULL: *error tells.
 */
struct lh_file *lh_file_push_handle(lua_State *L, struct lh_vm *vm, int *error);

/* Opens it. */
void lh_file_open_handle(const struct lh_file *file, void *handle, FILE *fp);

/* Closes a handle's FILE, if it is open. */
void lh_file_close_handle(void *handle);

/* Events do not do: from now on by operations. */
void lh_file_unwatch(struct lh_file *file);

/* As if httpd had never seen it: gives up its descriptor. */
void lh_file_forget(struct lh_file *file);

/* An operation for the file's task, with a buffer of n octets if n > 0.  NULL:
 * no memory, which the task learns when it looks again. */
struct lh_operation *lh_file_operation(struct lh_file *file,
                                       enum lh_aio_kind kind, size_t n,
                                       void (*deliver)(struct lh_operation *op,
                                                       struct lh_file *file));

/* Starts it, and leaves it: nobody wants to know how it comes out. */
void lh_file_start(struct lh_file *file, struct lh_operation *op);
void lh_file_leave_operation(struct lh_file *file);

/* The task waits for its file: from now on, and no longer. */
void lh_file_attach(struct lh_task *task);
void lh_file_detach(struct lh_task *task);

/* Gives the position and what was read ahead back to the FILE. */
void lh_file_give_back(struct lh_file *file, FILE *fp);

/* --- file_turn.c ---------------------------------------------------------- */

/* Is something under way that the file must not be touched during? */
bool lh_file_is_busy(const struct lh_file *file);

/* May the call of the task use the file, its first argument, now? */
bool lh_file_is_its_turn(struct lh_task *task, struct lh_file *file);

/* The call is about a new file: what the task has waited for before, and until
 * when, is another one's. */
void lh_file_needs_no_turn(struct lh_task *task);

/* If not: begins to wait for its turn.  The call begins anew then: finish
 * answers with the tag. */
int lh_file_await_turn(lua_State *L, struct lh_task *task, uint64_t timeout_ms);

/* For calls that need the file free and do not wait otherwise: 0, or the number
 * of results to return.  Raises where nobody can wait. */
int lh_file_wait_for_turn(lua_State *L, struct lh_file *file,
                          uint64_t timeout_ms);

/* --- file_io.c ------------------------------------------------------------ */

extern const luaL_Reg lh_file_io_begins[];

int lh_file_read_begin(lua_State *L, struct lh_task *task);
int lh_file_write_begin(lua_State *L, struct lh_task *task,
                        uint64_t timeout_ms);

/* The parts of httpd.wait, for task->on.file: would a read of what is there
 * give something at once, or fail?  Waits until it would, and goes on waiting.
 */
bool lh_file_readable(struct lh_task *task, struct lh_file *file);
void lh_file_watch(struct lh_task *task);
void lh_file_watch_on(struct lh_task *task);

/* May the task move more before the others have their turn? */
bool lh_file_has_budget(const struct lh_task *task);
void lh_file_pause(struct lh_task *task);

/* --- file_open.c ---------------------------------------------------------- */

extern const luaL_Reg lh_file_open_begins[];

/* --- close.c -------------------------------------------------------------- */

extern const luaL_Reg lh_close_begins[];

/* Sees to handles that scripts lose. */
void lh_close_watch(lua_State *L, struct lh_vm *vm);

/* --- through.c ------------------------------------------------------------ */

extern const luaL_Reg lh_through_begins[];

/* --- file_send.c ---------------------------------------------------------- */

extern const luaL_Reg lh_file_send_begins[];

#endif
