/*
 * Lines on their way to a file, by both ways of file operations: a disk that is
 * full, a file that was moved away, a reader that stalls.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/heap.h"
#include "os/lines.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

struct fixture {
    struct lh_aio *aio;
    struct lh_log_file *file;
    struct lh_lines lines;
    char directory[64], path[96];
};

static int set_up(void **state, const char *way)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct lh_err err;

    *state = NULL;
    if (!f || lh_aio_new(&f->aio, way, &err) < 0) {
        free(f);
        return strcmp(way, "uring") == 0 ? 0 : -1;
    }
    snprintf(f->directory, sizeof(f->directory), "/tmp/lhttpd-lines-XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    snprintf(f->path, sizeof(f->path), "%s/log", f->directory);
    *state = f;
    return 0;
}

static int by_uring(void **state)
{
    return set_up(state, "uring");
}

static int by_threads(void **state)
{
    return set_up(state, "threads");
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    char command[200];

    if (!f)
        return 0;
    lh_lines_deinit(&f->lines);
    lh_log_file_free(f->file);
    lh_aio_free(f->aio);
    snprintf(command, sizeof(command), "rm -r %s", f->directory);
    int r = system(command);
    free(f);
    return r;
}

static void open_log(struct fixture *f, const char *where)
{
    struct lh_err err;

    if (lh_log_file_new(&f->file, where, "test", &err) < 0)
        fail_msg("%s", err.text);
    lh_lines_init(&f->lines, f->file, f->aio);
}

static bool add(struct fixture *f, const char *line)
{
    size_t n = strlen(line);
    char *room = lh_lines_room(&f->lines, n + 100);

    if (!room)
        return false;
    memcpy(room, line, n);
    lh_lines_give(&f->lines, n);
    return true;
}

/* Until the operation is done. */
static void leave(struct fixture *f)
{
    lh_lines_leave(&f->lines);
    while (f->lines.busy) {
        struct pollfd completions = {.fd = lh_aio_fd(f->aio), .events = POLLIN};
        lh_aio_submit(f->aio);
        poll(&completions, 1, 10);
        lh_aio_deliver(f->aio);
    }
}

static void expect_file(const char *path, const char *expected)
{
    char text[4096];
    FILE *file = fopen(path, "r");

    assert_non_null(file);
    size_t n = fread(text, 1, sizeof(text) - 1, file);
    fclose(file);
    text[n] = '\0';
    assert_string_equal(text, expected);
}

static void test_lines_are_appended(void **state)
{
    struct fixture *f = *state;
    struct stat st;

    if (!f)
        skip();
    umask(022);
    open_log(f, f->path);
    assert_int_equal(stat(f->path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    assert_true(add(f, "one\n") && add(f, "two\n"));
    lh_lines_leave(&f->lines);
    assert_true(f->lines.busy);
    assert_true(add(f, "three\n")); /* while they are on their way */
    lh_lines_leave(&f->lines);
    leave(f);
    assert_false(lh_lines_have_left(&f->lines));
    leave(f);
    assert_true(lh_lines_have_left(&f->lines));
    expect_file(f->path, "one\ntwo\nthree\n");
    assert_int_equal(f->lines.lost, 0);
}

/* No file becomes longer than n octets until *before is set again. */
static void limit_files(rlim_t n, struct rlimit *before)
{
    struct rlimit limit;

    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, before), 0);
    limit = *before;
    limit.rlim_cur = n;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* As a disk that is full: the line that has been cut is ended once there is
 * room again. */
static void test_full_disk(void **state)
{
    struct fixture *f = *state;
    struct rlimit before;

    if (!f)
        skip();
    open_log(f, f->path);
    add(f, "before\n");
    leave(f);
    limit_files(10, &before);
    add(f, "one\n");
    add(f, "two\n");
    leave(f);
    assert_int_equal(f->lines.lost, 2);
    assert_int_equal(f->lines.why, -EFBIG);
    add(f, "three\n");
    leave(f);
    assert_int_equal(f->lines.lost, 3);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    add(f, "after\n");
    leave(f);
    expect_file(f->path, "before\none\nafter\n");
    add(f, "more\n");
    leave(f);
    expect_file(f->path, "before\none\nafter\nmore\n");
    assert_int_equal(f->lines.lost, 3);
}

static void log_one(struct fixture *f, const char *message)
{
    lhttpd_log_entry_t entry = {
        .size = sizeof(entry), .level = LHTTPD_LOG_ERROR, .message = message};

    lh_log_to_file(f->file, &entry);
    leave(f);
}

/* The first line that gets through has the number of all that were lost before
 * it, though lines with numbers were lost with them. */
static void test_lost_lines_are_told(void **state)
{
    struct fixture *f = *state;
    struct rlimit before;
    char text[1000];

    if (!f)
        skip();
    open_log(f, f->path);
    lh_lines_of_thread(&f->lines);
    limit_files(0, &before);
    for (int i = 0; i < 5; i++)
        log_one(f, "lost");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    log_one(f, "after");
    log_one(f, "more");
    lh_lines_of_thread(NULL);
    FILE *file = fopen(f->path, "r");
    assert_non_null(file);
    assert_non_null(fgets(text, sizeof(text), file));
    assert_non_null(strstr(text, " warning: 5 lines of the log were lost: "));
    assert_non_null(fgets(text, sizeof(text), file));
    assert_non_null(strstr(text, " error: after\n"));
    assert_non_null(fgets(text, sizeof(text), file));
    assert_non_null(strstr(text, " error: more\n"));
    fclose(file);
}

/* The n-th line of the file, from 0. */
static void expect_line(const char *path, int n, const char *end)
{
    char text[1000] = "";
    FILE *file = fopen(path, "r");

    assert_non_null(file);
    while (n-- >= 0)
        assert_non_null(fgets(text, sizeof(text), file));
    fclose(file);
    size_t from = strlen(text) - strlen(end);
    assert_true(strlen(text) >= strlen(end));
    assert_string_equal(text + from, end);
}

/* What one thread has left without an end, whoever writes next ends: a thread
 * that has lines of its own or one that has none. */
static void test_cut_by_another_thread(void **state)
{
    struct fixture *f = *state;
    struct rlimit before;

    if (!f)
        skip();
    open_log(f, f->path);
    limit_files(10, &before);
    log_one(f, "by a thread without lines");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    add(f, "one\n");
    leave(f);
    expect_line(f->path, 1, "one\n");
    limit_files(20, &before);
    add(f, "by a thread with lines\n");
    leave(f);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    log_one(f, "two");
    expect_line(f->path, 2, "by a \n");
    expect_line(f->path, 3,
                "lines of the log were lost: the file did not take "
                "them\n");
    expect_line(f->path, 4, " error: two\n");
    log_one(f, "three");
    expect_line(f->path, 5, " error: three\n");
}

/* Neither of them gets the newline away: it is still the next one's. */
static void test_cut_and_still_full(void **state)
{
    struct fixture *f = *state;
    struct rlimit before;

    if (!f)
        skip();
    open_log(f, f->path);
    limit_files(10, &before);
    log_one(f, "cut");
    log_one(f, "not at all");
    add(f, "nor this\n");
    leave(f);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    add(f, "one\n");
    leave(f);
    expect_line(f->path, 1, "one\n");
    add(f, "two\n");
    leave(f);
    expect_line(f->path, 2, "two\n");
}

/* What has been cut stands in the old file: the new one begins with a line. */
static void test_full_disk_and_another_file(void **state)
{
    struct fixture *f = *state;
    struct lh_log_opened opened;
    struct rlimit before;
    struct lh_err err;
    char old[120];

    if (!f)
        skip();
    open_log(f, f->path);
    limit_files(6, &before);
    add(f, "one\n");
    add(f, "two\n");
    leave(f);
    assert_int_equal(f->lines.lost, 1);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    snprintf(old, sizeof(old), "%s.1", f->path);
    assert_int_equal(rename(f->path, old), 0);
    assert_int_equal(lh_log_file_open_again(f->file, &opened, &err), 0);
    lh_log_file_change(f->file, &opened);
    add(f, "three\n");
    leave(f);
    expect_file(old, "one\ntw");
    expect_file(f->path, "three\n");
}

static void test_opened_again(void **state)
{
    struct fixture *f = *state;
    struct lh_log_opened opened;
    char old[120];
    struct lh_err err;

    if (!f)
        skip();
    open_log(f, f->path);
    int fd = f->file->fd;
    add(f, "one\n");
    leave(f);
    snprintf(old, sizeof(old), "%s.1", f->path);
    assert_int_equal(rename(f->path, old), 0);
    add(f, "two\n");
    leave(f);
    assert_int_equal(lh_log_file_open_again(f->file, &opened, &err), 0);
    lh_log_file_change(f->file, &opened);
    assert_int_equal(f->file->fd, fd);
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    add(f, "three\n");
    leave(f);
    expect_file(old, "one\ntwo\n");
    expect_file(f->path, "three\n");
}

/* The directory is gone: nothing changes, and the words say what. */
static void test_not_opened_again(void **state)
{
    struct fixture *f = *state;
    struct lh_log_opened opened;
    char away[120], there[140];
    struct lh_err err;

    if (!f)
        skip();
    open_log(f, f->path);
    assert_true(lh_log_file_opens_again(f->file, &err));
    snprintf(away, sizeof(away), "%s-away", f->directory);
    assert_int_equal(rename(f->directory, away), 0);
    assert_false(lh_log_file_opens_again(f->file, &err));
    assert_non_null(strstr(err.text, "/log: No such file or directory"));
    assert_int_equal(lh_log_file_open_again(f->file, &opened, &err),
                     LHTTPD_ESYSTEM);
    assert_non_null(strstr(err.text, "/log: No such file or directory"));
    lh_log_file_let_go(&opened);
    add(f, "one\n");
    leave(f);
    snprintf(there, sizeof(there), "%s/log", away);
    expect_file(there, "one\n");
    assert_int_equal(rename(away, f->directory), 0);
}

/* Another file by the same path, as in another root directory. */
static void test_another_file(void **state)
{
    struct fixture *f = *state;
    struct lh_err err;

    if (!f)
        skip();
    open_log(f, f->path);
    assert_int_equal(unlink(f->path), 0);
    int fd = open(f->path, O_CREAT | O_WRONLY, 0600);
    int held = open(f->path, O_RDONLY);
    assert_true(fd >= 0 && held >= 0);
    assert_false(lh_log_file_opens_again(f->file, &err));
    close(fd);
    close(held);
}

/* A pipe whose reader stalls: what it takes is whole lines, the rest waits, and
 * past a mebibyte lines are lost.  Nothing waits for it. */
static void test_stalled_reader(void **state)
{
    struct fixture *f = *state;
    static char text[2 << 20], line[1001];
    size_t n = 0, lines = 0, added = 0;
    ssize_t r;

    if (!f)
        skip();
    assert_int_equal(mkfifo(f->path, 0600), 0);
    int fd = open(f->path, O_RDONLY | O_NONBLOCK);
    assert_true(fd >= 0);
    open_log(f, f->path);
    memset(line, 'x', 999);
    line[999] = '\n';
    for (int i = 0; i < 1200; i++) {
        added += add(f, line);
        lh_lines_leave(&f->lines);
    }
    assert_true(f->lines.stalled && !f->lines.busy);
    assert_true(added > 1000 && added < 1200);
    assert_int_equal(f->lines.lost, 1200 - added);
    assert_int_equal(f->lines.why, 0);
    while (!lh_lines_have_left(&f->lines)) {
        r = read(fd, text + n, sizeof(text) - n);
        n += r > 0 ? (size_t)r : 0;
        lh_lines_leave(&f->lines);
    }
    while ((r = read(fd, text + n, sizeof(text) - n)) > 0)
        n += (size_t)r;
    for (size_t i = 0; i < n; i++)
        lines += text[i] == '\n' && (i + 1) % 1000 == 0;
    assert_int_equal(lines, added);
    assert_int_equal(n, added * 1000);
    close(fd);
    signal(SIGPIPE, SIG_IGN);
    add(f, line);
    lh_lines_leave(&f->lines); /* nobody reads any more */
    assert_int_equal(f->lines.why, -EPIPE);
    assert_true(lh_lines_have_left(&f->lines));
}

/* A reader that ends within a line, and another who lets us wait: what the
 * first had of the line is ended once, however often is tried. */
static void test_another_reader(void **state)
{
    struct fixture *f = *state;
    static char text[2 << 20], line[300001];
    size_t n = 0;
    ssize_t r;

    if (!f)
        skip();
    assert_int_equal(mkfifo(f->path, 0600), 0);
    int fd = open(f->path, O_RDONLY | O_NONBLOCK);
    assert_true(fd >= 0);
    open_log(f, f->path);
    memset(line, 'x', sizeof(line) - 2);
    line[sizeof(line) - 2] = '\n';
    signal(SIGPIPE, SIG_IGN);
    assert_true(add(f, line)); /* more than a pipe holds */
    lh_lines_leave(&f->lines);
    assert_true(f->lines.stalled);
    close(fd);
    lh_lines_leave(&f->lines);
    assert_int_equal(f->lines.lost, 1);
    fd = open(f->path, O_RDONLY | O_NONBLOCK);
    assert_true(fd >= 0);
    for (int i = 0; i < 3; i++) {
        assert_true(add(f, "next\n"));
        lh_lines_leave(&f->lines);
        lh_lines_leave(&f->lines);
    }
    assert_true(f->lines.stalled);
    while (!lh_lines_have_left(&f->lines)) {
        r = read(fd, text + n, sizeof(text) - n);
        n += r > 0 ? (size_t)r : 0;
        lh_lines_leave(&f->lines);
    }
    while ((r = read(fd, text + n, sizeof(text) - 1 - n)) > 0)
        n += (size_t)r;
    close(fd);
    text[n] = '\0';
    assert_string_equal(strchr(text, '\n'), "\nnext\nnext\nnext\n");
}

/* A file in the place of a pipe takes what comes, at once. */
static void test_a_file_after_a_stalled_reader(void **state)
{
    struct fixture *f = *state;
    struct lh_log_opened opened;
    static char line[100001];
    struct lh_err err;

    if (!f)
        skip();
    assert_int_equal(mkfifo(f->path, 0600), 0);
    int fd = open(f->path, O_RDONLY | O_NONBLOCK);
    assert_true(fd >= 0);
    open_log(f, f->path);
    memset(line, 'x', sizeof(line) - 2);
    line[sizeof(line) - 2] = '\n';
    assert_true(add(f, line)); /* more than a pipe holds */
    lh_lines_leave(&f->lines);
    assert_true(f->lines.stalled);
    assert_int_equal(unlink(f->path), 0);
    assert_int_equal(lh_log_file_open_again(f->file, &opened, &err), 0);
    lh_log_file_change(f->file, &opened);
    leave(f);
    assert_true(lh_lines_have_left(&f->lines));
    assert_false(f->lines.stalled);
    close(fd);
}

static void test_bad_places(void **state)
{
    static const char *const cases[][2] = {
        {"", "not a file's path"},
        {"/nowhere/log", "/nowhere/log: No such file or directory"},
        {"/tmp", "/tmp: Is a directory"},
    };
    struct lh_log_file *file;
    struct lh_err err;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_true(lh_log_file_new(&file, cases[i][0], "test", &err) < 0);
        assert_non_null(strstr(err.text, cases[i][1]));
    }
}

static void test_without_memory(void **state)
{
    struct fixture *f = *state;
    struct lh_err err;

    if (!f)
        skip();
    test_heap_install();
    for (unsigned long i = 1; i <= 2; i++) {
        test_heap_fail_at(i);
        assert_int_equal(lh_log_file_new(&f->file, f->path, "test", &err),
                         LHTTPD_ENOMEM);
    }
    assert_int_equal(test_heap_live(), 0);
    test_heap_fail_at(0);
    open_log(f, f->path);
    test_heap_fail_at(1);
    assert_false(add(f, "one\n"));
    assert_int_equal(f->lines.lost, 1);
    assert_int_equal(f->lines.why, -ENOMEM);
    test_heap_fail_at(0);
    assert_true(add(f, "two\n"));
    leave(f);
    expect_file(f->path, "two\n");
    lh_lines_deinit(&f->lines);
    lh_log_file_free(f->file);
    f->file = NULL;
    assert_int_equal(test_heap_live(), 0);
    test_heap_uninstall();
}

#define BOTH(test)                                                             \
    cmocka_unit_test_setup_teardown(test, by_uring, tear_down),                \
        cmocka_unit_test_setup_teardown(test, by_threads, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(test_lines_are_appended),
        BOTH(test_full_disk),
        BOTH(test_lost_lines_are_told),
        BOTH(test_cut_by_another_thread),
        BOTH(test_cut_and_still_full),
        BOTH(test_full_disk_and_another_file),
        BOTH(test_opened_again),
        BOTH(test_not_opened_again),
        BOTH(test_another_file),
        BOTH(test_stalled_reader),
        BOTH(test_another_reader),
        BOTH(test_a_file_after_a_stalled_reader),
        BOTH(test_without_memory),
        cmocka_unit_test(test_bad_places),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
