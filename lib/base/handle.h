/*
 * Handles: numbers that stand for objects, for those who may come too late.
 * Whoever takes a handle first has the object, everybody after that gets NULL,
 * also once the object is freed and its memory used again.  Any thread, without
 * locks.  The table is the process's, since a handle outlives what made it; its
 * pages are touched as far as they are needed.
 */
#ifndef LH_BASE_HANDLE_H
#define LH_BASE_HANDLE_H

#include <stdint.h>

/* How many can be open at once. */
#define LH_HANDLES_MAX 32768

/* 0: LH_HANDLES_MAX are open. */
uintptr_t lh_handle_new(void *object);

/* Ends the handle, whatever number it is.  NULL: it was ended before. */
void *lh_handle_take(uintptr_t handle);

#endif
