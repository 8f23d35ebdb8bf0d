/*
 * Closing descriptors in a child where the C library has no closefrom: see
 * child_close.h.
 */
#include "os/child_close.h"

int lh_child_close_others(posix_spawn_file_actions_t *actions)
{
    return lh_child_close_each(actions);
}
