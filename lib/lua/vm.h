/*
 * One Lua VM: a mapping's script as loaded by one worker, its handlers and its
 * running requests (tasks).  server/ makes the VMs, finds the handler, serves
 * exchanges and runs each VM in its step of the turn.  Nothing of a VM runs
 * outside lh_vm_run() after it was made.  What runs in it is in ctx->running:
 * a handler's words there live as long as the VM, all others as its name.
 */
#ifndef LH_LUA_VM_H
#define LH_LUA_VM_H

#include "base/err.h"
#include "http/exchange.h"

struct lh_vm;

struct lh_vm_config {
    struct lh_context *ctx;
    struct lh_list *ready; /* the worker's list of VMs that have work */
    const char *prefix;    /* normalised: "" for the root */
    const char *name;      /* the script's path or name; NULL: setup alone.  It
                              outlives the VM */
    const void *source;    /* source or bytecode; NULL: setup alone */
    size_t source_bytes;
    const lhttpd_vm_factory_t *factory; /* NULL: none */
};

/* The calling thread is the one that runs the VMs of this context from now on,
 * where ctx->kill_ms lets it be interrupted; and does not any more. */
void lh_vm_interruptible(struct lh_context *ctx);
void lh_vm_uninterruptible(const struct lh_context *ctx);

/* Makes the state, runs setup and the script.  LHTTPD_ESCRIPT with the message
 * and the line, LHTTPD_ENOMEM. */
int lh_vm_new(struct lh_vm **vm, const struct lh_vm_config *config,
              struct lh_err *err);

/* Cancels what runs, closes the state.  Every exchange was cancelled. */
void lh_vm_free(struct lh_vm *vm);

/* The handler for what follows the prefix, "" being "/": an exact name or the
 * longest wildcard; -1: none.  `path_info` as in lh_names_find(). */
int lh_vm_find(const struct lh_vm *vm, struct lh_str rest,
               struct lh_str *path_info);
int lh_vm_not_found(const struct lh_vm *vm); /* its "/notfound", or -1 */

/* Does the script have "/"?  Then "/ui" is redirected to "/ui/". */
bool lh_vm_has_root(const struct lh_vm *vm);

/* Queues a request for a handler; takes over the exchange's handler side.  In
 * a "/notfound" handler the status is 404 unless it sets one.  LHTTPD_ENOMEM:
 * nothing was taken over. */
int lh_vm_serve(struct lh_vm *vm, int handler, struct lh_exchange *ex,
                struct lh_str path_info);

/* Runs what was ready when called; what joins meanwhile waits for the next
 * call.  Links the VM into `ready` again if something is ready by then. */
void lh_vm_run(struct lh_vm *vm);

/* Why this system's VMs run without LuaJIT's compiled traces, or NULL. */
const char *lh_vm_no_traces(void);

/* The VM that a link in the `ready` list belongs to. */
struct lh_vm *lh_vm_of_ready(struct lh_list *link);

/* A VM that was made beside a running worker goes to it: first its maker lets
 * go, then the worker's thread takes it, before anything else. */
void lh_vm_leave(struct lh_vm *vm);
void lh_vm_adopt(struct lh_vm *vm, struct lh_context *ctx,
                 struct lh_list *ready);

/* The worker that has made it begins to serve: so does httpd.every. */
void lh_vm_begin(struct lh_vm *vm);

/* A stop has begun, or what comes is served by other VMs: ends sleeps and pipes
 * that have a time-out of their own with "stopping".  Cut: the grace is over,
 * every wait ends as if the client had gone.  Cut off: and the client, whose
 * connection goes on, gets to see that its response is none. */
void lh_vm_stopping(struct lh_vm *vm);
void lh_vm_cut(struct lh_vm *vm);
void lh_vm_cut_off(struct lh_vm *vm);

/* Descriptors or memory ran out: collects garbage soon, at most once a second.
 */
void lh_vm_find_lost(struct lh_vm *vm);

/* Tasks that have not ended. */
unsigned lh_vm_tasks(const struct lh_vm *vm);

#endif
