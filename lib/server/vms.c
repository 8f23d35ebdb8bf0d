/*
 * A worker's VMs, and those that served before: see vms.h.  A place of a set is
 * NULL where its mapping has no script, and once its VM has gone.
 */
#include "server/vms.h"

#include "server/worker.h"

/* --- a set ---------------------------------------------------------------- */

static void grace_is_over(struct lh_timer *timer)
{
    struct lh_vms *vms = LH_OF(timer, struct lh_vms, grace);

    for (unsigned i = 0; i < vms->n; i++)
        if (vms->v[i])
            lh_vm_cut_off(vms->v[i]);
}

int lh_vms_new(struct lh_vms **out, const struct lh_mappings *mappings,
               struct lh_context *ctx, struct lh_list *ready,
               struct lh_err *err)
{
    unsigned n = mappings->n;
    struct lh_vms *vms = lh_calloc(1, sizeof(*vms) + n * sizeof(void *));

    if (!vms)
        return lh_err_memory(err);
    lh_list_init(&vms->link);
    lh_timer_init(&vms->grace, grace_is_over);
    for (; vms->n < n; vms->n++) {
        int r =
            lh_mappings_vm(mappings, vms->n, ctx, ready, &vms->v[vms->n], err);
        if (r == 0)
            continue;
        lh_vms_free(vms);
        return r;
    }
    *out = vms;
    return 0;
}

void lh_vms_free(struct lh_vms *vms)
{
    if (!vms)
        return;
    lh_timer_disarm(&vms->grace);
    lh_list_remove(&vms->link);
    for (unsigned i = 0; i < vms->n; i++)
        if (vms->v[i])
            lh_vm_free(vms->v[i]);
    lh_free(vms);
}

/* --- the worker's --------------------------------------------------------- */

static void act_on(const struct lh_vms *vms, void (*act)(struct lh_vm *vm))
{
    for (unsigned i = 0; i < vms->n; i++)
        if (vms->v[i])
            act(vms->v[i]);
}

/* Requests that it has begun end with it, until its grace is over. */
static void retire_set(struct lh_worker *w, struct lh_vms *old,
                       uint64_t grace_ms)
{
    act_on(old, lh_vm_stopping);
    lh_timer_arm(&w->ctx.timers, &old->grace,
                 lh_deadline(w->ctx.now_ms, grace_ms));
    lh_list_append(&w->old_vms, &old->link);
}

/* What was made by another thread, in its own context, is the worker's from now
 * on.  A stop that came meanwhile is told to it, too. */
void lh_vms_adopt(struct lh_worker *w, struct lh_vms *vms)
{
    struct lh_vms *old = w->vms;

    for (unsigned i = 0; i < vms->n; i++)
        if (vms->v[i])
            lh_vm_adopt(vms->v[i], &w->ctx, &w->ready_vms);
    if (w->ctx.stopping)
        act_on(vms, lh_vm_stopping);
    w->vms = vms;
    retire_set(w, old, vms->predecessor_ms);
}

void lh_vms_each(const struct lh_worker *w, void (*act)(struct lh_vm *vm))
{
    act_on(w->vms, act);
    for (struct lh_list *l = w->old_vms.next; l != &w->old_vms; l = l->next)
        act_on(LH_OF(l, struct lh_vms, link), act);
}

static unsigned tasks_of(const struct lh_vms *vms)
{
    unsigned n = 0;

    for (unsigned i = 0; i < vms->n; i++)
        n += vms->v[i] ? lh_vm_tasks(vms->v[i]) : 0;
    return n;
}

unsigned lh_vms_tasks(const struct lh_worker *w)
{
    unsigned n = tasks_of(w->vms);

    for (struct lh_list *l = w->old_vms.next; l != &w->old_vms; l = l->next)
        n += tasks_of(LH_OF(l, struct lh_vms, link));
    return n;
}

/* --- the end of old ones -------------------------------------------------- */

/* One VM that has nothing to do any more, if there is one; the set itself goes
 * with its last VM. */
static bool free_one(struct lh_vms *vms)
{
    bool is_last = true, found = false;

    for (unsigned i = 0; i < vms->n; i++) {
        struct lh_vm *vm = vms->v[i];
        if (vm && !found && lh_vm_tasks(vm) == 0) {
            found = true;
            lh_vm_free(vm);
            vms->v[i] = NULL;
        }
        is_last &= !vms->v[i];
    }
    if (is_last)
        lh_vms_free(vms);
    return found;
}

bool lh_vms_free_old(struct lh_worker *w)
{
    struct lh_list *l, *next;

    for (l = w->old_vms.next; l != &w->old_vms; l = next) {
        next = l->next;
        if (free_one(LH_OF(l, struct lh_vms, link)))
            return true; /* closing a VM takes time: no more in this turn */
    }
    return false;
}

void lh_vms_deinit(struct lh_worker *w)
{
    while (!lh_list_empty(&w->old_vms))
        lh_vms_free(LH_OF(w->old_vms.next, struct lh_vms, link));
    lh_vms_free(w->vms);
    w->vms = NULL;
}
