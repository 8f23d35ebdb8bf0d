/* An HTTP/2 connection: what it answers to what (RFC 9113). */
#include "lib/h2client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct lh_request *request_of(const struct lh_exchange *ex)
{
    return &ex->request;
}

static bool path_is(const struct lh_exchange *ex, const char *path)
{
    return lh_str_equal(request_of(ex)->path, lh_str_of(path));
}

/* "/echo": the body comes back once it is whole. */
static void echo(struct lh_exchange *ex)
{
    static char body[65536];
    size_t n;

    if (ex->body_state == LH_BODY_OPEN) {
        lh_exchange_want_body(ex, true);
        return;
    }
    lh_exchange_want_body(ex, false);
    n = lh_exchange_read(ex, body, sizeof(body) - 1);
    body[n] = '\0';
    test_answer(ex, ex->body_state == LH_BODY_ENDED ? 200 : 408, body);
}

/* "/hold": nothing; the test goes on with it. */
static void handler(struct test_driver *d, struct lh_exchange *ex)
{
    if (ex->gone)
        test_done(ex);
    else if (path_is(ex, "/echo"))
        echo(ex);
    else if (path_is(ex, "/hold"))
        d->data = ex;
    else
        test_answer(ex, 200, "hello");
}

static void test_get(void **state)
{
    struct test_h2 h;

    (void)state;
    for (size_t step = 0; step < 3; step++) {
        test_h2_init(&h, handler, step);
        test_h2_octets(&h, LH_H2_PREFACE, LH_H2_PREFACE_BYTES);
        test_h2_say(&h, "SETTINGS - 0");
        assert_string_equal(h.log, "SETTINGS 3=128 4=65536 6=32768 9=1\n"
                                   "WINDOW_UPDATE 0 +10485761\n"
                                   "SETTINGS ack\n");
        test_h2_forget(&h);
        test_h2_say(&h, "HEADERS eh 1 GET");
        assert_string_equal(
            h.log, "HEADERS 1 :status=200 date=Tue, 24 Nov 2026 03:15:00 GMT "
                   "server=test content-length=5 content-type=text/plain\n"
                   "DATA 1 end 'hello'\n");
        test_h2_forget(&h);
        test_h2_say(&h, "HEADERS eh 3 HEAD\n"
                        "HEADERS h 5 POST/echo {content-length: 3}\n"
                        "DATA - 5 'ab'\nDATA e 5 'c'");
        assert_true(test_h2_got(&h, "HEADERS 3 end :status=200"));
        assert_true(test_h2_got(&h, "DATA 5 end 'abc'"));
        test_h2_deinit(&h);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_get),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
