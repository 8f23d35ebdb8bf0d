"""The server on systems that refuse or lack something: what can be done there
is done, what cannot is said, and nobody's answer is touched by it.

Each host runs the script hosts.lua, and classes of the other modules.
"""

import os
import re
import shutil
import socket
import sys
import tempfile
import threading
import unittest
from unittest import mock

import harness
import test_examples
import test_files
import test_h2
import test_serve
import test_static
import test_stop
from harness import Server, script

REFUSED = ("pidfd_open,pidfd_send_signal,io_uring_setup,io_uring_enter,openat2,"
           "preadv2,pwritev2,close_range,memfd_create")

SAID = ("io_uring_setup", "io_uring_enter", "io_uring_register", "openat2",
        "openat2 from the cache", "pidfd_open", "pidfd_send_signal to a group", "close_range",
        "close_range on exec", "preadv2", "pwritev2", "memfd_create")

HOSTS = {
    "OldKernel": ["old-kernel"],
    "Container": ["EPERM=" + REFUSED],
    "HalfARing": ["ENOSYS=io_uring_enter"],
    "ForbiddenRing": ["EPERM=io_uring_enter"],
    "NoSplice": ["EPERM=splice"],
    "NoCode": ["no-code"],
    "NoChildren": ["no-children"],
    "FewDescriptors": ["files=64"],
    "Jail": ["jail", "user=65534"],
    "OldJail": ["jail", "user=65534", "ENOSYS=" + REFUSED],
}

FILES = [test_files.Sendfile, test_files.Neighbours]
SUITE = [test_serve.Connections, test_examples.Scripts, test_h2.Messages,
         test_stop.Stop, test_static.Paths, test_static.Bodies, *FILES]
SHORT = {"HalfARing": FILES, "ForbiddenRing": FILES, "Jail": FILES,
         "NoSplice": FILES}


def setUpModule():
    """What is refused would be refused to the emulator, which has its own ways,
    and is named by the numbers that this machine's system calls have."""
    if harness.of_another_processor():
        raise unittest.SkipTest("it makes other system calls")


def launcher(words):
    return [sys.executable, os.path.join(harness.HERE, "confine.py"), *words,
            "--"]


class OnHost(harness.TestCase):
    words = []

    @classmethod
    def setUpClass(cls):
        if "jail" in cls.words:
            harness.need_root()
        os.chmod(harness.directory(), 0o777)
        super().setUpClass()
        harness.before[:] = launcher(cls.words)
        if any("io_uring" in word or word == "old-kernel"
               for word in cls.words):
            cls.enterClassContext(
                mock.patch("test_files.WAYS", ("threads",)))

    @classmethod
    def tearDownClass(cls):
        harness.before.clear()
        super().tearDownClass()


class Script:
    """Every function of httpd that needs the system."""

    def test_all(self):
        unknown = "?unknown" if "no-children" in self.words else ""
        with Server("/", script("hosts.lua"), workers=1) as s:
            for _ in range(3):
                self.assertEqual(self.get(s, "/" + unknown).text, "a line\n")

    def test_what_is_refused_is_said_once(self):
        with Server("/", script("hosts.lua")) as s:
            said = re.findall(r"debug: (\S.*) is refused \((.*?)\): ", s.log())
        if "old-kernel" in self.words:
            no_such_call = {(call, "Function not implemented") for call in SAID}
            self.assertEqual(set(said), no_such_call | {
                ("waitid by descriptor", "Invalid argument")})
        elif harness.has_io_uring() and "io_uring" not in str(self.words):
            self.assertNotIn("io_uring", str(said))
        self.assertEqual(len(said), len(set(said)))

    def test_several_at_once(self):
        with Server("/", script("hosts.lua")) as s:
            clients = [s.client() for _ in range(8)]
            for c in clients:
                c.request(path="/popen")
            for c in clients:
                self.assertEqual(c.response().text, "from a child\n")
                c.close()


# These need what a jail has not: their commands look into /dev and /proc.
NOT_IN_A_JAIL = ("test_a_log_viewer_leaves_no_child",
                 "test_what_scripts_start_can_be_stopped")


def add(name, words, case):
    more = {"words": words, "__module__": __name__}
    if "jail" in words:
        more.update(dict.fromkeys(NOT_IN_A_JAIL))
    if "EPERM=splice" in words:
        more["least"] = 0  # it is tried
    globals()[name + case.__name__] = type(name + case.__name__,
                                           (OnHost, case), more)


for host, host_words in HOSTS.items():
    for part in [Script, *SHORT.get(host, SUITE)]:
        add(host, host_words, part)
del part  # or it would be run as it is


# ---- everything at once ----

class Load(threading.Thread):
    """One client after another, each with a request of every kind.  An answer
    is the right one or a refusal: a failed request, or words of the system.
    A client that waits between two requests may be closed to make room."""

    EXPECTED = (("GET", "/hello", "hello"), ("GET", "/noisy", "quiet"),
                ("GET", "/popen", "from a child\n"), ("GET", "/", "a line\n"),
                ("POST", "/body", "200000"))

    def __init__(self, server, rounds, more):
        super().__init__()
        self.server = server
        self.rounds = rounds
        self.requests = self.EXPECTED + more
        self.answers = 0
        self.wrong = []
        self.start()

    def run(self):
        try:
            for _ in range(self.rounds):
                with self.server.client() as c:
                    self.ask_all(c)
        except Exception as e:  # told by the test, not by this thread
            self.wrong.append(repr(e))

    def ask_all(self, client):
        for method, path, text in self.requests:
            body = b"x" * 200000 if method == "POST" else None
            try:
                r = client.ask(method, path=path, body=body)
            except (AssertionError, ConnectionError):
                if client.input:  # not even a part of an answer
                    raise
                return
            self.answers += 1
            if (r.status, r.text) != (200, text) and not self.refusal(r):
                self.wrong.append((path, r.status, r.text[:200]))
            if r.get("connection") == "close":
                return

    @staticmethod
    def refusal(r):
        return (r.status in (500, 503) or
                any(words in r.text for words in (
                    harness.NO_DESCRIPTOR, "not enough memory", "nil")))


def load(server, clients, rounds, *more):
    threads = [Load(server, rounds, more) for _ in range(clients)]
    for thread in threads:
        thread.join()
    wrong = [w for thread in threads for w in thread.wrong]
    if wrong:
        raise AssertionError(f"{len(wrong)} wrong answers: {wrong[:5]}")
    if not any(thread.answers for thread in threads):
        raise AssertionError("no client got an answer")


class Silent(Server):
    """A server that has nowhere to log."""

    def __init__(self, *mappings, **more):
        with harness.free_port() as self.free:
            super().__init__(*mappings, options=["-p", str(self.free)], **more)

    def _wait_for_port(self):
        def connected():
            try:
                socket.create_connection(("127.0.0.1", self.free)).close()
                return self.free
            except ConnectionRefusedError:
                return None
        return harness.wait_until(connected, "for the server to listen")

    def _check_end(self, status):
        if status != self.status:
            raise AssertionError(f"the server ended with {status}")


class Mixed(harness.TestCase):
    def tearDown(self):
        harness.before.clear()

    def serves(self, server):
        """Afterwards each worker does everything again."""
        for _ in range(12):
            self.assertEqual(self.get(server, "/").text, "a line\n")
            self.assertEqual(self.get(server, "/hello").text, "hello")

    def test_little_memory(self):
        with Server("/", script("hosts.lua"), workers=2,
                    limits={"vm_memory_bytes": 8 << 20}) as s:
            load(s, 4, 2, ("GET", "/much", "none has so much"))
            self.serves(s)
            self.assertEqual(self.get(s, "/much").status, 500)
            self.serves(s)

    def test_the_system_refuses_memory(self):
        """What failed is collected: one request more may fail, not all.
        Whatever was left before, such as a large table of strings."""
        if harness.built_with("asan") or harness.built_with("tsan"):
            self.skipTest("sanitizers need all of the address space")
        harness.before[:] = launcher(["memory=60"])
        with Server("/", script("hosts.lua"), workers=1) as s:
            for path in ("/numbers", "/strings", "/coroutines", "/tables"):
                self.assertEqual(self.get(s, path).status, 500)
                self.get(s, "/hello")
                for _ in range(3):
                    self.assertEqual(self.get(s, "/hello").text, "hello")
            s.wait_for_log("not enough memory")

    def test_few_descriptors(self):
        harness.before[:] = launcher(["files=64"])
        with Server("/", script("hosts.lua"), workers=2) as s:
            load(s, 60, 2)
            self.serves(s)

    def test_no_streams(self):
        """Nothing of the log, of a child or of print is in an answer."""
        harness.before[:] = launcher(["no-streams"])
        with Silent("/", script("hosts.lua"), workers=2) as s:
            load(s, 8, 6)
            self.serves(s)

    def test_no_streams_in_a_jail(self):
        harness.need_root()
        harness.before[:] = launcher(["jail", "user=65534", "no-streams"])
        with Silent("/", script("hosts.lua"), workers=2) as s:
            load(s, 8, 3)
            self.serves(s)


# ---- a root directory with a shell ----

class RootDirectory(harness.TestCase):
    """What a shell needs is in it, and its user may not even list it."""

    PROGRAMS = ("/bin/sh", "/bin/cat", "/bin/sleep", "/bin/pwd")

    def setUp(self):
        harness.need_root()
        harness.need("ldd")
        directory = tempfile.TemporaryDirectory(prefix="lhttpd-root-")
        self.addCleanup(directory.cleanup)
        self.directory = directory.name
        for program in self.PROGRAMS:
            self.bring(program)
            for word in harness.run("ldd", program).stdout.split():
                if word.startswith("/"):
                    self.bring(word)
        for name in ("tmp", "usr"):
            os.mkdir(os.path.join(self.directory, name))
        os.chmod(os.path.join(self.directory, "tmp"), 0o1777)
        shutil.copy(script("hosts.lua"), self.directory)
        os.chmod(self.directory, 0o711)

    def bring(self, path):
        inside = self.directory + path
        os.makedirs(os.path.dirname(inside), exist_ok=True)
        shutil.copy(path, inside)

    def server(self):
        return Server("/", "/hosts.lua", workers=1, asan="detect_leaks=0",
                      options=["-r", self.directory, "-u", "nobody"])

    def test_all(self):
        with self.server() as s:
            self.assertEqual(self.get(s, "/").text, "a line\n")

    def test_no_shell(self):
        os.remove(os.path.join(self.directory, "bin/sh"))
        with self.server() as s:
            self.assertEqual(self.get(s, "/popen").text,
                             "/bin/sh: No such file or directory")

    def test_no_loader(self):
        for path in ("lib", "lib64"):
            shutil.rmtree(os.path.join(self.directory, path),
                          ignore_errors=True)
        with self.server() as s:
            self.assertIn("dynamic loader", self.get(s, "/popen").text)
