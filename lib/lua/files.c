/* What scripts have of files and processes: see file.h and process.h. */
#include "lua/api.h"
#include "lua/process.h"

/* Without the io library there are no files. */
void lh_files_add(lua_State *L, struct lh_vm *vm)
{
    lh_api_register(L, vm, lh_execute_begins);
    if (!lh_file_prepare(L, vm))
        return;
    lh_close_watch(L, vm);
    lh_api_register(L, vm, lh_through_begins);
    lh_api_register(L, vm, lh_file_begins);
    lh_api_register(L, vm, lh_file_io_begins);
    lh_api_register(L, vm, lh_close_begins);
    lh_api_register(L, vm, lh_popen_begins);
    lh_api_register(L, vm, lh_file_open_begins);
    lh_api_register(L, vm, lh_file_send_begins);
}
