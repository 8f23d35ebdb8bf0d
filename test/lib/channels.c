/* See channels.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lhttpd.h"
#include "lib/channels.h"

static int post(struct lh_hub *hub, struct lh_str name, struct lh_str data)
{
    struct test_channels *c = LH_OF(hub, struct test_channels, hub);
    uint64_t hash = lh_hash(&hub->key, name);

    if (data.n > TEST_CHANNELS_BYTES)
        return LHTTPD_EINVAL;
    if (!lh_channels_hear(&c->of_worker, hash))
        return 0;
    struct lh_publication *p = lh_publication_new(hash, name, data, 1);
    if (!p)
        return LHTTPD_ENOMEM;
    lh_channels_post(&c->of_worker, p, 0, (size_t)1 << 20);
    lh_publication_drop(p);
    return 0;
}

void test_channels_init(struct test_channels *c, struct test_script *script)
{
    *c = (struct test_channels){.hub.publish = post, .script = script};
    lh_channels_init(&c->of_worker, &c->hub.key);
    test_script_init(script);
    script->t.ctx.channels = &c->of_worker;
    script->t.ctx.hub = &c->hub;
}

void test_channels_deinit(struct test_channels *c)
{
    assert_int_equal(c->of_worker.n, 0);
    lh_channels_deinit(&c->of_worker);
}

void test_channels_post(struct test_channels *c, struct lh_str text)
{
    assert_int_equal(post(&c->hub, LH_STR("a"), text), 0);
}

void test_channels_deliver(struct test_channels *c)
{
    lh_channels_told(&c->of_worker);
    while (lh_channels_deliver(&c->of_worker))
        continue;
    test_script_run(c->script);
}

void test_channels_publish(struct test_channels *c, const char *text)
{
    test_channels_post(c, lh_str_of(text));
    test_channels_deliver(c);
}
