/*
 * Inside lib/lua: what always holds of a VM between two runs, of its tasks and
 * of the files that they wait for.  Compiled where LHTTPD_CHECKS is 1 (the
 * presets dev, tsan, coverage and fuzz): each run of a VM ends with a check,
 * and a broken invariant ends the process with words.
 */
#ifndef LH_LUA_VM_CHECK_H
#define LH_LUA_VM_CHECK_H

#include "lua/task.h"

#if LHTTPD_CHECKS

/* What is broken, in words; NULL: nothing. */
const char *lh_check_input(const struct lh_input *in);
const char *lh_check_file(const struct lh_file *file);
const char *lh_check_task(const struct lh_task *task);
const char *lh_check_vm(const struct lh_vm *vm);

/* Checks all of it; no code of the VM runs. */
void lh_vm_check(const struct lh_vm *vm);

#else

static inline void lh_vm_check(const struct lh_vm *vm)
{
    (void)vm;
}

#endif

#endif
