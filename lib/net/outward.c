/*
 * What a worker needs for connections that it makes: see outward.h.  A list of
 * authorities is some hundred certificates, so it is read once for a file and
 * kept for the worker's life.
 */
#include "net/outward.h"

#include "base/mem.h"
#include "os/port.h"

#include <string.h>

/* Files that are kept, which is for good: no script trusts so many of its own
 * accord. */
#define TRUSTS_MAX 64

struct trust_file {
    struct lh_list link;
    struct lh_trust *trust;
    char path[]; /* "": the system's */
};

/* The port, by which answers to look-ups come, may be there already; it belongs
 * to the worker and outlives this. */
struct lh_outward *lh_outward_of(struct lh_context *ctx)
{
    if (ctx->outward)
        return ctx->outward;
    if (!ctx->port)
        ctx->port = lh_port_new(ctx->evq);
    struct lh_outward *o = ctx->port ? lh_calloc(1, sizeof(*o)) : NULL;
    if (!o)
        return NULL;
    lh_net_pools_init(&o->pools);
    lh_resolver_init(&o->resolver, ctx->port);
    lh_list_init(&o->trusts);
    ctx->outward = o;
    return o;
}

static struct trust_file *find_trust(const struct lh_outward *outward,
                                     const char *path)
{
    for (const struct lh_list *l = outward->trusts.next; l != &outward->trusts;
         l = l->next) {
        struct trust_file *t = LH_OF(l, struct trust_file, link);
        if (strcmp(t->path, path) == 0)
            return t;
    }
    return NULL;
}

int lh_outward_trust(struct lh_outward *outward, const char *file,
                     const struct lh_trust **out, struct lh_err *err)
{
    const char *path = file ? file : "";
    struct trust_file *t = find_trust(outward, path);
    size_t n = strlen(path) + 1;

    if (!t && outward->trusts_n >= TRUSTS_MAX)
        return lh_err_set(err, LHTTPD_ECERT,
                          "ca '%s': %d other files are kept already: put "
                          "authorities that belong together into one",
                          path, TRUSTS_MAX);
    if (!t) {
        t = lh_calloc(1, sizeof(*t) + n);
        if (!t)
            return lh_err_memory(err);
        int r = lh_trust_new(&t->trust, file, err);
        if (r) {
            lh_free(t);
            return r;
        }
        memcpy(t->path, path, n);
        lh_list_append(&outward->trusts, &t->link);
        outward->trusts_n++;
    }
    *out = t->trust;
    return 0;
}

void lh_outward_free(struct lh_context *ctx)
{
    struct lh_outward *o = ctx->outward;
    struct lh_list *link;

    if (!o)
        return;
    lh_resolver_deinit(&o->resolver);
    while ((link = lh_list_take(&o->trusts)) != NULL) {
        struct trust_file *t = LH_OF(link, struct trust_file, link);
        lh_trust_free(t->trust);
        lh_free(t);
    }
    lh_net_pools_deinit(&o->pools);
    lh_free(o);
    ctx->outward = NULL;
}
