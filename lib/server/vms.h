/*
 * The VMs of one worker, one for each mapping.  A reload gives the worker
 * others: from then on these serve what comes, and the old ones are a set that
 * is stopping, until the last of their tasks has ended or its grace is over.
 */
#ifndef LH_SERVER_VMS_H
#define LH_SERVER_VMS_H

#include "server/mapping.h"

struct lh_worker;

struct lh_vms {
    struct lh_list link;     /* w->old_vms */
    struct lh_timer grace;   /* of the tasks of an old set */
    uint64_t predecessor_ms; /* how long the tasks of the one before have */
    unsigned n;
    struct lh_vm *v[]; /* NULL: freed, or of a directory */
};

/* Makes them, with that context and list until they go to a worker.  Errors as
 * lh_vm_new(). */
int lh_vms_new(struct lh_vms **vms, const struct lh_mappings *mappings,
               struct lh_context *ctx, struct lh_list *ready,
               struct lh_err *err);
void lh_vms_free(struct lh_vms *vms); /* NULL allowed */

/* On the worker's thread: they were made by another one, and take the place of
 * those that the worker has. */
void lh_vms_adopt(struct lh_worker *w, struct lh_vms *vms);

/* Each VM of the worker, old ones too. */
void lh_vms_each(const struct lh_worker *w, void (*act)(struct lh_vm *vm));
unsigned lh_vms_tasks(const struct lh_worker *w);

/* Once a turn: frees one old VM that has no task left.  True: there is another
 * one. */
bool lh_vms_free_old(struct lh_worker *w);

/* All: the worker has ended. */
void lh_vms_deinit(struct lh_worker *w);

#endif
