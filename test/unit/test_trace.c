/*
 * Traces are lines on standard error, where they are compiled and asked for;
 * nothing is printed, and no function exists, where they are not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/trace.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What a few traces have written to standard error. */
static void trace_some(char *out, size_t room)
{
    struct lh_context ctx = {.worker = 3};
    int fds[2], before = dup(STDERR_FILENO);
    ssize_t n;

    assert_true(before >= 0);
    assert_int_equal(pipe(fds), 0);
    dup2(fds[1], STDERR_FILENO);
    close(fds[1]);
    lh_trace(&ctx, 17, "conn", 0, "SNIFF", "OPEN");
    lh_trace(&ctx, 17, "h2", 5, "OPEN", "HALF_REMOTE");
    dup2(before, STDERR_FILENO);
    close(before);
    for (size_t at = 0; (n = read(fds[0], out + at, room - 1 - at)) >= 0;
         at += (size_t)n) {
        out[at + (size_t)n] = '\0';
        if (n == 0)
            break;
    }
    close(fds[0]);
}

static void test_lines(void **state)
{
    char out[200];

    (void)state;
    setenv("LHTTPD_TRACE", "1", 1);
    trace_some(out, sizeof(out));
    if (LHTTPD_CHECKS)
        assert_string_equal(out, "w3 c17 conn SNIFF -> OPEN\n"
                                 "w3 c17 h2 s5 OPEN -> HALF_REMOTE\n");
    else
        assert_string_equal(out, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
