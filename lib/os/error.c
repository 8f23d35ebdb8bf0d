/* The system's errors: see error.h. */
#include "os/error.h"

#include <string.h>

const char *lh_sys_text(int error)
{
    return strerror(-error);
}

bool lh_sys_is_no_room(int error)
{
    return error == -EMFILE || error == -ENFILE || error == -ENOBUFS ||
           error == -ENOMEM;
}
