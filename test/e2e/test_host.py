"""What the binary finds on its host: standard streams, signals, descriptors
and limits that it was started with, a container's process 1."""

import contextlib
import glob
import os
import re
import resource
import select
import signal
import subprocess
import tempfile
import time
import unittest

import harness
from harness import BINARY, Client, environment, wait_until


class Host(harness.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="lhttpd-host-")
        self.addCleanup(directory.cleanup)
        self.directory = directory.name
        self.socket = os.path.join(self.directory, "socket")

    def script(self, text):
        path = os.path.join(self.directory, "script.lua")
        with open(path, "w") as f:
            f.write(text)
        return path

    @contextlib.contextmanager
    def server(self, text, *options, before=(), status=0, **more):
        """A server on a unix socket, for the standard streams it is given;
        stops in an orderly way at the end."""
        more.setdefault("stdin", subprocess.DEVNULL)
        more.setdefault("stdout", subprocess.DEVNULL)
        log = tempfile.TemporaryFile()
        self.addCleanup(log.close)
        more.setdefault("stderr", log)
        process = subprocess.Popen(
            [*before, BINARY, "-f", "-w", "1", "-a", "unix:" + self.socket,
             *options, "-l", "/", self.script(text)],
            env=environment(), **more)
        try:
            yield process
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(harness.PATIENCE), status)
        finally:
            process.kill()
            process.wait()
            for stream in (process.stdout, process.stderr):
                if stream:
                    stream.close()
            size = os.fstat(log.fileno()).st_size
            self.log = os.pread(log.fileno(), size, 0).decode()

    def client(self):
        def connect():
            try:
                return Client(0, path=self.socket)
            except (FileNotFoundError, ConnectionRefusedError):
                return None
        client = wait_until(connect, "for the server to listen")
        self.addCleanup(client.close)
        return client

    def ask(self, path="/"):
        return self.client().ask(path=path)


def line_of(stream):
    """The next line of a pipe, which must come while its writer runs."""
    data = b""
    while not data.endswith(b"\n"):
        if not select.select([stream], [], [], harness.PATIENCE)[0]:
            raise AssertionError(f"no line came, only {data!r}")
        more = os.read(stream.fileno(), 1)
        if not more:
            raise AssertionError(f"the end came after {data!r}")
        data += more
    return data.decode()


class Streams(Host):
    def test_print_arrives_at_once(self):
        with self.server("httpd.register_handler('/', function()\n"
                         "  print('a line') end)",
                         stdout=subprocess.PIPE) as p:
            self.assertEqual(self.ask().status, 200)
            self.assertEqual(line_of(p.stdout), "a line\n")

    def test_nobody_reads_standard_error(self):
        words = "x" * 500
        with self.server("httpd.register_handler('/', function()\n"
                         f"  httpd.log('{words}') end)",
                         stderr=subprocess.PIPE) as p:
            client = self.client()
            for _ in range(1000):
                self.assertEqual(client.ask().status, 200)
            client.close()
            p.send_signal(signal.SIGHUP)  # which is logged, too
        # And the stop did not wait for anybody either.

    def test_closed_streams(self):
        with self.server("httpd.register_handler('/', function()\n"
                         "  local p = io.popen('readlink /proc/self/fd/2')\n"
                         "  httpd.write(nil, httpd.read(p)) end)",
                         before=("sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh")
                         ) as p:
            with self.client() as client:
                text = client.ask().text
                for fd in range(3):
                    self.assertEqual(
                        os.readlink(f"/proc/{p.pid}/fd/{fd}"), "/dev/null")
        self.assertEqual(text, "/dev/null\n")

    def test_no_octet_hides_what_follows(self):
        with self.server("httpd.register_handler('name', function()\n"
                         "  error('before\\0after') end)"):
            self.assertEqual(self.ask("/name").status, 500)
            self.assertEqual(self.ask("/name?" + "x" * 2000).status, 500)
        self.assertRegex(self.log, r"before\\x00after.*stack traceback.*"
                                   r"\[GET /name HTTP/1\.1\] \[id \w{32}\]\n")
        # What is cut ends in dots.
        self.assertRegex(self.log, r"\[GET /name\?x{900,1020}\.\.\.\] \[id \w{32}\]\n")

    def test_many_failures_make_few_lines(self):
        with self.server("httpd.register_handler('/', function()\n"
                         "  error('no') end)"):
            client = self.client()
            for _ in range(200):
                self.assertEqual(client.ask().status, 500)
            client.close()
        lines = len(re.findall(r"error: .*script.lua:2: no", self.log))
        more = sum(map(int, re.findall(r"error: (\d+) more failed requests",
                                       self.log)))
        self.assertEqual(lines + more, 200)
        self.assertGreater(more, 0)


class Start(Host):
    HELLO = ("httpd.register_handler('/', function()\n"
             "  httpd.write(nil, 'hello') end)")

    def sleeps(self, pid):
        """Whether no thread of a process runs."""
        for task in glob.glob(f"/proc/{pid}/task/*/stat"):
            with open(task) as f:
                if f.read().rpartition(")")[2].split()[0] != "S":
                    return False
        return True

    def test_hangup_while_scripts_load(self):
        fifo = os.path.join(self.directory, "fifo")
        os.mkfifo(fifo)
        with self.server("print('loading')\n"
                         f"local f = io.open('{fifo}') f:close()\n"
                         f"os.remove('{fifo}') io.open('{fifo}', 'w'):close()\n" +
                         self.HELLO, stdout=subprocess.PIPE) as p:
            self.assertEqual(line_of(p.stdout), "loading\n")
            wait_until(lambda: self.sleeps(p.pid), "to wait in open()")
            p.send_signal(signal.SIGHUP)
            with open(fifo, "w"):
                pass
            self.assertEqual(self.ask().text, "hello")

    def test_files_may_not_grow(self):
        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
        with self.server(self.HELLO, preexec_fn=limit):
            self.assertEqual(self.ask().text, "hello")
        self.assertEqual(len(self.log), 10)

    def test_inherited_descriptors(self):
        ends = (50, 51)  # not what a child opens itself
        for fd in ends:
            null = os.open("/dev/null", os.O_RDWR)
            os.dup2(null, fd)
            os.close(null)
        out = os.path.join(self.directory, "out")
        with self.server("httpd.register_handler('/', function()\n"
                         f"  os.execute('ls /proc/self/fd > {out}') end)",
                         pass_fds=ends):
            for fd in ends:
                os.close(fd)
            self.assertEqual(self.ask().status, 200)
        with open(out) as f:
            numbers = [int(n) for n in f.read().split()]
        self.assertIn(2, numbers)
        for fd in ends:
            self.assertNotIn(fd, numbers)

    def test_several_addresses_and_ports(self):
        with self.server(self.HELLO, "-a", "127.0.0.1", "-a", "127.0.0.2",
                         "-p", "0", "-p", "0", stderr=subprocess.PIPE) as p:
            lines = [line_of(p.stderr) for _ in range(5)]
            found = re.findall(r"listening on (\S+)\n", "".join(lines))
            self.assertEqual(found[0], "unix:" + self.socket)
            self.assertEqual([f.split(":")[0] for f in found[1:]],
                             ["127.0.0.1"] * 2 + ["127.0.0.2"] * 2)
            for address in found[1:]:
                self.assertEqual(harness.curl(f"http://{address}/"), "hello")
            self.assertEqual(self.ask().text, "hello")


# In a /dev of its own: starts a daemon, prints its first line in the system's
# log, then lets nobody read that any more, and asks it 1,000 times.
SYSLOG = """
import os, socket, subprocess, sys, time
binary, path, script = sys.argv[1:]
subprocess.run(["mount", "-t", "tmpfs", "none", "/dev"], check=True)
os.mknod("/dev/null", 0o20666, os.makedev(1, 3))
log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
log.bind("/dev/log")
log.settimeout(20)
subprocess.run([binary, "-w", "1", "-a", "unix:" + path, "-l", "/", script],
               check=True, timeout=20)
line = log.recv(10000)
c = socket.socket(socket.AF_UNIX)
c.settimeout(20)
c.connect(path)
for i in range(1000):
    c.sendall(b"GET / HTTP/1.1\\r\\nhost: x\\r\\n\\r\\n")
    answer = b""
    while not answer.endswith(b"hello"):
        more = c.recv(10000)
        if not more:
            sys.exit("closed")
        answer += more
print(line.decode(), flush=True)
pid = int(line.split(b"[")[1].split(b"]")[0])
os.kill(pid, 15)
for i in range(2000):
    if not os.path.exists(path):
        sys.exit(0)
    time.sleep(0.01)
os.kill(pid, 9)
sys.exit("it does not stop")
"""


class SystemLog(Host):
    def test_nobody_reads_it(self):
        harness.need_root()
        harness.need("unshare")
        path = self.script("httpd.register_handler('/', function()\n"
                           "  httpd.log(('x'):rep(500))\n"
                           "  httpd.write(nil, 'hello') end)")
        done = harness.run("unshare", "-m", "python3", "-c", SYSLOG, BINARY,
                           self.socket, path, timeout=100)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(
            done.stdout, r"^<29>\w{3} [ \d]\d \d\d:\d\d:\d\d lhttpd\[\d+\]: "
            rf"listening on unix:{self.socket}\n$")


class ProcessOne(Host):
    """A container's first process."""

    def setUp(self):
        super().setUp()
        harness.need_root()
        harness.need("unshare")
        if harness.run("unshare", "-fp", "true").returncode:
            raise unittest.SkipTest("no process namespaces here")

    def children(self, pid):
        with open(f"/proc/{pid}/task/{pid}/children") as f:
            return [int(n) for n in f.read().split()]

    @contextlib.contextmanager
    def container(self, text, status=0):
        with self.server(text, status=status, before=(
                "unshare", "-fp", "--kill-child")) as unshare:
            first = wait_until(lambda: self.children(unshare.pid),
                               "for process 1")[0]
            wait_until(lambda: self.children(first), "for the server")
            yield first
            # Unless it has ended, which unshare need not have told yet.
            with contextlib.suppress(ProcessLookupError):
                os.kill(first, signal.SIGTERM)
            unshare.wait(harness.PATIENCE)

    def test_orphans_are_collected(self):
        fifo = os.path.join(self.directory, "fifo")
        os.mkfifo(fifo)
        with self.container(
                "httpd.register_handler('/', function()\n"
                f"  os.execute('(read x < {fifo}) & ')\n"
                "  httpd.write(nil, tostring(os.execute('exit 3')))\n"
                "end)") as first:
            self.assertIn(self.ask().text, ("nil", "768"))
            # The orphan is process 1's child now; let it end.
            wait_until(lambda: len(self.children(first)) == 2, "the orphan")
            with open(fifo, "w"):
                pass
            wait_until(lambda: len(self.children(first)) == 1,
                       "the orphan is collected")

    def test_the_servers_end_is_its_own(self):
        with self.container("httpd.register_handler('/', function()\n"
                            "  os.execute('kill -9 $PPID') end)",
                            status=128 + signal.SIGKILL):
            with self.client() as client:
                client.request()
                client.closed()

    def test_what_rotates_logs_ends_nothing(self):
        """A server that ended by the signal would give its number as status."""
        with self.container(Start.HELLO) as first:
            os.kill(first, signal.SIGUSR1)
            self.assertEqual(self.ask().text, "hello")

    def test_signals_come_before_the_server_handles_them(self):
        harness.need_no_emulator("it does nothing but take the signals")
        with self.server(Start.HELLO, status=0, before=(
                "unshare", "-fp", "--kill-child")) as unshare:
            first = None
            end = time.monotonic() + harness.PATIENCE
            while not os.path.exists(self.socket) and unshare.poll() is None:
                self.assertLess(time.monotonic(), end, "it does not listen")
                if first:
                    os.kill(first, signal.SIGUSR1)
                    os.kill(first, signal.SIGHUP)
                else:
                    first = (self.children(unshare.pid) or [None])[0]
            self.assertIsNone(unshare.poll(), "it ended by a signal")
            self.assertEqual(self.ask().text, "hello")
            os.kill(first or self.children(unshare.pid)[0], signal.SIGTERM)
            unshare.wait(harness.PATIENCE)

    def test_no_background(self):
        done = harness.run("unshare", "-fp", BINARY, "-a",
                           "unix:" + self.socket, "-l", "/",
                           self.script(Start.HELLO))
        self.assertEqual(done.returncode, 1)
        self.assertIn("foreground", done.stderr)


if __name__ == "__main__":
    unittest.main()
