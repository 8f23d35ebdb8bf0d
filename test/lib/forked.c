/* A part of a test in a process of its own: see forked.h. */
#include "lib/forked.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define GIVES_UP_S 300

/* Coverage builds have it: _exit() alone would forget what a child ran. */
extern void __gcov_dump(void) __attribute__((weak));

void test_forked_end(int status)
{
    if (__gcov_dump)
        __gcov_dump();
    _exit(status);
}

int test_forked(int (*body)(void *arg), void *arg)
{
    int status = -1;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        alarm(GIVES_UP_S);
        test_forked_end(body(arg));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFEXITED(status))
        fail_msg("signal %d has ended the child", WTERMSIG(status));
    if (WEXITSTATUS(status) == TEST_CANNOT) {
        print_message("the system does not allow this\n");
        skip();
    }
    return WEXITSTATUS(status);
}
