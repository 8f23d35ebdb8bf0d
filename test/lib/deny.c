/* System calls that fail, by a seccomp filter: see deny.h. */
#include "lib/deny.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>

#ifndef PR_SET_MDWE /* Linux 6.3 */
#define PR_SET_MDWE              65
#define PR_MDWE_REFUSE_EXEC_GAIN 1
#endif

/* The low half of an argument, on this machine's byte order. */
static uint32_t argument_offset(unsigned index)
{
    const uint16_t one = 1;
    bool little = *(const uint8_t *)&one == 1;

    return (uint32_t)offsetof(struct seccomp_data, args) + index * 8 +
           (little ? 0 : 4);
}

static bool install(struct sock_filter *code, size_t n)
{
    struct sock_fprog program = {(unsigned short)n, code};

    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/* The C library of this processor makes calls about sockets by socketcall(2).
 */
static bool is_by_another(long call)
{
#ifdef __i386__
    return call == SYS_socket || call == SYS_bind || call == SYS_listen ||
           call == SYS_connect || call == SYS_accept4;
#else
    (void)call;
    return false;
#endif
}

bool test_deny(long call, int argument, int error)
{
    uint32_t refuse = SECCOMP_RET_ERRNO | (uint32_t)error;
    uint8_t any = argument == TEST_ANY_ARGUMENT;
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)call, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, argument_offset(0)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)argument, 0, !any),
        BPF_STMT(BPF_RET | BPF_K, refuse),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };

    return !is_by_another(call) &&
           install(code, sizeof(code) / sizeof(code[0]));
}

bool test_deny_bits(long call, unsigned index, uint32_t bits, int error)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)call, 0, 4),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, argument_offset(index)),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, bits),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, bits, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };

    return install(code, sizeof(code) / sizeof(code[0]));
}

bool test_deny_code(void)
{
    return prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) == 0;
}

bool test_jail(void)
{
    return unshare(CLONE_NEWNS) == 0 &&
           mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("none", "/dev", "tmpfs", 0, NULL) == 0 &&
           mount("none", "/proc", "tmpfs", 0, NULL) == 0;
}

bool test_mount(const char *path, unsigned kib)
{
    char size[32];

    snprintf(size, sizeof(size), "size=%uk", kib);
    return mount("none", path, "tmpfs", 0, size) == 0;
}

void test_unmount(const char *path)
{
    umount(path);
}
