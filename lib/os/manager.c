/* The service manager: see manager.h. */
#include "os/manager.h"

#include "base/mem.h"
#include "base/str.h"
#include "os/self.h"

#include <limits.h>
#include <stdlib.h>

#define FIRST_PASSED 3 /* behind the standard descriptors, by convention */

/* 0 where the variable is not there, 1 with its number, or LHTTPD_EINVAL. */
static int env_number(const char *name, uint64_t max, uint64_t *number,
                      struct lh_err *err)
{
    const char *text = getenv(name);

    if (!text)
        return 0;
    if (lh_str_to_u64(lh_str_of(text), max, number))
        return 1;
    return lh_err_set(err, LHTTPD_EINVAL, "%s=%.100s: not a number up to %llu",
                      name, text, (unsigned long long)max);
}

/* ---- sockets ---- */

static unsigned count_names(const char *names)
{
    unsigned n = 1;

    for (const char *p = names; *p; p++)
        n += *p == ':';
    return n;
}

static int take_names(struct lh_passed *passed, struct lh_err *err)
{
    const char *names = getenv("LISTEN_FDNAMES");

    if (!names || passed->n == 0)
        return 0;
    if (count_names(names) != passed->n)
        return lh_err_set(err, LHTTPD_EINVAL,
                          "LISTEN_FDNAMES=%.100s: not %u names, as LISTEN_FDS "
                          "says",
                          names, passed->n);
    passed->names = lh_strdup(names);
    return passed->names ? 0 : lh_err_memory(err);
}

/* The variables are inherited by every child, the descriptors are for the
 * process whose number they bear. */
static int read_passed(struct lh_passed *passed, struct lh_err *err)
{
    uint64_t process, n;
    int r = env_number("LISTEN_PID", LONG_MAX, &process, err);

    if (r <= 0 || process != (uint64_t)lh_self_id())
        return r < 0 ? r : 0;
    r = env_number("LISTEN_FDS", INT_MAX - FIRST_PASSED, &n, err);
    if (r <= 0)
        return r;
    passed->first = FIRST_PASSED;
    passed->n = (unsigned)n;
    return take_names(passed, err);
}

int lh_manager_sockets(struct lh_passed *passed, struct lh_err *err)
{
    static const char *const names[] = {"LISTEN_PID", "LISTEN_PIDFDID",
                                        "LISTEN_FDS", "LISTEN_FDNAMES"};

    *passed = (struct lh_passed){.n = 0};
    int r = read_passed(passed, err);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        unsetenv(names[i]);
    return r;
}
