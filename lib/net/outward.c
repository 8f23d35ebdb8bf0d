/* What a worker needs for connections that it makes: see outward.h. */
#include "net/outward.h"

#include "os/port.h"

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
    ctx->outward = o;
    return o;
}

void lh_outward_free(struct lh_context *ctx)
{
    struct lh_outward *o = ctx->outward;

    if (!o)
        return;
    lh_resolver_deinit(&o->resolver);
    lh_net_pools_deinit(&o->pools);
    lh_free(o);
    ctx->outward = NULL;
}
