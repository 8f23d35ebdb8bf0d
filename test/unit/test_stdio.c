/* What the C library keeps of a FILE, taken over and given back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "os/stdio.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static FILE *with(const char *text)
{
    FILE *fp = tmpfile();

    assert_non_null(fp);
    assert_true(fputs(text, fp) >= 0);
    rewind(fp);
    return fp;
}

static void expect_rest(FILE *fp, const char *text)
{
    char rest[256];
    size_t n = fread(rest, 1, sizeof(rest) - 1, fp);

    rest[n] = '\0';
    assert_string_equal(rest, text);
}

static void a_twin_is_known(void **state)
{
    struct lh_stdio_twin twin;
    FILE *fp = with("x"), *null = fopen("/dev/null", "a");

    (void)state;
    assert_int_equal(lh_stdio_duplicate(fp, &twin), 0);
    assert_true(twin.readable && twin.writable && twin.on_disk);
    assert_false(twin.appends);
    assert_int_not_equal(twin.fd, fileno(fp));
    assert_int_equal(fcntl(twin.fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    close(twin.fd);
    assert_int_equal(lh_stdio_duplicate(null, &twin), 0);
    assert_true(twin.appends && twin.writable);
    assert_false(twin.readable || twin.on_disk);
    close(twin.fd);
    fclose(null);
    close(fileno(fp));
    assert_int_equal(lh_stdio_duplicate(fp, &twin), -EBADF);
    fclose(fp);
}

/* Octets that were read ahead are not used when the file has changed. */
static void nothing_old_is_read(void **state)
{
    FILE *fp = with("0123456789");
    int64_t offset;

    (void)state;
    assert_int_equal(getc(fp), '0');
    assert_int_equal(getc(fp), '1');
    assert_int_equal(lh_stdio_leave(fp, &offset), 0);
    assert_int_equal(offset, 2);
    assert_int_equal(lh_stdio_offset(fileno(fp)), 2);
    assert_int_equal(pwrite(fileno(fp), "abcdef", 6, 0), 6);
    lh_stdio_resume(fp, 0);
    expect_rest(fp, "abcdef6789");
    assert_true(feof(fp));
    assert_int_equal(lh_stdio_leave(fp, &offset), 0);
    assert_int_equal(offset, 10);
    lh_stdio_resume(fp, 8);
    assert_false(feof(fp));
    expect_rest(fp, "89");
    fclose(fp);
}

static void pending_output_is_written(void **state)
{
    FILE *fp = with("0123456789");
    int64_t offset;

    (void)state;
    fseek(fp, 3, SEEK_SET);
    fputs("xyz", fp);
    assert_int_equal(lh_stdio_leave(fp, &offset), 0);
    assert_int_equal(offset, 6);
    assert_int_equal(pwrite(fileno(fp), "!", 1, 6), 1);
    lh_stdio_resume(fp, 7);
    fputs("?", fp);
    assert_int_equal(lh_stdio_leave(fp, &offset), 0);
    lh_stdio_resume(fp, 0);
    expect_rest(fp, "012xyz!?89");
    fclose(fp);
}

static void a_full_disk_is_told(void **state)
{
    FILE *fp = fopen("/dev/full", "w");
    int64_t offset;

    (void)state;
    fputs("text", fp);
    assert_int_equal(lh_stdio_leave(fp, &offset), -ENOSPC);
    fclose(fp);
}

static void a_pipe_keeps_its_octets(void **state)
{
    char text[32] = "";
    int64_t offset;
    int fds[2];

    (void)state;
    assert_int_equal(pipe(fds), 0);
    FILE *fp = fdopen(fds[0], "r");
    assert_int_equal(write(fds[1], "one\ntwo\nthree", 13), 13);
    assert_non_null(fgets(text, sizeof(text), fp));
    assert_int_equal(lh_stdio_leave(fp, &offset), 0);
    assert_int_equal(offset, -1);
    assert_int_equal(lh_stdio_ahead(fp), 9);
    assert_int_equal(lh_stdio_take(fp, text, 4), 4);
    assert_memory_equal(text, "two\n", 4);
    assert_int_equal(lh_stdio_take(fp, text, sizeof(text)), 5);
    assert_memory_equal(text, "three", 5);
    assert_int_equal(lh_stdio_take(fp, text, sizeof(text)), 0);
    assert_true(lh_stdio_unread(fp, "put back, ", 10));
    assert_int_equal(lh_stdio_ahead(fp), 10);
    assert_int_equal(write(fds[1], "and more", 8), 8);
    close(fds[1]);
    lh_stdio_resume(fp, -1);
    expect_rest(fp, "put back, and more");
    fclose(fp);
}

/* More than a FILE's buffer holds. */
static void much_is_put_back(void **state)
{
    static char much[100000], again[sizeof(much)];
    int fds[2];

    (void)state;
    for (size_t i = 0; i < sizeof(much); i++)
        much[i] = (char)(i % 251);
    assert_int_equal(pipe(fds), 0);
    FILE *fp = fdopen(fds[0], "r");
    close(fds[1]);
    assert_true(lh_stdio_unread(fp, much, sizeof(much)));
    assert_int_equal(lh_stdio_ahead(fp), sizeof(much));
    assert_int_equal(lh_stdio_take(fp, again, sizeof(again)), sizeof(much));
    assert_memory_equal(much, again, sizeof(much));
    assert_int_equal(getc(fp), EOF);
    fclose(fp);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_twin_is_known),
        cmocka_unit_test(nothing_old_is_read),
        cmocka_unit_test(pending_output_is_written),
        cmocka_unit_test(a_full_disk_is_told),
        cmocka_unit_test(a_pipe_keeps_its_octets),
        cmocka_unit_test(much_is_put_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
