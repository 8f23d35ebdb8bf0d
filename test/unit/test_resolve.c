/* Names of hosts: what the system says of them, by a getaddrinfo() of this
 * test's own where a name is asked for; who waits for it, and who does not. */
#include "os/resolve.h"

#include "lib/heap.h"
#include "os/error.h"
#include "os/evq.h"
#include "os/port.h"

#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

int __real_getaddrinfo(const char *, const char *, const struct addrinfo *,
                       struct addrinfo **);
int __wrap_getaddrinfo(const char *host, const char *service,
                       const struct addrinfo *hints, struct addrinfo **list);
int __real_pthread_create(pthread_t *, const pthread_attr_t *,
                          void *(*)(void *), void *);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*run)(void *), void *argument);

static _Atomic bool hold, no_threads;
static _Atomic int asking;

static const struct {
    const char *name;
    int fault;
} faults[] = {
    {"none.test", EAI_NONAME},   {"again.test", EAI_AGAIN},
    {"memory.test", EAI_MEMORY}, {"fail.test", EAI_FAIL},
    {"system.test", EAI_SYSTEM},
};

/* "hold.test" has no answer before the test allows it. */
int __wrap_getaddrinfo(const char *host, const char *service,
                       const struct addrinfo *hints, struct addrinfo **list)
{
    if (hints->ai_flags & AI_NUMERICHOST)
        return __real_getaddrinfo(host, service, hints, list);
    atomic_fetch_add(&asking, 1);
    while (strcmp(host, "hold.test") == 0 && hold)
        usleep(1000);
    atomic_fetch_sub(&asking, 1);
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        errno = EIO;
        if (strcmp(host, faults[i].name) == 0)
            return faults[i].fault;
    }
    return __real_getaddrinfo("127.0.0.7", service, hints, list);
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*run)(void *), void *argument)
{
    if (no_threads)
        return EAGAIN;
    return __real_pthread_create(thread, attributes, run, argument);
}

static struct lh_evq evq;
static struct lh_port *port;
static struct lh_resolver resolver;

struct asker {
    int times;
    struct lh_resolved found;
};

static void note(void *owner, const struct lh_resolved *found)
{
    struct asker *asker = owner;

    asker->times++;
    asker->found = *found;
}

static void begin(void)
{
    test_heap_install();
    assert_int_equal(lh_evq_init(&evq), 0);
    port = lh_port_new(&evq);
    assert_non_null(port);
    lh_resolver_init(&resolver, port);
}

static void end(void)
{
    lh_resolver_deinit(&resolver);
    lh_port_close(port);
    lh_evq_deinit(&evq);
    for (int i = 0; i < 10000 && test_heap_live(); i++)
        usleep(1000);
    assert_int_equal(test_heap_live(), 0);
    test_heap_uninstall();
}

static struct lh_lookup *ask(struct asker *asker, const char *host)
{
    return lh_lookup_new(&resolver, host, 80, note, asker);
}

static void wait_for(const struct asker *asker)
{
    struct lh_event event;

    for (int i = 0; i < 1000 && asker->times == 0; i++) {
        lh_evq_wait(&evq, &event, 1, 100);
        lh_port_deliver(port);
    }
    assert_int_equal(asker->times, 1);
}

static void wait_until_asking(int n)
{
    for (int i = 0; i < 10000 && asking != n; i++)
        usleep(1000);
    assert_int_equal(asking, n);
}

static void test_addresses_need_nobody(void **state)
{
    struct lh_resolved found;
    struct sockaddr_in v4;

    (void)state;
    assert_true(lh_resolve_numeric("127.0.0.2", 8080, &found));
    assert_int_equal(found.n, 1);
    assert_false(lh_address_is_ipv6(&found.v[0]));
    memcpy(&v4, found.v[0].octets, sizeof(v4));
    assert_int_equal(ntohs(v4.sin_port), 8080);
    assert_int_equal(ntohl(v4.sin_addr.s_addr), 0x7F000002);
    assert_true(lh_resolve_numeric("::1", 1, &found));
    assert_true(lh_address_is_ipv6(&found.v[0]));
    assert_false(lh_resolve_numeric("localhost", 1, &found));
    assert_false(lh_resolve_numeric("[::1]", 1, &found));
}

static void test_a_name_has_addresses(void **state)
{
    struct asker asker = {0};

    (void)state;
    begin();
    assert_non_null(ask(&asker, "name.test"));
    wait_for(&asker);
    assert_int_equal(asker.found.n, 1);
    assert_null(asker.found.why);
    end();
}

static void expect_fault(const char *host, const char *why, int error)
{
    struct asker asker = {0};

    assert_non_null(ask(&asker, host));
    wait_for(&asker);
    assert_int_equal(asker.found.n, 0);
    assert_int_equal(asker.found.error, error);
    if (why)
        assert_string_equal(asker.found.why, why);
    else
        assert_null(asker.found.why);
}

static void test_what_is_wrong_is_told(void **state)
{
    (void)state;
    begin();
    expect_fault("none.test", "no such host", 0);
    expect_fault("again.test", "no name server answers", 0);
    expect_fault("fail.test", "the name cannot be looked up", 0);
    expect_fault("memory.test", NULL, LH_SYS_ENOMEM);
    expect_fault("system.test", NULL, LH_SYS_EIO);
    no_threads = true;
    expect_fault("name.test", NULL, LH_SYS_EAGAIN);
    no_threads = false;
    test_heap_fail_at(1);
    assert_null(ask(NULL, "name.test"));
    end();
}

static void test_so_many_at_once(void **state)
{
    struct asker askers[LH_LOOKUPS_MAX + 3] = {{0}};
    struct lh_lookup *lookups[LH_LOOKUPS_MAX + 3];

    (void)state;
    begin();
    hold = true;
    for (int i = 0; i < LH_LOOKUPS_MAX + 3; i++)
        lookups[i] = ask(&askers[i], "hold.test");
    wait_until_asking(LH_LOOKUPS_MAX);
    lh_lookup_leave(lookups[LH_LOOKUPS_MAX]); /* it waits */
    lh_lookup_leave(lookups[0]);              /* it runs */
    assert_int_equal(asking, LH_LOOKUPS_MAX);
    hold = false;
    for (int i = 0; i < LH_LOOKUPS_MAX + 3; i++) {
        if (i != 0 && i != LH_LOOKUPS_MAX)
            wait_for(&askers[i]);
    }
    assert_int_equal(askers[0].times, 0);
    assert_int_equal(askers[LH_LOOKUPS_MAX].times, 0);
    end();
}

/* The end of the worker does not wait, and what runs frees itself. */
static void test_the_worker_ends_first(void **state)
{
    struct asker askers[LH_LOOKUPS_MAX + 1] = {{0}};

    (void)state;
    begin();
    hold = true;
    for (int i = 0; i < LH_LOOKUPS_MAX + 1; i++)
        assert_non_null(ask(&askers[i], "hold.test"));
    wait_until_asking(LH_LOOKUPS_MAX);
    lh_resolver_deinit(&resolver);
    lh_resolver_init(&resolver, port); /* for end() */
    lh_port_hold(port);
    lh_port_close(port);
    hold = false;
    wait_until_asking(0);
    end();
    for (int i = 0; i < LH_LOOKUPS_MAX + 1; i++)
        assert_int_equal(askers[i].times, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses_need_nobody),
        cmocka_unit_test(test_a_name_has_addresses),
        cmocka_unit_test(test_what_is_wrong_is_told),
        cmocka_unit_test(test_so_many_at_once),
        cmocka_unit_test(test_the_worker_ends_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
