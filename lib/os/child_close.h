/*
 * A child has no descriptor but the standard ones: how posix_spawn() is told
 * that.  One file for each way, which CMake chooses by what the C library has.
 */
#ifndef LH_OS_CHILD_CLOSE_H
#define LH_OS_CHILD_CLOSE_H

#include <spawn.h>

/* Adds the closing of each descriptor above 2.  0 or a positive errno, as
 * posix_spawn()'s functions return it. */
int lh_child_close_others(posix_spawn_file_actions_t *actions);

/* Likewise by what is open at this moment, one by one. */
int lh_child_close_each(posix_spawn_file_actions_t *actions);

#endif
