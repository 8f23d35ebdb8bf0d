/* System calls that fail, by a seccomp filter: see deny.h. */
#include "lib/deny.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>

/* The low half of the first argument, on this machine's byte order. */
static uint32_t argument_offset(void)
{
    const uint16_t one = 1;
    bool little = *(const uint8_t *)&one == 1;

    return (uint32_t)offsetof(struct seccomp_data, args) + (little ? 0 : 4);
}

bool test_deny(long call, int argument, int error)
{
    uint32_t refuse = SECCOMP_RET_ERRNO | (uint32_t)error;
    uint8_t any = argument == TEST_ANY_ARGUMENT;
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)call, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, argument_offset()),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)argument, 0, !any),
        BPF_STMT(BPF_RET | BPF_K, refuse),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof(code) / sizeof(code[0]), code};

    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}
