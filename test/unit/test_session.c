/* The session cache: by one thread, and by several at once. */
#include "net/session.h"

#include "base/mem.h"
#include "lib/heap.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* A session whose every part follows from its number. */
static br_ssl_session_parameters make(uint32_t number)
{
    br_ssl_session_parameters p = {
        .session_id_len = 32,
        .version = BR_TLS12,
        .cipher_suite = (uint16_t)(number * 3),
    };
    br_sha256_context hash;

    br_sha256_init(&hash);
    br_sha256_update(&hash, &number, sizeof(number));
    br_sha256_out(&hash, p.session_id);
    memset(p.master_secret, (int)(number * 5 & 0xFF), sizeof(p.master_secret));
    return p;
}

/* What load is given: the id alone. */
static br_ssl_session_parameters ask(uint32_t number)
{
    br_ssl_session_parameters p = make(number);

    p.version = p.cipher_suite = 0;
    memset(p.master_secret, 0, sizeof(p.master_secret));
    return p;
}

static bool same(const br_ssl_session_parameters *a,
                 const br_ssl_session_parameters *b)
{
    return a->version == b->version && a->cipher_suite == b->cipher_suite &&
           memcmp(a->master_secret, b->master_secret,
                  sizeof(a->master_secret)) == 0;
}

static void hashes_names(void **state)
{
    struct lh_session_name a = lh_session_name("a.example", NULL);
    struct lh_session_name b = lh_session_name("A.EXAMPLE", NULL);
    struct lh_session_name c = lh_session_name("b.example", NULL);
    struct lh_session_name none = lh_session_name("", NULL); /* FIPS 180-4 */

    (void)state;
    assert_memory_equal(&a, &b, sizeof(a));
    assert_memory_not_equal(&a, &c, sizeof(a));
    assert_memory_equal(&none,
                        "\xe3\xb0\xc4\x42\x98\xfc\x1c\x14\x9a\xfb\xf4\xc8\x99"
                        "\x6f\xb9\x24\x27\xae\x41\xe4\x64\x9b\x93\x4c\xa4\x95"
                        "\x99\x1b\x78\x52\xb8\x55",
                        sizeof(none));
}

static void finds_what_was_saved(void **state)
{
    struct lh_sessions *sessions = lh_sessions_new(false);
    struct lh_session_name a = lh_session_name("a.example", NULL);
    struct lh_session_name b = lh_session_name("b.example", NULL);
    br_ssl_session_parameters one = make(1), got = ask(1), other = ask(2);

    (void)state;
    assert_false(lh_sessions_load(sessions, &got, &a, NULL, 5));
    lh_sessions_save(sessions, &one, &a, NULL, 5);
    assert_true(lh_sessions_load(sessions, &got, &a, NULL, 6));
    assert_true(same(&got, &one));
    assert_false(lh_sessions_load(sessions, &other, &a, NULL, 6));
    /* Not under another name (RFC 6066, 3); nothing of it is given out. */
    got = ask(1);
    assert_false(lh_sessions_load(sessions, &got, &b, NULL, 6));
    other = ask(1);
    assert_true(same(&got, &other));
    /* Found as often as it is wanted. */
    assert_true(lh_sessions_load(sessions, &got, &a, NULL, 7));
    lh_sessions_free(sessions);
    lh_sessions_free(NULL);
}

static void wants_whole_ids(void **state)
{
    struct lh_sessions *sessions = lh_sessions_new(false);
    struct lh_session_name name = lh_session_name("", NULL);
    br_ssl_session_parameters zero = {.session_id_len = 32};
    br_ssl_session_parameters brief = make(1);

    (void)state;
    assert_false(lh_sessions_load(sessions, &zero, &name, NULL, 1));
    brief.session_id_len = 31;
    lh_sessions_save(sessions, &brief, &name, NULL, 1);
    assert_false(lh_sessions_load(sessions, &brief, &name, NULL, 1));
    brief.session_id_len = 32;
    assert_false(lh_sessions_load(sessions, &brief, &name, NULL, 1));
    lh_sessions_free(sessions);
}

static void forgets_in_time(void **state)
{
    struct lh_sessions *sessions = lh_sessions_new(false);
    struct lh_session_name name = lh_session_name("a", NULL);
    br_ssl_session_parameters one = make(1), got = ask(1);

    (void)state;
    lh_sessions_save(sessions, &one, &name, NULL, 1000);
    assert_true(lh_sessions_load(sessions, &got, &name, NULL,
                                 1000 + LH_SESSION_LIFETIME_MS));
    /* Another worker's clock may be a little behind. */
    assert_true(lh_sessions_load(sessions, &got, &name, NULL, 990));
    assert_false(lh_sessions_load(sessions, &got, &name, NULL,
                                  1001 + LH_SESSION_LIFETIME_MS));
    lh_sessions_free(sessions);
}

/* More than fit: the newest are there, and what is found is right. */
static void makes_room(void **state)
{
    struct lh_sessions *sessions = lh_sessions_new(false);
    struct lh_session_name name = lh_session_name("a", NULL);
    unsigned total = 20000, found = 0;

    (void)state;
    for (unsigned i = 0; i < total; i++) {
        br_ssl_session_parameters p = make(i);
        lh_sessions_save(sessions, &p, &name, NULL, 1000 + i);
    }
    for (unsigned i = 0; i < total; i++) {
        br_ssl_session_parameters p = make(i), got = ask(i);
        if (lh_sessions_load(sessions, &got, &name, NULL, 1000 + total)) {
            assert_true(same(&p, &got));
            found++;
        } else {
            assert_true(i < total - 100); /* young ones stay */
        }
    }
    assert_in_range(found, 4000, 4096);
    lh_sessions_free(sessions);
}

#define THREADS 4
#define ROUNDS  20000

struct shared {
    struct lh_sessions *sessions;
    atomic_uint found, wrong;
};

/* All use few ids, so that they meet in the same entries. */
static void *hammer(void *context)
{
    struct shared *s = context;

    for (uint32_t i = 0; i < ROUNDS; i++) {
        br_ssl_session_parameters p = make(i % 7), got = ask(i % 7);
        struct lh_session_name name;
        memset(name.hash, (int)(i % 7), sizeof(name.hash));
        if (i % 3 == 0)
            lh_sessions_save(s->sessions, &p, &name, NULL, i);
        if (!lh_sessions_load(s->sessions, &got, &name, NULL, i))
            continue;
        s->found++;
        if (!same(&p, &got))
            s->wrong++;
    }
    return NULL;
}

static void is_never_torn(void **state)
{
    struct shared s = {.sessions = lh_sessions_new(false)};
    pthread_t threads[THREADS];

    (void)state;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hammer, &s), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_true(s.found > 0);
    assert_int_equal(s.wrong, 0);
    lh_sessions_free(s.sessions);
}

/* What is known of the client's certificate goes along, or the session stays
 * out: never a session without it. */
static void keeps_certificates(void **state)
{
    struct lh_sessions *sessions = lh_sessions_new(true);
    struct lh_client_ca ca = {.optional = false}, other = {.optional = true};
    struct lh_session_name name = lh_session_name("a", &ca);
    struct lh_session_name names[] = {lh_session_name("a", NULL),
                                      lh_session_name("a", &other)};
    struct lh_client_cert cert = {.verify = LH_CLIENT_FAILED,
                                  .fault = LH_CLIENT_EXPIRED,
                                  .fingerprint = {7, [31] = 8}};
    struct lh_client_cert got = {.verify = LH_CLIENT_NONE};
    br_ssl_session_parameters one = make(1), again = ask(1);

    (void)state;
    memset(cert.subject, 'x', LH_SESSION_SUBJECT_BYTES);
    lh_sessions_save(sessions, &one, &name, &cert, 5);
    assert_false(lh_sessions_load(sessions, &again, &name, &got, 6));
    cert.subject[LH_SESSION_SUBJECT_BYTES - 1] = '\0';
    lh_sessions_save(sessions, &one, &name, &cert, 5);
    for (size_t i = 0; i < 2; i++)
        assert_false(lh_sessions_load(sessions, &again, &names[i], &got, 6));
    assert_true(lh_sessions_load(sessions, &again, &name, &got, 6));
    assert_int_equal(got.verify, cert.verify);
    assert_int_equal(got.fault, cert.fault);
    assert_memory_equal(got.fingerprint, cert.fingerprint, 32);
    assert_string_equal(got.subject, cert.subject);
    lh_sessions_free(sessions);
}

static void needs_memory(void **state)
{
    (void)state;
    test_heap_install();
    test_heap_fail_at(1);
    assert_null(lh_sessions_new(false));
    test_heap_uninstall();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes_names),
        cmocka_unit_test(finds_what_was_saved),
        cmocka_unit_test(wants_whole_ids),
        cmocka_unit_test(forgets_in_time),
        cmocka_unit_test(makes_room),
        cmocka_unit_test(is_never_torn),
        cmocka_unit_test(keeps_certificates),
        cmocka_unit_test(needs_memory),
    };

    return cmocka_run_group_tests_name("session", tests, NULL, NULL);
}
