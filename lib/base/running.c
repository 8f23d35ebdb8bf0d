/* What a worker is inside of: see running.h. */
#include "base/running.h"

#include <stdio.h>

/* A run that began meanwhile has stored its time before all else. */
bool lh_running_look(const struct lh_running *r, struct lh_run *run)
{
    run->since_ms = atomic_load_explicit(&r->since_ms, memory_order_acquire);
    run->what = atomic_load_explicit(&r->what, memory_order_acquire);
    run->script = atomic_load_explicit(&r->script, memory_order_acquire);
    return run->what &&
           run->since_ms ==
               atomic_load_explicit(&r->since_ms, memory_order_acquire);
}

void lh_run_text(char *to, size_t room, const struct lh_run *run)
{
    if (run->script)
        snprintf(to, room, "%s of script %s", run->what, run->script);
    else
        snprintf(to, room, "%s of the program's setup", run->what);
}
