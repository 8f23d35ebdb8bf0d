/* What the C library keeps of a FILE, taken over and given back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/forked.h"
#include "os/stdio.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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

/* In a process of its own: standard input that is a FIFO with other readers. */
static int waits_for_nobody(void *path)
{
    struct lh_stdio_twin twin;
    char text[8];
    int fd = open(path, O_RDWR);

    if (dup2(fd, STDIN_FILENO) < 0 || lh_stdio_duplicate(stdin, &twin) < 0)
        return 2;
    if (!twin.standard || twin.on_disk || twin.shared)
        return 3;
    if (!(fcntl(twin.fd, F_GETFL) & O_NONBLOCK))
        return 4;
    if (fcntl(STDIN_FILENO, F_GETFL) & O_NONBLOCK)
        return 5;
    if (read(twin.fd, text, sizeof(text)) >= 0 || errno != EAGAIN)
        return 6;
    if (write(fd, "octets", 6) != 6 || read(twin.fd, text, 8) != 6)
        return 7;
    return fcntl(twin.fd, F_GETFD) & FD_CLOEXEC ? 0 : 8;
}

static void a_standard_fifo_is_not_waited_for(void **state)
{
    char path[] = "/tmp/lhttpd-stdio-XXXXXX";

    (void)state;
    close(mkstemp(path));
    remove(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    int status = test_forked(waits_for_nobody, path);
    remove(path);
    assert_int_equal(status, 0);
}

static void a_place_is_claimed_once(void **state)
{
    FILE *fp = with("0123456789");
    int fds[2];

    (void)state;
    assert_int_equal(lh_stdio_claim(fileno(fp), 4), 0);
    assert_int_equal(lh_stdio_claim(fileno(fp), 10), 4);
    assert_int_equal(lh_stdio_offset(fileno(fp)), 14);
    fclose(fp);
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(lh_stdio_claim(fds[1], 1), -ESPIPE);
    close(fds[0]);
    close(fds[1]);
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

/* --- modes ---------------------------------------------------------------- */

static void modes_are_those_of_fopen(void **state)
{
    static const char *const wrong[] = {"",   "x",     "rw", "r++", "b",
                                        "br", "r+bb+", "rr", "r+b "};
    int flags = 0;

    (void)state;
    assert_string_equal(lh_stdio_mode("r", &flags), "r");
    assert_int_equal(flags & O_ACCMODE, O_RDONLY);
    assert_true(flags & O_NONBLOCK);
    assert_string_equal(lh_stdio_mode("rb+", &flags), "r+");
    assert_int_equal(flags & (O_ACCMODE | O_CREAT), O_RDWR);
    assert_string_equal(lh_stdio_mode("w+b", &flags), "w+");
    assert_true(flags & O_TRUNC);
    assert_string_equal(lh_stdio_mode("ab", &flags), "a");
    assert_true(flags & O_APPEND);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_null(lh_stdio_mode(wrong[i], &flags));
}

static void what_was_opened_becomes_a_stream(void **state)
{
    int fds[2], flags;
    FILE *fp = NULL;

    (void)state;
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(lh_stdio_open(fds[0], "r", &fp), 0);
    flags = fcntl(fileno(fp), F_GETFL);
    assert_int_equal(flags & O_NONBLOCK, 0);
    fclose(fp);
    assert_true(lh_stdio_open(fds[1], "no mode", &fp) < 0);
    assert_int_equal(fcntl(fds[1], F_GETFD), -1); /* it was closed */
}

static void a_descriptor_becomes_a_stream(void **state)
{
    FILE *fp = NULL;
    int fds[2];

    (void)state;
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(lh_stdio_adopt(fds[0], "w", &fp), -EINVAL);
    assert_int_equal(lh_stdio_adopt(fds[0], "r+", &fp), -EINVAL);
    assert_int_equal(lh_stdio_adopt(fds[1], "r", &fp), -EINVAL);
    assert_null(fp);
    assert_int_equal(fcntl(fds[0], F_GETFD), 0); /* as it was */
    assert_int_equal(lh_stdio_adopt(fds[0], "r", &fp), 0);
    assert_int_equal(fcntl(fds[0], F_GETFD), FD_CLOEXEC);
    fclose(fp);
    assert_int_equal(lh_stdio_adopt(fds[0], "r", &fp), -EBADF);
    close(fds[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(modes_are_those_of_fopen),
        cmocka_unit_test(what_was_opened_becomes_a_stream),
        cmocka_unit_test(a_descriptor_becomes_a_stream),
        cmocka_unit_test(a_twin_is_known),
        cmocka_unit_test(a_standard_fifo_is_not_waited_for),
        cmocka_unit_test(a_place_is_claimed_once),
        cmocka_unit_test(nothing_old_is_read),
        cmocka_unit_test(pending_output_is_written),
        cmocka_unit_test(a_full_disk_is_told),
        cmocka_unit_test(a_pipe_keeps_its_octets),
        cmocka_unit_test(much_is_put_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
