/* Planted faults: see faults.h. */
#include "lib/faults.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

bool test_fault_is_found(void (*breaks)(void *c), void (*check)(const void *c),
                         void *c)
{
    struct rlimit no_core = {0, 0};
    int status;
    pid_t child = fork();

    assert_int_not_equal(child, -1);
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        setrlimit(RLIMIT_CORE, &no_core);
        close(2);
        breaks(c);
        check(c);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

void test_no_fault(void *c)
{
    (void)c;
}
