#!/usr/bin/env python3
"""Runs a program as a hardened or old system would.

Usage: confine.py WORD ... -- PROGRAM [ARGUMENT ...]

    ENOSYS=call,call,...  these system calls fail so; likewise EPERM=...
    old-kernel            so do all that Linux 4.14 has not, and those of it
                          that the library has another way for
    no-code               memory that was written is never executed
    no-children           SIGCHLD is ignored
    no-streams            descriptors 0 to 2 are closed
    files=N               at most N descriptors
    memory=N              an address space of N MiB
    jail                  /dev and /proc are empty; only root can do that
    user=N                this user and group; only root can do that
"""

import ctypes
import errno
import os
import platform
import resource
import signal
import struct
import sys

LIBC = ctypes.CDLL(None, use_errno=True)

# Numbers of system calls; from 424 on they are the same everywhere.
CALLS = {
    "x86_64": {"preadv2": 327, "pwritev2": 328, "memfd_create": 319,
               "mprotect": 10, "splice": 275, "waitid": 247},
    "aarch64": {"preadv2": 286, "pwritev2": 287, "memfd_create": 279,
                "mprotect": 226, "splice": 76, "waitid": 95},
}.get(platform.machine(), {})
CALLS.update(pidfd_send_signal=424, io_uring_setup=425, io_uring_enter=426,
             io_uring_register=427, pidfd_open=434, close_range=436, openat2=437)

# The last one of Linux 4.14.
LAST = {"x86_64": 332, "aarch64": 291}.get(platform.machine())

ALLOW, REFUSE = 0x7FFF0000, 0x00050000  # SECCOMP_RET_...
PROT_EXEC = 4
P_PIDFD = 3


def check(result, what):
    if result != 0:
        error = ctypes.get_errno()
        sys.exit(f"confine: {what}: {os.strerror(error)}")


def load(offset):
    return struct.pack("HBBI", 0x20, 0, 0, offset)


def jump(test, k, then, other):
    return struct.pack("HBBI", test, then, other, k)


def answer(k):
    return struct.pack("HBBI", 0x06, 0, 0, k)


EQUAL, GREATER, HAS_BITS = 0x15, 0x25, 0x45


def install(code):
    """A filter of 8-octet instructions, for this process and its children."""
    buffer = ctypes.create_string_buffer(code, len(code))
    program = ctypes.create_string_buffer(struct.pack(
        "HxxxxxxP", len(code) // 8, ctypes.addressof(buffer)))
    no_new_privileges, seccomp, by_filter = 38, 22, 2
    check(LIBC.prctl(no_new_privileges, 1, 0, 0, 0), "no_new_privs")
    check(LIBC.prctl(seccomp, by_filter, program, 0, 0), "seccomp")


def refuse(error, names):
    number = getattr(errno, error)
    code = load(0)
    for name in names:
        code += jump(EQUAL, CALLS[name], 0, 1) + answer(REFUSE | number)
    install(code + answer(ALLOW))


def argument(n):
    """Where the low half of a system call's n-th argument is."""
    return 16 + n * 8 + (sys.byteorder == "big") * 4


def old_kernel():
    refuse("ENOSYS", ("preadv2", "pwritev2", "memfd_create"))
    install(load(0) + jump(EQUAL, CALLS["waitid"], 0, 3) + load(argument(0)) +
            jump(EQUAL, P_PIDFD, 0, 1) + answer(REFUSE | errno.EINVAL) +
            answer(ALLOW))
    install(load(0) + jump(GREATER, LAST, 0, 1) +
            answer(REFUSE | errno.ENOSYS) + answer(ALLOW))


def no_code():
    set_mdwe, refuse_exec_gain = 65, 1  # Linux 6.3
    if LIBC.prctl(set_mdwe, refuse_exec_gain, 0, 0, 0) == 0:
        return
    install(load(0) + jump(EQUAL, CALLS["mprotect"], 0, 3) +
            load(argument(2)) + jump(HAS_BITS, PROT_EXEC, 0, 1) +
            answer(REFUSE | errno.EACCES) + answer(ALLOW))


def jail():
    new_mounts, private, recursive = 0x20000, 1 << 18, 1 << 14
    check(LIBC.unshare(new_mounts), "unshare")
    check(LIBC.mount(None, b"/", None, private | recursive, None), "mount")
    for path in (b"/dev", b"/proc"):
        check(LIBC.mount(b"none", path, b"tmpfs", 0, None), "mount")
    # Sanitizers read their options there; leaks are not found without /proc.
    os.mkdir("/proc/self")
    options = os.environ.get("ASAN_OPTIONS", "")
    with open("/proc/self/environ", "w") as f:
        f.write(f"ASAN_OPTIONS={options}:detect_leaks=0\0")


def become(user):
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)


def confine(word):
    name, _, value = word.partition("=")
    if name in ("ENOSYS", "EPERM"):
        refuse(name, value.split(","))
    elif name == "user":
        become(int(value))
    elif name == "memory":
        resource.setrlimit(resource.RLIMIT_AS, (int(value) << 20,) * 2)
    elif name == "files":
        resource.setrlimit(resource.RLIMIT_NOFILE, (int(value), int(value)))
    else:
        {"no-code": no_code,
         "old-kernel": old_kernel,
         "no-children": lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN),
         "no-streams": lambda: os.closerange(0, 3),
         "jail": jail}[name]()


def main(args):
    split = args.index("--")
    for word in args[:split]:
        confine(word)
    os.execvp(args[split + 1], args[split + 1:])


if __name__ == "__main__":
    main(sys.argv[1:])
