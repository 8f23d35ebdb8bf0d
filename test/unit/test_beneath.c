/* Opening beneath a directory, by the kernel and by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "os/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char where[] = "/tmp/lhttpd-beneath-XXXXXX";
static int root, outer;

typedef int open_fn(int dir, const char *path, enum lh_beneath_what what);

static void put(const char *name, const char *text)
{
    int fd =
        openat(outer, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

/* outside, root/{file, sub/{deep, up -> ../file, ...}, links} */
static int set_up_tree(void **state)
{
    static const char *const links[][2] = {
        {"file", "root/in"},
        {"sub", "root/to_sub"},
        {"sub/", "root/to_sub_slash"},
        {"sub/../file", "root/around"},
        {"../outside", "root/out"},
        {"/etc/passwd", "root/absolute"},
        {"loop", "root/loop"},
        {"ring_b", "root/ring_a"},
        {"ring_a", "root/ring_b"},
        {"../file", "root/sub/up"},
        {"../../outside", "root/sub/out"},
        {"..", "root/sub/parent"},
        {"nothing", "root/dangling"},
        {"sub/parent/sub/parent/file", "root/long_way"},
    };

    (void)state;
    if (!mkdtemp(where))
        return -1;
    outer = open(where, O_PATH | O_DIRECTORY | O_CLOEXEC);
    mkdirat(outer, "root", 0755);
    mkdirat(outer, "root/sub", 0755);
    put("outside", "secret");
    put("root/file", "file");
    put("root/sub/deep", "deep");
    for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++)
        assert_int_equal(symlinkat(links[i][0], outer, links[i][1]), 0);
    assert_int_equal(mkfifoat(outer, "root/fifo", 0644), 0);
    root = openat(outer, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
    return root < 0;
}

static int remove_tree(void **state)
{
    char command[100];

    (void)state;
    close(root);
    close(outer);
    snprintf(command, sizeof(command), "rm -r %s", where);
    return system(command);
}

static const struct {
    const char *path, *text; /* NULL: `error`, or a directory */
    int error;
} cases[] = {
    {"file", "file", 0},
    {"./file", "file", 0},
    {"sub/deep", "deep", 0},
    {"sub//deep", "deep", 0},
    {"sub/../file", "file", 0},
    {"in", "file", 0},
    {"to_sub/deep", "deep", 0},
    {"to_sub_slash/deep", "deep", 0},
    {"around", "file", 0},
    {"sub/up", "file", 0},
    {"sub/parent/file", "file", 0},
    {"long_way", "file", 0},
    {"sub", NULL, 0},
    {"sub/", NULL, 0},
    {"to_sub", NULL, 0},
    {"to_sub/", NULL, 0},
    {".", NULL, 0},
    {"sub/parent", NULL, 0},
    {"fifo", NULL, 0},
    {"..", NULL, EXDEV},
    {"../outside", NULL, EXDEV},
    {"sub/../../outside", NULL, EXDEV},
    {"out", NULL, EXDEV},
    {"sub/out", NULL, EXDEV},
    {"sub/parent/../outside", NULL, EXDEV},
    {"absolute", NULL, EXDEV},
    {"/etc/passwd", NULL, EXDEV},
    {"loop", NULL, ELOOP},
    {"ring_a", NULL, ELOOP},
    {"dangling", NULL, ENOENT},
    {"nothing", NULL, ENOENT},
    {"", NULL, ENOENT},
    {"nothing/file", NULL, ENOENT},
    {"file/", NULL, ENOTDIR},
    {"file/deep", NULL, ENOTDIR},
    {"in/deep", NULL, ENOTDIR},
};

static void check_case(open_fn *by, size_t i)
{
    char text[16] = "";
    int fd = by(root, cases[i].path, LH_BENEATH_READ);

    if (fd != -cases[i].error && (fd < 0 || cases[i].error))
        fail_msg("%s -> %d, not %d", cases[i].path, fd, -cases[i].error);
    if (fd < 0)
        return;
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    if (cases[i].text) {
        assert_int_equal(read(fd, text, sizeof(text) - 1),
                         strlen(cases[i].text));
        assert_string_equal(text, cases[i].text);
    }
    close(fd);
}

static void check_cases(open_fn *by)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        check_case(by, i);
}

static void by_the_kernel(void **state)
{
    int fd = lh_beneath_call(root, "file", LH_BENEATH_READ, false);

    (void)state;
    if (fd == -ENOSYS || fd == -EPERM)
        skip();
    close(fd);
    check_cases(lh_beneath_open);
}

static void by_hand(void **state)
{
    (void)state;
    check_cases(lh_beneath_by_hand);
}

/* It does the same, or says that it would have to wait. */
static void at_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int fd = lh_beneath_open_now(root, cases[i].path, LH_BENEATH_READ);
        if (fd == -EAGAIN)
            continue;
        if (fd >= 0)
            close(fd);
        check_case(lh_beneath_open_now, i);
    }
}

static void directories(void **state)
{
    static open_fn *const ways[] = {lh_beneath_open, lh_beneath_by_hand};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        int fd = ways[i](root, "to_sub", LH_BENEATH_DIRECTORY);
        assert_true(fd >= 0);
        int deep = ways[i](fd, "deep", LH_BENEATH_READ);
        assert_true(deep >= 0);
        assert_int_equal(ways[i](fd, "up", LH_BENEATH_READ), -EXDEV);
        close(deep);
        close(fd);
        assert_int_equal(ways[i](root, "file", LH_BENEATH_DIRECTORY), -ENOTDIR);
    }
}

static void without_a_directory(void **state)
{
    char path[100];

    (void)state;
    snprintf(path, sizeof(path), "%s/root/sub/out", where);
    int fd = lh_beneath_open(LH_BENEATH_NOTHING, path, LH_BENEATH_READ);
    assert_true(fd >= 0);
    close(fd);
    assert_false(lh_beneath_is_remote("/proc/self"));
    assert_false(lh_beneath_is_remote("/nonexistent"));
}

static void long_paths(void **state)
{
    static char path[PATH_MAX + 100];

    (void)state;
    memset(path, 'a', NAME_MAX + 1);
    assert_int_equal(lh_beneath_by_hand(root, path, LH_BENEATH_READ),
                     -ENAMETOOLONG);
    for (size_t i = 0; i < sizeof(path) - 1; i++)
        path[i] = i % 2 ? '/' : '.';
    assert_int_equal(lh_beneath_by_hand(root, path, LH_BENEATH_READ),
                     -ENAMETOOLONG);
}

static void what_it_is(void **state)
{
    static const struct {
        const char *path;
        enum lh_found_kind kind;
    } kinds[] = {{"file", LH_FOUND_FILE},
                 {"sub", LH_FOUND_DIRECTORY},
                 {"fifo", LH_FOUND_OTHER}};
    struct lh_found found;
    struct timespec times[] = {{1, 2}, {784111777, 123456789}};

    (void)state;
    assert_int_equal(utimensat(root, "file", times, 0), 0);
    for (size_t i = 0; i < 3; i++) {
        int fd = lh_beneath_open(root, kinds[i].path, LH_BENEATH_READ);
        assert_int_equal(lh_beneath_stat(fd, &found), 0);
        assert_int_equal(found.kind, kinds[i].kind);
        close(fd);
        if (i == 0) {
            assert_int_equal(found.size, 4);
            assert_int_equal(found.modified_s, 784111777);
            assert_int_equal(found.modified_ns, 123456789);
        }
    }
    assert_int_equal(lh_beneath_stat(-1, &found), -EBADF);
}

/* --- renames meanwhile ---------------------------------------------------- */

static _Atomic bool over;

/* A directory becomes a link that leads out, and back; and the directory that
 * is walked through moves out of the root. */
static void *rename_on(void *arg)
{
    (void)arg;
    while (!over) {
        renameat(outer, "root/turn", outer, "root/kept");
        renameat(outer, "root/link", outer, "root/turn");
        renameat(outer, "root/turn", outer, "root/link");
        renameat(outer, "root/kept", outer, "root/turn");
        renameat(outer, "root/far/a", outer, "a");
        renameat(outer, "a", outer, "root/far/a");
    }
    return NULL;
}

/* Whatever is opened is never what lies outside. */
static void look(open_fn *by, const char *path)
{
    int fd = by(root, path, LH_BENEATH_READ);
    char text[8] = "";

    if (fd < 0)
        return;
    assert_true(read(fd, text, sizeof(text) - 1) >= 0);
    assert_string_not_equal(text, "secret");
    close(fd);
}

static void while_renamed(void **state)
{
    static open_fn *const ways[] = {lh_beneath_open, lh_beneath_by_hand,
                                    lh_beneath_open_now};
    pthread_t thread;

    (void)state;
    mkdirat(outer, "root/turn", 0755);
    put("root/turn/outside", "inside");
    assert_int_equal(symlinkat("..", outer, "root/link"), 0);
    mkdirat(outer, "root/far", 0755);
    mkdirat(outer, "root/far/a", 0755);
    mkdirat(outer, "root/far/a/b", 0755);
    over = false;
    assert_int_equal(pthread_create(&thread, NULL, rename_on, NULL), 0);
    for (int i = 0; i < 20000; i++) {
        look(ways[i % 3], "turn/outside");
        look(ways[i % 3], "far/a/b/../../../../outside");
        look(ways[i % 3], "far/a/b/../../outside");
    }
    over = true;
    pthread_join(thread, NULL);
}

/* Somebody else's renames keep the kernel from telling where ".." leads, but
 * not us from finding what is there. */
static void found_while_renamed(void **state)
{
    pthread_t thread;
    unsigned lost = 0;

    (void)state;
    over = false;
    assert_int_equal(pthread_create(&thread, NULL, rename_on, NULL), 0);
    for (int i = 0; i < 20000; i++) {
        int fd = lh_beneath_open(root, "sub/../sub/../file", LH_BENEATH_READ);
        lost += fd < 0;
        if (fd >= 0)
            close(fd);
    }
    over = true;
    pthread_join(thread, NULL);
    assert_int_equal(lost, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_the_kernel),
        cmocka_unit_test(by_hand),
        cmocka_unit_test(at_once),
        cmocka_unit_test(directories),
        cmocka_unit_test(without_a_directory),
        cmocka_unit_test(long_paths),
        cmocka_unit_test(what_it_is),
        cmocka_unit_test(while_renamed),
        cmocka_unit_test(found_while_renamed),
    };

    return cmocka_run_group_tests(tests, set_up_tree, remove_tree);
}
