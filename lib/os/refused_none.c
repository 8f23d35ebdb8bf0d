/* Systems of which every version has what is used there: see refused.h. */
#include "os/refused.h"

void lh_refused_each(void (*say)(void *data, const char *call, const char *why,
                                 const char *instead),
                     void *data)
{
    (void)say;
    (void)data;
}
