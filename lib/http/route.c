/*
 * From a path to a mapping and a handler: see route.h.
 *
 * What always holds: prefixes stand by length, the longest first, so that the
 * first that fits is the right one; no two are the same.  A slot of the names'
 * hash table is 0 or the number of a name plus 1, at most half of the slots are
 * in use, and no name is ever taken out, so a search ends at an empty slot.
 */
#include "http/route.h"

#include "base/mem.h"
#include "lhttpd.h"

/* --- prefixes ------------------------------------------------------------- */

/* A segment of a prefix must be able to stand in a path that lh_target_path()
 * has resolved, or no request could ever lead there. */
static bool segment_valid(const char *p, size_t n)
{
    if (n == 0 || (n == 1 && p[0] == '.') ||
        (n == 2 && p[0] == '.' && p[1] == '.'))
        return false;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)p[i];
        if (c < 0x20 || c == 0x7f || c == '?' || c == '#')
            return false;
    }
    return true;
}

/* "/" at the start and none at the end: "app", "/app" and "app/" are the same
 * prefix.  The root, "" or "/", becomes the empty string. */
int lh_prefix_normalise(const char *prefix, char **out)
{
    if (*prefix == '/')
        prefix++;
    size_t n = strlen(prefix);
    if (n > 1 && prefix[n - 1] == '/')
        n--;
    for (size_t from = 0; n && from <= n;) {
        const char *slash = memchr(prefix + from, '/', n - from);
        size_t to = slash ? (size_t)(slash - prefix) : n;
        if (!segment_valid(prefix + from, to - from))
            return LHTTPD_EINVAL;
        from = to + 1;
    }
    char *text = lh_alloc(n + 2);
    if (!text)
        return LHTTPD_ENOMEM;
    text[0] = '/';
    memcpy(text + 1, prefix, n);
    text[n ? n + 1 : 0] = '\0';
    *out = text;
    return 0;
}

/* Prefixes are few and added before start: they are sorted by insertion. */
int lh_prefixes_add(struct lh_prefixes *p, const char *text, unsigned index)
{
    size_t n = strlen(text);
    unsigned at = 0;

    for (unsigned i = 0; i < p->n; i++) {
        if (p->v[i].n == n && memcmp(p->v[i].text, text, n) == 0)
            return LHTTPD_EINVAL;
    }
    struct lh_prefix *v = lh_realloc(p->v, (p->n + 1) * sizeof(*v));
    if (!v)
        return LHTTPD_ENOMEM;
    p->v = v;
    char *copy = lh_strdup(text);
    if (!copy)
        return LHTTPD_ENOMEM;
    while (at < p->n && v[at].n >= n)
        at++;
    memmove(v + at + 1, v + at, (p->n - at) * sizeof(*v));
    v[at] = (struct lh_prefix){copy, n, index};
    p->n++;
    return 0;
}

void lh_prefixes_deinit(struct lh_prefixes *p)
{
    for (unsigned i = 0; i < p->n; i++)
        lh_free(p->v[i].text);
    lh_free(p->v);
    *p = (struct lh_prefixes){NULL, 0};
}

/* A prefix ends where a segment of the path does: "/app" serves "/app" and
 * "/app/x", and not "/apple". */
const struct lh_prefix *lh_prefixes_find(const struct lh_prefixes *p,
                                         struct lh_str path,
                                         struct lh_str *rest)
{
    for (unsigned i = 0; i < p->n; i++) {
        const struct lh_prefix *x = &p->v[i];
        if (x->n > path.n || memcmp(x->text, path.p, x->n) != 0)
            continue;
        if (x->n < path.n && path.p[x->n] != '/')
            continue;
        *rest = (struct lh_str){path.p + x->n, path.n - x->n};
        return x;
    }
    return NULL;
}

/* --- names ---------------------------------------------------------------- */

/* FNV-1a: the names are few and the script's own. */
static uint32_t hash(const char *p, size_t n)
{
    uint32_t h = 2166136261u;

    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)p[i]) * 16777619u;
    return h;
}

/* The slot of this name, or the empty one where it would be. */
static unsigned *name_slot_of(const struct lh_names *names, const char *p,
                              size_t n)
{
    unsigned mask = names->slots_n - 1;
    unsigned at = hash(p, n) & mask;

    while (names->slots[at]) {
        const struct lh_name *x = &names->v[names->slots[at] - 1];
        if (x->n == n && memcmp(x->text, p, n) == 0)
            break;
        at = (at + 1) & mask;
    }
    return &names->slots[at];
}

/* Keeps the slots at most half full. */
static bool grow_slots(struct lh_names *names)
{
    unsigned slots_n = names->slots_n ? names->slots_n * 2 : 16;
    unsigned *slots = lh_calloc(slots_n, sizeof(*slots));

    if (!slots)
        return false;
    lh_free(names->slots);
    names->slots = slots;
    names->slots_n = slots_n;
    for (unsigned i = 0; i < names->n; i++)
        *name_slot_of(names, names->v[i].text, names->v[i].n) = i + 1;
    return true;
}

/* Room doubles, so that adding n names costs no more than some n steps. */
static bool grow_names(struct lh_names *names)
{
    unsigned room = names->room ? names->room * 2 : 8;
    struct lh_name *v = lh_realloc(names->v, room * sizeof(*v));

    if (!v)
        return false;
    names->v = v;
    names->room = room;
    return true;
}

/* "/files/" with a star behind it serves all that begins so.  A star elsewhere
 * is an octet like others. */
static bool is_wildcard(const char *p, size_t n)
{
    return n >= 2 && p[n - 2] == '/' && p[n - 1] == '*';
}

/* A script may leave the slash at the start out: it is added.  Room is made
 * first, so that a failure leaves the names as they were. */
int lh_names_add(struct lh_names *names, struct lh_str name)
{
    size_t lead = name.n == 0 || name.p[0] != '/';
    size_t n = name.n + lead;

    if (names->n == names->room && !grow_names(names))
        return LHTTPD_ENOMEM;
    if (names->n >= names->slots_n / 2 && !grow_slots(names))
        return LHTTPD_ENOMEM;
    char *text = lh_alloc(n + 1);
    if (!text)
        return LHTTPD_ENOMEM;
    text[0] = '/';
    if (name.n)
        memcpy(text + lead, name.p, name.n);
    text[n] = '\0';
    unsigned *slot = name_slot_of(names, text, n);
    if (*slot) {
        lh_free(text);
        return LHTTPD_EINVAL;
    }
    names->v[names->n] = (struct lh_name){text, n, is_wildcard(text, n)};
    *slot = ++names->n;
    return (int)names->n - 1;
}

void lh_names_deinit(struct lh_names *names)
{
    for (unsigned i = 0; i < names->n; i++)
        lh_free(names->v[i].text);
    lh_free(names->v);
    lh_free(names->slots);
    *names = (struct lh_names){.n = 0};
}

/* The longest name "part*" whose part begins the path, or -1. */
static int find_wildcard(const struct lh_names *names, struct lh_str path)
{
    int found = -1;
    size_t longest = 0;

    for (unsigned i = 0; i < names->n; i++) {
        const struct lh_name *x = &names->v[i];
        if (!x->wildcard || x->n <= longest || x->n - 1 > path.n ||
            memcmp(x->text, path.p, x->n - 1) != 0)
            continue;
        found = (int)i;
        longest = x->n;
    }
    return found;
}

/* A name that is the whole path wins over every wildcard.  A wildcard's own
 * text, with its star, is a path like others to a client: it is no exact hit.
 */
int lh_names_find(const struct lh_names *names, struct lh_str path,
                  struct lh_str *path_info)
{
    *path_info = (struct lh_str){NULL, 0};
    if (names->n == 0 || path.n == 0)
        return -1;
    unsigned exact = *name_slot_of(names, path.p, path.n);
    if (exact && !names->v[exact - 1].wildcard)
        return (int)exact - 1;
    int found = find_wildcard(names, path);
    if (found >= 0) {
        size_t before = names->v[found].n - 1;
        *path_info = (struct lh_str){path.p + before, path.n - before};
    }
    return found;
}
