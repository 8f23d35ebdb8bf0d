"""What the end-to-end tests share: the server as a process, certificates,
a plain HTTP client over sockets, and ways to run other programs.

The server listens on a port that the kernel chose, on 127.0.0.1.  It logs
everything (-d), so that the counters it prints at its end can be checked:
a connection, exchange, task or operation that is left is a failure.
"""

import atexit
import contextlib
import ctypes
import errno
import functools
import os
import re
import select
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(os.path.dirname(HERE))
SCRIPTS = os.path.join(HERE, "scripts")
EXAMPLES = os.path.join(SOURCE, "examples")
BUILD = os.path.abspath(os.environ.get("LHTTPD_BUILD",
                                       os.path.join(SOURCE, "build/dev")))
BINARY = os.path.join(BUILD, os.environ.get("LHTTPD_E2E_PROGRAM", "lhttpd"))
# Seconds; nothing here waits longer.  An emulator takes its time.
PATIENCE = 300 if os.path.exists(os.path.join(BUILD, "emulated")) else 60

before = []  # what servers are started by: see test_hosts

COUNTERS = re.compile(r"worker \d+: connections (\d+), exchanges (\d+), "
                      r"tasks (\d+), operations (\d+)")
REPORTS = re.compile(r"AddressSanitizer|LeakSanitizer|ThreadSanitizer|"
                     r"runtime error:|Assertion .* failed")


def script(name):
    return os.path.join(SCRIPTS, name)


def built_with(sanitizer):
    """Whether the binary was built with "asan" or "tsan"."""
    with open(BINARY, "rb") as f:
        return b"__" + sanitizer.encode() + b"_init" in f.read()


@functools.lru_cache
def built_in():
    """The words of the binary's -V: "tls", "files" and so on."""
    return frozenset(lhttpd("-V").stdout.splitlines()[1].split())


def need_built_in(part):
    """Skips the test where the build has left it out."""
    if part not in built_in():
        raise unittest.SkipTest(f"built without {part}")


def own_loop():
    """Whether the binary serves from a loop of its own (loop.c): by one worker,
    which is its only thread."""
    return BINARY.endswith("/loop/lhttpd")


def vm_module():
    """What pkg-config calls the binary's Lua."""
    with open(os.path.join(BUILD, "lhttpd.pc")) as f:
        return re.search(r"^Requires: (\S+)$", f.read(), re.M).group(1)


def over_libkqueue():
    """Whether events come by that library, which has descriptors of its own."""
    with open(os.path.join(BUILD, "lhttpd.pc")) as f:
        return "libkqueue" in f.read()


def need_socket_errors():
    """Skips the test where a report of an error takes it from the socket."""
    if over_libkqueue():
        raise unittest.SkipTest("libkqueue asks for the error itself")


def built_by_musl():
    with open(os.path.join(BUILD, "CMakeCache.txt")) as f:
        return "/musl/toolchain.cmake" in f.read()


def built_of_sources():
    """Whether the other libraries were built by a script of ours, static."""
    with open(os.path.join(BUILD, "CMakeCache.txt")) as f:
        return built_by_musl() or "/processors/riscv64.cmake" in f.read()


# strerror(EMFILE) of the library's C library.
NO_DESCRIPTOR = ("No file descriptors available" if built_by_musl()
                 else "Too many open files")


def of_another_processor():
    return BINARY.endswith("/emulated/lhttpd")


def emulated():
    """Is it one that qemu-user plays?"""
    if not of_another_processor():
        return False
    with open(BINARY) as f:
        return "qemu-" in f.read()


def has_io_uring():
    """Does the system allow to make a ring?  A good call would say EFAULT."""
    if emulated():
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall(425, 1, None)
    return ctypes.get_errno() not in (errno.ENOSYS, errno.EPERM)


def environment(asan=""):
    """For our processes: English messages; ASan keeps little freed memory,
    so that measures of memory mean something."""
    return dict(os.environ, LC_ALL="C",
                ASAN_OPTIONS="quarantine_size_mb=1:malloc_context_size=8" +
                (":" + asan if asan else ""),
                UBSAN_OPTIONS="print_stacktrace=1")


def need(program):
    """Skips the test where a program is not installed."""
    if not shutil.which(program):
        raise unittest.SkipTest(f"{program} is not installed")


def need_no_emulator(why="the system calls are the emulator's"):
    if emulated():
        raise unittest.SkipTest(why)


def need_strace():
    need("strace")
    need_no_emulator()


def need_root():
    if os.geteuid() != 0:
        raise unittest.SkipTest("only root can do this")


def run(*args, **more):
    """Runs a program to its end; text in, text out."""
    more.setdefault("timeout", PATIENCE)
    more.setdefault("env", environment())
    return subprocess.run(args, stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          **more)


def lhttpd(*args, **more):
    return run(BINARY, *args, **more)


def curl(*args):
    """Standard output of curl, which has to succeed."""
    done = run("curl", "-sS", "-m", str(PATIENCE), *args)
    if done.returncode != 0:
        raise AssertionError(f"curl {' '.join(args)}: {done.stderr}")
    return done.stdout


def wait_until(condition, what, seconds=PATIENCE):
    end = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            raise AssertionError(f"waited in vain: {what}")
        time.sleep(0.01)


def running(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


# ---- files and ports ----

_own = None


def shared():
    """A directory of the whole run; test/e2e/run removes it."""
    return os.environ.get("LHTTPD_E2E_SHARED") or directory()


def directory():
    """A directory of this process's own, removed at the end of the run."""
    global _own
    if not _own:
        if "LHTTPD_E2E_SHARED" in os.environ:
            _own = tempfile.mkdtemp(dir=shared())
        else:
            temporary = tempfile.TemporaryDirectory(prefix="lhttpd-e2e-")
            atexit.register(temporary.cleanup)
            _own = temporary.name
        os.chmod(_own, 0o755)
    return _own


@contextlib.contextmanager
def free_port():
    """A port of 127.0.0.1 that a server can bind: nobody else is given it
    meanwhile, since it is bound already, in a way that allows one more."""
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("127.0.0.1", 0))
        yield s.getsockname()[1]


def certificate(kind, *names):
    """Paths of a self-signed certificate and its key; kind is rsa or ec."""
    names = names or ("localhost",)
    where = os.path.join(shared(), "certificate-" + "-".join((kind,) + names))
    if not os.path.exists(where):
        _make_certificate(kind, names, where)
    return where + "/pem", where + "/key"


def _make_certificate(kind, names, where):
    """Another process may do the same: the directory appears as a whole."""
    new = (["-newkey", "rsa:2048"] if kind == "rsa" else
           ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"])
    alt = ",".join("DNS:" + n for n in names) + ",IP:127.0.0.1"
    made = tempfile.mkdtemp(dir=directory())
    done = run("openssl", "req", "-x509", "-nodes", *new, "-days", "7",
               "-subj", "/CN=" + names[0], "-addext",
               "subjectAltName=" + alt, "-keyout", made + "/key",
               "-out", made + "/pem")
    if done.returncode != 0:
        raise AssertionError(done.stderr)
    os.chmod(made, 0o755)
    os.chmod(made + "/key", 0o644)  # for servers of another user
    try:
        os.rename(made, where)
    except OSError:
        if not os.path.exists(where):
            raise


def certificate_options(*kinds):
    options = []
    if kinds:
        need_built_in("tls")
    for kind in kinds:
        pem, key = certificate(kind)
        options += ["-c", pem, "-k", key]
    return options


# ---- the server ----

class Server:
    """with Server("/", script("hello.lua")) as s: ... s.port ...

    mappings: prefix, script, prefix, script, ...  tls: kinds of certificates.
    limits: -o options by name.  asan: an option of ASan's.  files: its limit of
    descriptors.  The end of the block stops it and checks how it ended, unless
    the block failed already.
    """

    def __init__(self, *mappings, tls=(), limits=None, options=(), workers=2,
                 address="127.0.0.1", status=0, asan="", files=None):
        self.tls = bool(tls)
        self.status = status
        self.address = address
        args = [BINARY, "-f", "-d", "-w", str(workers), "-a", address,
                "-p", "0"]
        args += certificate_options(*tls)
        for name, value in (limits or {}).items():
            args += ["-o", f"{name}={value}"]
        args += options
        for prefix, path in zip(mappings[::2], mappings[1::2]):
            args += ["-l", prefix, path]
        if files:
            args = ["prlimit", f"--nofile={files}", *args]
        args = [*before, *args]
        self.log_file = tempfile.TemporaryFile()
        self.process = subprocess.Popen(args, stdin=subprocess.DEVNULL,
                                        stdout=self.log_file,
                                        stderr=self.log_file,
                                        env=environment(asan))
        self.pid = self.process.pid
        try:
            self.port = self._wait_for_port()
        except AssertionError:
            self.kill()
            raise

    def _wait_for_port(self):
        def port():
            if self.process.poll() is not None:
                raise AssertionError("the server did not start:\n" +
                                     self.log())
            text = self.log()
            found = re.search(r"listening on (?:unix:.*|.*:(\d+)\b.*)\n",
                              text)
            return found and int(found.group(1) or -1)
        return wait_until(port, "for the server to listen")

    def log(self):
        size = os.fstat(self.log_file.fileno()).st_size
        return os.pread(self.log_file.fileno(), size, 0).decode(
            errors="replace")

    def wait_for_log(self, pattern):
        return wait_until(lambda: re.search(pattern, self.log()),
                          f"for '{pattern}' in the log:\n{self.log()}")

    @property
    def url(self):
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}"

    def client(self, **more):
        return Client(self.port, tls=self.tls, **more)

    def signal(self, number=signal.SIGTERM):
        os.kill(self.pid, number)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.log_file.close()

    def wait(self):
        """Its exit status, once it has ended."""
        return self.process.wait(PATIENCE)

    def stop(self):
        if self.process.poll() is None:
            self.signal()
        try:
            status = self.wait()
            self._check_end(status)
        finally:
            self.kill()

    def _check_end(self, status):
        text = self.log()
        if REPORTS.search(text):
            raise AssertionError("a sanitizer's report:\n" + text)
        if status != self.status:
            raise AssertionError(f"the server ended with {status}:\n{text}")
        lines = COUNTERS.findall(text)
        if not lines:
            raise AssertionError("no counters at the end:\n" + text)
        if any(n != "0" for line in lines for n in line):
            raise AssertionError("something was left behind:\n" + text)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is None:
            self.stop()
            return
        if not self.log_file.closed:
            value.args = (f"{value}\n--- the server's log:\n"
                          f"{self.log()[-8000:]}",)
            self.kill()

    # What the kernel knows of the process.

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def _status_kib(self, name):
        with open(f"/proc/{self.pid}/status") as f:
            return int(re.search(name + r":\s+(\d+)", f.read()).group(1))

    def peak_kib(self):
        return self._status_kib("VmHWM")

    def rss_kib(self):
        return self._status_kib("VmRSS")

    def reset_peak(self):
        with open(f"/proc/{self.pid}/clear_refs", "w") as f:
            f.write("5")


class Trace:
    """The system calls of a running server: with Trace(s, "epoll_wait")."""

    def __init__(self, server, *calls):
        need_strace()
        self.path = tempfile.mktemp(dir=directory())
        self.process = subprocess.Popen(
            ["strace", "-f", "-s", "64", "-e", "trace=" + ",".join(calls),
             "-o", self.path, "-p", str(server.pid)],
            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        line = self.process.stderr.readline()
        if "attached" not in line:
            self.process.wait(PATIENCE)
            self.process.stderr.close()
            raise unittest.SkipTest("strace cannot attach: " + line)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)  # lets the server go on
        self.process.communicate(timeout=PATIENCE)
        with open(self.path, errors="replace") as f:
            self.lines = f.read().splitlines()


# ---- a client ----

class Response:
    def __init__(self, status, fields, body):
        self.status = status
        self.fields = fields  # [(lower-case name, value)]
        self.body = body

    def get(self, name):
        values = [v for n, v in self.fields if n == name]
        return ", ".join(values) if values else None

    @property
    def text(self):
        return self.body.decode()


def tls_context():
    """A client's, which does not check the certificate.  It loads none of the
    system's, which takes a while, and clients are connected by then."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Client:
    """One connection.  It reads exactly one response at a time."""

    def __init__(self, port, tls=False, receive_buffer=None, path=None):
        if path:
            self.socket = socket.socket(socket.AF_UNIX)
            address = path
        else:
            self.socket = socket.socket()
            address = ("127.0.0.1", port)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF,
                                   receive_buffer)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(address)
        if tls:
            self.socket = tls_context().wrap_socket(self.socket)
        self.input = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def reset(self):
        """Closes with RST, as a killed client's system does."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                               struct.pack("ii", 1, 0))
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data.encode() if isinstance(data, str) else data)

    def request(self, method="GET", path="/", fields=(), body=None,
                version="HTTP/1.1"):
        lines = [f"{method} {path} {version}", "host: localhost", *fields]
        if body is not None:
            lines.append(f"content-length: {len(body)}")
        self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + (body or b""))

    def ask(self, method="GET", *args, **more):
        self.request(method, *args, **more)
        return self.response(method)

    def readable(self, seconds=0):
        return bool(self.input or
                    select.select([self.socket], [], [], seconds)[0])

    def more(self):
        """Reads what is there; false at the end."""
        data = self.socket.recv(65536)
        self.input += data
        return bool(data)

    def until(self, mark):
        while mark not in self.input:
            if not self.more():
                raise AssertionError(f"the server closed after "
                                     f"{self.input[:200]!r}")
        head, self.input = self.input.split(mark, 1)
        return head

    def exactly(self, n):
        parts, have = [self.input], len(self.input)
        while have < n:
            data = self.socket.recv(min(1 << 20, n - have))
            if not data:
                raise AssertionError(f"closed, {n - have} bytes missing")
            parts.append(data)
            have += len(data)
        data = b"".join(parts)
        self.input = data[n:]
        return data[:n]

    def to_end(self):
        while self.more():
            pass
        data, self.input = self.input, b""
        return data

    def closed(self):
        """Waits for the server to close, by FIN or RST; what came before."""
        try:
            return self.to_end()
        except ConnectionResetError:
            return self.input

    def head(self):
        lines = self.until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        status = int(lines[0].split(" ")[1])
        fields = [line.split(":", 1) for line in lines[1:]]
        return Response(status, [(n.lower(), v.strip()) for n, v in fields],
                        b"")

    def _chunked(self):
        parts = []
        while True:
            n = int(self.until(b"\r\n"), 16)
            if n == 0:
                while self.until(b"\r\n"):
                    pass
                return b"".join(parts)
            parts.append(self.exactly(n))
            if self.exactly(2) != b"\r\n":
                raise AssertionError("a chunk has no end")

    def response(self, method="GET"):
        r = self.head()
        if (method == "HEAD" or r.status in (204, 304) or r.status < 200):
            return r
        if r.get("transfer-encoding") == "chunked":
            r.body = self._chunked()
        elif r.get("content-length") is not None:
            r.body = self.exactly(int(r.get("content-length")))
        else:
            r.body = self.to_end()
        return r


class TestCase(unittest.TestCase):
    maxDiff = 4000

    def get(self, server, path="/", **more):
        with server.client() as c:
            return c.ask(path=path, **more)
