/* Pages that list a directory: what is shown, how it is written, what it may
 * cost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "files/listing.h"
#include "lib/heap.h"
#include "lib/live.h"
#include "os/beneath.h"
#include "os/error.h"
#include "os/fd.h"
#include "os/folder.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct lh_listing listing;
static int fds;

static int set_up(void **state)
{
    (void)state;
    mkdir(test_live_path("top"), 0755);
    fds = test_live_fds();
    listing = (struct lh_listing){
        .root = lh_beneath_open(LH_BENEATH_NOTHING, test_live_path("top"),
                                LH_BENEATH_DIRECTORY),
        .path = "",
        .title = "/",
        .is_top = true,
    };
    listing.fd = lh_beneath_open(listing.root, ".", LH_BENEATH_READ);
    assert_true(listing.fd >= 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    lh_fd_close(listing.fd);
    lh_fd_close(listing.root);
    lh_free(listing.page);
    assert_int_equal(test_live_fds(), fds);
    test_live_empty_dir();
    return 0;
}

/* The page's rows, with an end mark. */
static const char *make(void)
{
    long n = lh_listing_make(&listing);

    assert_true(n > 0);
    listing.page = lh_realloc(listing.page, (size_t)n + 1);
    assert_non_null(listing.page);
    listing.page[n] = '\0';
    assert_non_null(strstr(listing.page, "<!DOCTYPE html>"));
    return strstr(listing.page, "(UTC)\n") + 6;
}

static void in_order(void **state)
{
    (void)state;
    test_live_put("top/b", "12");
    test_live_put("top/a", "");
    test_live_put("top/B", "1");
    mkdir(test_live_path("top/c"), 0755);
    const struct timespec times[] = {{1577836800, 0}, {1577836800, 0}};
    utimensat(AT_FDCWD, test_live_path("top/c"), times, 0);
    assert_string_equal(
        make(), "<tr><td><a href=\"c/\">c/</a><td><td>2020-01-01 00:00\n"
                "<tr><td><a href=\"B\">B</a><td>1<td>2020-01-01 00:00\n"
                "<tr><td><a href=\"a\">a</a><td>0<td>2020-01-01 00:00\n"
                "<tr><td><a href=\"b\">b</a><td>2<td>2020-01-01 00:00\n"
                "</table>\n");
}

static void nothing(void **state)
{
    (void)state;
    assert_string_equal(make(), "</table>\n");
    lh_free(listing.page);
    listing.page = NULL;
    listing.is_top = false;
    listing.title = "/<sub>/";
    assert_string_equal(make(), "<tr><td><a href=\"../\">../</a><td><td>\n"
                                "</table>\n");
    assert_non_null(strstr(listing.page, "<title>/&lt;sub&gt;/</title>"));
}

/* Names are octets. */
static void names(void **state)
{
    static const char *const rows[][2] = {
        {"<b>&\"'", "<a href=\"%3Cb%3E%26%22%27\">&lt;b&gt;&amp;&quot;&#39;<"},
        {"javascript:x", "<a href=\"javascript%3Ax\">javascript:x<"},
        {"a b?c#d", "<a href=\"a%20b%3Fc%23d\">a b?c#d<"},
        {"%41", "<a href=\"%2541\">%41<"},
        {"\xc3\xa4", "<a href=\"%C3%A4\">\xc3\xa4<"},
        {"\xff", "<a href=\"%FF\">\xef\xbf\xbd<"},
        {"x\xc3", "<a href=\"x%C3\">x\xef\xbf\xbd<"},
        {"\xe2\x82-", "<a href=\"%E2%82-\">\xef\xbf\xbd\xef\xbf\xbd-<"},
        {"\x01\n\x7f",
         "<a href=\"%01%0A%7F\">\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd<"},
        {"back\\slash", "<a href=\"back%5Cslash\">back\\slash<"},
    };
    char path[40];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        snprintf(path, sizeof(path), "top/%s", rows[i][0]);
        test_live_put(path, "");
    }
    const char *page = make();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (!strstr(page, rows[i][1]))
            fail_msg("no %s in\n%s", rows[i][1], page);
}

/* Nothing is told of what a request would not get. */
static void what_is_not_shown(void **state)
{
    (void)state;
    test_live_put("secret", "");
    test_live_put("top/.hidden", "");
    mkfifo(test_live_path("top/fifo"), 0644);
    symlink("fifo", test_live_path("top/to_fifo"));
    symlink("../secret", test_live_path("top/out"));
    symlink("/etc", test_live_path("top/away"));
    symlink("none", test_live_path("top/dangling"));
    symlink("ring", test_live_path("top/ring"));
    assert_string_equal(make(), "</table>\n");
    lh_free(listing.page);
    listing.page = NULL;
    test_live_put("top/file", "123");
    mkdir(test_live_path("top/sub"), 0755);
    symlink("../file", test_live_path("top/sub/in"));
    symlink("..", test_live_path("top/sub/up"));
    lh_fd_close(listing.fd);
    listing.fd = lh_beneath_open(listing.root, "sub/", LH_BENEATH_READ);
    listing.path = "sub/";
    const char *page = make();
    assert_non_null(strstr(page, "<a href=\"in\">in</a><td>3<td>2020"));
    assert_non_null(strstr(page, "<a href=\"up/\">up/</a><td><td>"));
}

static void too_many(void **state)
{
    char path[40];
    size_t rows = 0;

    (void)state;
    for (int i = 0; i <= LH_LISTING_NAMES; i++) {
        snprintf(path, sizeof(path), "top/%d", i);
        int fd =
            open(test_live_path(path), O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
        assert_true(fd >= 0);
        close(fd);
    }
    for (const char *at = make(); (at = strstr(at, "<tr>")) != NULL; at++)
        rows++;
    assert_true(rows > 0 && rows <= LH_LISTING_NAMES);
    assert_non_null(strstr(listing.page, "There are more"));
}

static int names_that_can_be_read = -1; /* -1: all */

int __real_lh_folder_next(struct lh_folder *folder, const char **name);
int __wrap_lh_folder_next(struct lh_folder *folder, const char **name);

int __wrap_lh_folder_next(struct lh_folder *folder, const char **name)
{
    if (names_that_can_be_read == 0)
        return LH_SYS_EIO;
    names_that_can_be_read -= names_that_can_be_read > 0;
    return __real_lh_folder_next(folder, name);
}

/* A list that ends there would look whole. */
static void what_cannot_be_read(void **state)
{
    (void)state;
    test_live_put("top/a", "");
    test_live_put("top/b", "");
    for (names_that_can_be_read = 0; names_that_can_be_read < 3;) {
        int n = names_that_can_be_read;
        assert_int_equal(lh_listing_make(&listing), LH_SYS_EIO);
        assert_null(listing.page);
        names_that_can_be_read = n + 1;
    }
    names_that_can_be_read = -1;
    assert_non_null(strstr(make(), ">b<"));
}

static void what_fails(void **state)
{
    int file;

    (void)state;
    test_live_put("top/a", "");
    symlink("a", test_live_path("top/b"));
    test_heap_install();
    for (unsigned long at = 1; at < 5; at++) {
        test_heap_fail_at(at);
        long n = lh_listing_make(&listing);
        assert_true(n == LH_SYS_ENOMEM || (n > 0 && at > 3));
        lh_free(listing.page);
        listing.page = NULL;
    }
    test_heap_fail_at(0);
    test_heap_uninstall();
    file = listing.fd;
    listing.fd = lh_beneath_open(listing.root, "a", LH_BENEATH_READ);
    assert_int_equal(lh_listing_make(&listing), LH_SYS_ENOTDIR);
    assert_null(listing.page);
    lh_fd_close(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(in_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(names, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_not_shown, set_up, tear_down),
        cmocka_unit_test_setup_teardown(too_many, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_be_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_fails, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, test_live_clean_up);
}
