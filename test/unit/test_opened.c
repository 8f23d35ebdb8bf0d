/* Files that are kept open from one request to the next: what is seen at once,
 * what within a second, and what is not kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "files/conduit.h"
#include "files/files.h"
#include "lib/heap.h"
#include "lib/live.h"
#include "lib/loopback.h"
#include "os/aio.h"
#include "os/fd.h"
#include "os/splice.h"
#include "os/thread.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static struct test_context t;
static struct lh_open_files store;
static struct lh_served served;
static struct lh_files_options options;
static int fds; /* before the first request */

/* test_live_path() has one buffer. */
static void move(const char *from, const char *to)
{
    char old[200];

    snprintf(old, sizeof(old), "%s", test_live_path(from));
    assert_int_equal(rename(old, test_live_path(to)), 0);
}

static int set_up(void **state)
{
    struct lh_err err;

    (void)state;
    fds = test_live_fds();
    test_context_init(&t);
    lh_open_files_init(&store, &t.ctx);
    lh_list_init(&served.ready);
    assert_int_equal(lh_aio_new(&t.ctx.aio, "inline", &err), 0);
    options = (struct lh_files_options){.directory = test_live_dir(),
                                        .index = "index.html",
                                        .compressed = true};
    mkdir(test_live_path("sub"), 0755);
    test_live_put("a.txt", "first");
    test_live_put("sub/b.txt", "in sub");
    test_live_put("index.html", "index");
    fds += 1;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    lh_open_files_forget(&store);
    assert_int_equal(store.n, 0);
    assert_false(lh_timer_armed(&store.timer));
    assert_int_equal(test_live_fds(), fds);
    lh_aio_free(t.ctx.aio);
    test_context_deinit(&t);
    test_live_empty_dir();
    return 0;
}

static void wait_for_operations(void)
{
    struct pollfd fd = {.fd = lh_aio_fd(t.ctx.aio), .events = POLLIN};

    lh_aio_submit(t.ctx.aio);
    assert_int_equal(poll(&fd, 1, 20000), 1);
    lh_aio_deliver(t.ctx.aio);
}

static void run_to_its_end(struct test_loopback *loop)
{
    while (!loop->ended && !loop->aborted) {
        if (!test_loopback_pump(loop, SIZE_MAX) && lh_aio_pending(t.ctx.aio))
            wait_for_operations();
        lh_served_run(&served);
    }
}

static void expect(const char *target, unsigned status, const char *body)
{
    const char *const fields[] = {"accept-encoding", "gzip", NULL};
    struct test_loopback loop;

    test_loopback_request(&loop, &t, "GET", target, fields, false);
    lh_served_begin(&served, loop.ex, &options, loop.ex->request.path);
    run_to_its_end(&loop);
    if (loop.status != status || (body && strcmp(loop.body, body) != 0))
        fail_msg("%s: %u '%s', not %u '%s'", target, loop.status, loop.body,
                 status, body ? body : "");
    test_loopback_deinit(&loop);
}

static void pass_ms(uint64_t ms)
{
    t.ctx.now_ms += ms;
    lh_timers_fire(&t.ctx.timers, t.ctx.now_ms);
}

/* --- what is kept --------------------------------------------------------- */

static void for_a_second(void **state)
{
    (void)state;
    expect("/a.txt", 200, "first");
    assert_int_equal(test_live_fds(), fds + 2);
    assert_int_equal(store.n, 3); /* and that there is no a.txt.gz */
    pass_ms(LH_OPENED_MS - 1);
    expect("/a.txt", 200, "first");
    expect("/", 200, "index");
    assert_int_equal(test_live_fds(), fds + 3);
    pass_ms(1);
    assert_int_equal(test_live_fds(), fds);
    assert_int_equal(store.n, 0);
    expect("/a.txt", 200, "first");
    assert_int_equal(test_live_fds(), fds + 2);
}

static void within_bounds(void **state)
{
    char name[40];

    (void)state;
    for (int i = 0; i < LH_OPENED_MAX; i++) {
        snprintf(name, sizeof(name), "/f%d", i);
        test_live_put(name + 1, name);
        expect(name, 200, name);
        expect(name, 200, name);
    }
    assert_int_equal(store.n, LH_OPENED_MAX);
    assert_int_equal(test_live_fds(), fds + 1 + LH_OPENED_MAX / 2);
    lh_open_files_forget(&store);
    store.fd_end = 0; /* others need them all */
    expect("/a.txt", 200, "first");
    assert_int_equal(store.n, 0);
}

/* --- what is seen at once ------------------------------------------------- */

static void changes_of_the_file(void **state)
{
    (void)state;
    expect("/a.txt", 200, "first");
    test_live_put("a.txt", "longer than before");
    expect("/a.txt", 200, "longer than before");
    test_live_put("a.txt", "longer than befor!"); /* at the same time */
    expect("/a.txt", 200, "longer than befor!");
    test_live_put("new", "another");
    move("new", "a.txt");
    expect("/a.txt", 200, "another");
    test_live_put("new", "brother"); /* as long, and as old */
    move("new", "a.txt");
    expect("/a.txt", 200, "brother");
    unlink(test_live_path("a.txt"));
    expect("/a.txt", 404, NULL);
    test_live_put("a.txt", "again");
    expect("/a.txt", 200, "again");
    /* Of a file that goes elsewhere only the time of its change is another, and
     * Linux before 6.13 counts that in ticks of 10 ms at most. */
    lh_thread_sleep_ms(20);
    move("a.txt", "b.txt");
    expect("/a.txt", 404, NULL);
    expect("/b.txt", 200, "again");
}

static void changes_of_variants(void **state)
{
    (void)state;
    expect("/a.txt", 200, "first");
    test_live_put("a.txt.gz", "packed");
    expect("/a.txt.gz", 200, "packed");
    expect("/a.txt", 200, "packed");
    expect("/a.txt", 200, "packed");
    test_live_put("a.txt.gz", "others");
    expect("/a.txt", 200, "others");
    utimensat(AT_FDCWD, test_live_path("a.txt"), NULL, 0);
    expect("/a.txt", 200, "first");
    test_live_put("a.txt", "first");
    expect("/a.txt", 200, "others");
    unlink(test_live_path("a.txt.gz"));
    expect("/a.txt", 200, "first");
    expect("/a.txt.gz", 404, NULL);
}

/* --- what is seen within a second ----------------------------------------- */

static void changes_on_the_way(void **state)
{
    (void)state;
    expect("/sub/b.txt", 200, "in sub");
    expect("/a.txt", 200, "first");
    move("sub", "away");
    mkdir(test_live_path("sub"), 0755);
    test_live_put("sub/b.txt", "in another");
    test_live_put("a.txt.gz", "packed");
    pass_ms(LH_OPENED_MS);
    expect("/sub/b.txt", 200, "in another");
    expect("/a.txt", 200, "packed");
    move("sub", "gone");
    assert_int_equal(symlink("..", test_live_path("sub")), 0);
    pass_ms(LH_OPENED_MS);
    expect("/sub/b.txt", 403, NULL);
}

/* Who has begun before the store forgot its root does not add to it what the
 * next second would believe. */
static void by_an_old_root(void **state)
{
    struct lh_opened *root, *file;
    int fd = lh_beneath_open(LH_BENEATH_NOTHING, test_live_dir(),
                             LH_BENEATH_DIRECTORY);

    (void)state;
    assert_int_equal(
        lh_opened_new(&root, NULL, LH_BENEATH_DIRECTORY, test_live_dir(), fd),
        0);
    lh_open_files_keep(&store, root);
    assert_int_equal(store.n, 1);
    lh_open_files_forget(&store);
    fd = lh_beneath_open(root->fd, "a.txt", LH_BENEATH_READ);
    assert_int_equal(lh_opened_new(&file, root, LH_BENEATH_READ, "a.txt", fd),
                     0);
    lh_open_files_keep(&store, file);
    assert_int_equal(store.n, 0);
    lh_opened_drop(file);
    lh_opened_drop(root);
}

/* --- descriptors run out -------------------------------------------------- */

static void is_served_at_the_limit(bool by_an_operation)
{
    struct rlimit before, few;
    int taken[64], n = 0;

    expect("/a.txt", 200, "first");
    expect("/index.html", 200, "index");
    test_live_put("c.txt", "third");
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = before;
    few.rlim_cur = (rlim_t)fds + 5;
    setrlimit(RLIMIT_NOFILE, &few);
    while (n < 64 && (taken[n] = dup(1)) >= 0)
        n++;
    options.remote = by_an_operation;
    expect("/c.txt", 200, "third");
    while (n)
        close(taken[--n]);
    setrlimit(RLIMIT_NOFILE, &before);
}

static void gives_its_own_back(void **state)
{
    (void)state;
    is_served_at_the_limit(false);
}

/* The way to a file that the system has not in memory, or cannot ask for it. */
static void gives_it_back_to_operations(void **state)
{
    (void)state;
    is_served_at_the_limit(true);
}

/* --- memory that lacks ---------------------------------------------------- */

static void without_memory(void **state)
{
    const char *const fields[] = {"accept-encoding", "gzip", NULL};

    (void)state;
    for (unsigned long at = 1; at < 20; at++) {
        struct test_loopback loop;
        test_loopback_request(&loop, &t, "GET", "/a.txt", fields, false);
        test_heap_install();
        test_heap_fail_at(at);
        lh_served_begin(&served, loop.ex, &options, loop.ex->request.path);
        test_heap_fail_at(0);
        run_to_its_end(&loop);
        assert_true(loop.status == 200 || loop.status == 503);
        test_loopback_deinit(&loop);
        expect("/a.txt", 200, "first");
        lh_open_files_forget(&store);
        test_heap_uninstall();
        assert_int_equal(test_live_fds(), fds);
    }
}

/* --- conduits ------------------------------------------------------------- */

static void conduits(void **state)
{
    struct lh_conduit *one = lh_conduit_new(&t.ctx), *other;
    int file = open(test_live_path("a.txt"), O_RDONLY | O_CLOEXEC), number;
    char octets[8];

    (void)state;
    if (!one) {
        close(file);
        skip(); /* this system has none */
    }
    number = one->fds[0];
    lh_conduit_drop(one);
    assert_int_equal(store.conduits_n, 1);
    one = lh_conduit_new(&t.ctx);
    assert_int_equal(one->fds[0], number);
    other = lh_conduit_new(&t.ctx);
    assert_int_not_equal(other->fds[0], number);
    lh_conduit_drop(other);

    /* What has octets in it is nobody's any more. */
    assert_int_equal(lh_splice_in(file, 0, one->fds[1], 100), 5);
    lh_conduit_drop(lh_conduit_hold(one));
    assert_int_equal(lh_pipe_read(one->fds[0], octets, 2), 2);
    lh_conduit_drop(one);
    assert_int_equal(store.conduits_n, 1);
    close(file);
    pass_ms(LH_OPENED_MS);
    assert_int_equal(store.conduits_n, 0);
    assert_int_equal(test_live_fds(), fds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(for_a_second, set_up, tear_down),
        cmocka_unit_test_setup_teardown(within_bounds, set_up, tear_down),
        cmocka_unit_test_setup_teardown(changes_of_the_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(changes_of_variants, set_up, tear_down),
        cmocka_unit_test_setup_teardown(changes_on_the_way, set_up, tear_down),
        cmocka_unit_test_setup_teardown(by_an_old_root, set_up, tear_down),
        cmocka_unit_test_setup_teardown(gives_its_own_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(gives_it_back_to_operations, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(without_memory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(conduits, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, test_live_clean_up);
}
