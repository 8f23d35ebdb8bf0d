/* The sockets of a service manager: see passed.h. */
#include "server/passed.h"

#include "base/mem.h"
#include "base/str.h"
#include "os/manager.h"

#include <stdio.h>

static const struct {
    struct lh_str word;
    unsigned flags;
} words_of_names[] = {
    {{"http", 4}, 0},
    {{"tls", 3}, LHTTPD_LISTEN_TLS},
    {{"redirect", 8}, LHTTPD_LISTEN_REDIRECT},
    {{"proxy", 5}, LHTTPD_LISTEN_PROXY},
};

/* False: no such word. */
static bool add_word(struct lh_str word, unsigned *flags)
{
    for (size_t i = 0; i < sizeof(words_of_names) / sizeof(words_of_names[0]);
         i++) {
        if (lh_str_equal(word, words_of_names[i].word)) {
            *flags |= words_of_names[i].flags;
            return true;
        }
    }
    return false;
}

/* What stands before `end`, and moves `rest` behind that; `rest` is absent
 * after the last one. */
static struct lh_str cut_at(struct lh_str *rest, char end)
{
    const char *p = rest->n ? memchr(rest->p, end, rest->n) : NULL;
    struct lh_str found = {rest->p, p ? (size_t)(p - rest->p) : rest->n};

    *rest = p ? (struct lh_str){p + 1, rest->n - found.n - 1}
              : (struct lh_str){NULL, 0};
    return found;
}

/* Words that are joined by "-".  A name without any of them is somebody's own,
 * as the unit's, which systemd gives where no other was given; one that has
 * both is a mistake that would open a socket for what nobody meant. */
static int flags_of_name(struct lh_str name, unsigned *flags,
                         struct lh_err *err)
{
    struct lh_str rest = name;
    unsigned known = 0, unknown = 0, named = 0;

    while (rest.p) {
        if (add_word(cut_at(&rest, '-'), &named))
            known++;
        else
            unknown++;
    }
    if (known && unknown)
        return lh_err_set(err, LHTTPD_EINVAL,
                          "LISTEN_FDNAMES: '%.*s' is made of more than the "
                          "words http, tls, redirect and proxy",
                          name.n < 100 ? (int)name.n : 100, name.p);
    if (known)
        *flags = named;
    return 0;
}

/* Number `i` of them; what is wrong with it is said with its name. */
static int adopt_passed(struct lh_listeners *l, const struct lh_passed *passed,
                        unsigned i, struct lh_str name, unsigned flags,
                        struct lh_err *err)
{
    char what[120];
    int r = flags_of_name(name, &flags, err);

    if (r == 0)
        r = lh_listener_check(flags, err);
    if (r == 0)
        r = lh_listeners_adopt(l, passed->first + (int)i, flags, err);
    if (r >= 0)
        return 0;
    snprintf(what, sizeof(what), "socket %u of LISTEN_FDS%s%.*s", i + 1,
             name.n ? ", " : "", name.n < 60 ? (int)name.n : 60,
             name.n ? name.p : "");
    lh_err_prefix(err, what);
    return r;
}

int lh_passed_listen(struct lh_listeners *l, unsigned flags, struct lh_err *err)
{
    struct lh_passed passed;
    int r = lh_manager_sockets(&passed, err);
    struct lh_str names = lh_str_of(passed.names);

    for (unsigned i = 0; i < passed.n && r == 0; i++)
        r = adopt_passed(l, &passed, i, cut_at(&names, ':'), flags, err);
    lh_free(passed.names);
    return r < 0 ? r : (int)passed.n;
}
