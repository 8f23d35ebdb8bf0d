/* Where the system does not let memory become code, LuaJIT does without. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/emulated.h"
#include "lib/deny.h"
#include "lib/live.h"
#include "os/memory.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* A hot loop in the script, one in a handler; jit.on() is of no use. */
static const char source[] =
    "local function hot()\n"
    "  local n = 0\n"
    "  for i = 1, 100000 do n = n + i % 7 end\n"
    "  return n\n"
    "end\n"
    "hot()\n"
    "if jit then jit.on() jit.on(hot) end\n"
    "test('hot', function()\n"
    "  if jit then jit.on() jit.on(hot, true) end\n"
    "  return hot()\n"
    "end)\n"
    "test('traces', function()\n"
    "  return tostring(jit and jit.status() or false)\n"
    "end)\n"
    "test('lua', function() return jit and 'jit' or 'plain' end)\n";

static void serves(bool traces)
{
    struct test_live live;

    test_live_start(&live, 2, source);
    test_live_expect(&live, "/hot", "300000");
    test_live_expect(&live, "/hot", "300000");
    bool jit = strcmp(test_live_get(&live, "/lua"), "jit") == 0;
    test_live_expect(&live, "/traces", jit && traces ? "true" : "false");
    test_live_stop(&live);
}

static void traces_are_compiled(void **state)
{
    (void)state;
    assert_true(lh_memory_becomes_code());
    serves(true);
}

static void hot_loops_end_nobody(void **state)
{
    (void)state;
    assert_false(lh_memory_becomes_code());
    serves(false);
}

/* The limit is too large to be met; what counts is that there is one. */
static void a_limit_stops_compiling(void **state)
{
    (void)state;
    test_not_emulated("it limits no memory");
    assert_true(lh_memory_is_limited());
    serves(false);
}

/* As systemd does it, SELinux, and the kernel by itself. */
static bool harden(int how)
{
    if (how == 0)
        return test_deny_bits(SYS_mprotect, 2, PROT_EXEC, EPERM);
    if (how == 1)
        return test_deny_bits(SYS_mprotect, 2, PROT_EXEC, EACCES);
    return test_deny_code();
}

static int run_hardened(int how)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(hot_loops_end_nobody),
    };
    pid_t pid = fork();
    int status = -1;

    if (pid == 0) {
        if (!harden(how))
            exit(0);
        exit(cmocka_run_group_tests_name("hardened", tests, NULL,
                                         test_live_clean_up));
    }
    waitpid(pid, &status, 0);
    return status != 0;
}

static int run_limited(bool data)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_limit_stops_compiling),
    };
    const struct rlimit limit = {(rlim_t)1 << 60, (rlim_t)1 << 60};
    pid_t pid = fork();
    int status = -1;

    if (pid == 0) {
        if (data ? setrlimit(RLIMIT_DATA, &limit)
                 : setrlimit(RLIMIT_AS, &limit))
            exit(1);
        exit(cmocka_run_group_tests_name("limited", tests, NULL,
                                         test_live_clean_up));
    }
    waitpid(pid, &status, 0);
    return status != 0;
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(traces_are_compiled),
    };
    int failed = 0;

    for (int how = 0; how < 3; how++)
        failed += run_hardened(how);
    failed += run_limited(false) + run_limited(true);
    return cmocka_run_group_tests(tests, NULL, test_live_clean_up) + failed;
}
