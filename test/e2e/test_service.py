"""As a service: sockets that were opened before, restarts that lose nobody,
and what a service manager is told.  The manager is this program: it holds the
listeners, passes them on by LISTEN_FDS, and has the other end of
NOTIFY_SOCKET."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest

import harness
from harness import BINARY, PATIENCE, Client, Server, need, wait_until

HELLO = os.path.join(harness.EXAMPLES, "hello.lua")
SPINS = """
httpd.register_handler('/', function() httpd.write(nil, 'ok') end)
httpd.register_handler('/spin', function()
  local began = os.time()
  while os.time() < began + 4 do end
end)
"""


def listener(path=None):
    s = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
    s.bind(path or ("127.0.0.1", 0))
    s.listen(1024)
    return s


class Manager:
    """Receives what services tell."""

    def __init__(self, address=None):
        self.address = address or tempfile.mktemp(dir=harness.directory())
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.address.replace("@", "\0", 1))
        self.socket.settimeout(PATIENCE)

    def told(self):
        """The next message, as a table."""
        lines = self.socket.recv(65536).decode().split("\n")
        return dict(line.split("=", 1) for line in lines)

    def close(self):
        self.socket.close()


class Service(Server):
    """A server that is started as a manager starts it: with `sockets`, under
    `names`, and where to tell.  args: options and -l."""

    def __init__(self, *args, sockets=(), names=None, manager=None, env=None,
                 process="$$", tls=()):
        variables = dict(harness.environment(), **(env or {}))
        shell = ""
        if sockets:
            variables["LISTEN_FDS"] = str(len(sockets))
            if names is not None:
                variables["LISTEN_FDNAMES"] = names
            shell = f"LISTEN_PID={process} "
        if manager:
            variables["NOTIFY_SOCKET"] = manager.address
        numbers = [s.fileno() for s in sockets]
        # The shell has this process's number; the descriptors begin with 3.
        shell = f"export {shell}; " if shell else ""
        shell += 'exec "$@"' + "".join(
            f" {3 + i}<&{n}" for i, n in enumerate(numbers))
        self.tls, self.status = bool(tls), 0
        self.log_file = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            ["bash", "-c", shell, "bash", BINARY, "-f", "-d", "-w", "2",
             *harness.certificate_options(*tls), *args],
            stdin=subprocess.DEVNULL, stdout=self.log_file,
            stderr=self.log_file, env=variables,
            pass_fds=numbers)
        self.pid = self.process.pid

    def ready(self):
        self.wait_for_log(r"listening on ")
        return self

    def refused(self, words, expected=2):
        """It does not start, with these words and this status."""
        status = self.process.wait(PATIENCE)
        text = self.log()
        self.kill()
        if status != expected or words not in text:
            raise AssertionError(f"status {status}: {text}")


class Sockets(harness.TestCase):
    def setUp(self):
        need("bash")
        self.stack = contextlib.ExitStack()
        self.addCleanup(self.stack.close)

    def listener(self, path=None):
        return self.stack.enter_context(listener(path))

    def ask(self, s, tls=False, path=None):
        port = None if path else s.getsockname()[1]
        with Client(port, tls=tls, path=path) as c:
            return c.ask()

    def test_names(self):
        """Each by its own name; and no other port is opened."""
        path = tempfile.mktemp(dir=harness.directory())
        plain, tls, redirect = (self.listener() for _ in range(3))
        local = self.listener(path)
        with Service("-l", "/", HELLO, tls=("ec",),
                     sockets=(plain, tls, redirect, local),
                     names="http:tls:redirect:http").ready() as s:
            self.assertEqual(self.ask(plain).status, 200)
            self.assertEqual(self.ask(tls, tls=True).status, 200)
            moved = self.ask(redirect)
            self.assertEqual(moved.status, 308)
            self.assertIn(str(tls.getsockname()[1]), moved.get("location"))
            self.assertEqual(self.ask(local, path=path).status, 200)
            s.wait_for_log(r"(?s)(listening on.*){4}")
            self.assertEqual(s.log().count("listening on"), 4)
            self.assertIn(f":{redirect.getsockname()[1]} (redirect)", s.log())
        self.assertTrue(os.path.exists(path))  # who made it removes it

    def test_without_names_the_certificate_decides(self):
        one, two = self.listener(), self.listener()
        with Service("-l", "/", HELLO, sockets=(one,)).ready():
            self.assertEqual(self.ask(one).status, 200)
        with Service("-l", "/", HELLO, tls=("ec",), sockets=(one, two),
                     names="lhttpd.socket:http").ready():
            self.assertEqual(self.ask(one, tls=True).status, 200)
            self.assertEqual(self.ask(two).status, 200)

    def test_ports_besides(self):
        one = self.listener()
        with Service("-a", "127.0.0.1", "-p", "0", "-l", "/", HELLO,
                     sockets=(one,)).ready() as s:
            self.assertEqual(self.ask(one).status, 200)
            ports = re.findall(r"listening on 127.0.0.1:(\d+)\n", s.log())
            self.assertEqual(len(ports), 2)

    def test_children_see_none_of_it(self):
        source = """
        httpd.register_handler('/', function()
          local p = io.popen('env; echo; ls -l /proc/self/fd')
          httpd.write(nil, p:read('*a'))
        end)"""
        manager = Manager()
        one = self.listener()
        with tempfile.NamedTemporaryFile("w", suffix=".lua") as f:
            f.write(source)
            f.flush()
            with Service("-l", "/", f.name, sockets=(one,), names="http",
                         env={"WATCHDOG_USEC": "60000000"},
                         manager=manager).ready():
                text = self.ask(one).text
        manager.close()
        for name in ("LISTEN_", "NOTIFY_SOCKET", "WATCHDOG_"):
            self.assertNotIn(name, text)
        self.assertNotIn("socket:", text)

    def test_of_another_process(self):
        """They are left alone, and there is nothing to serve but -p."""
        one = self.listener()
        with Service("-a", "127.0.0.1", "-p", "0", "-l", "/", HELLO,
                     sockets=(one,), names="nonsense-tls",
                     process="1").ready() as s:
            self.assertEqual(s.log().count("listening on"), 1)

    def test_bad_variables(self):
        one = self.listener()
        datagrams = self.stack.enter_context(
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        for words, more in (
                ("LISTEN_PID=me", dict(process="me")),
                ("LISTEN_FDNAMES=a:b", dict(names="a:b")),
                ("'my-tls'", dict(names="my-tls")),
                ("not both", dict(names="tls-redirect")),
                ("needs a certificate", dict(names="tls")),
                ("no TLS port", dict(names="redirect"))):
            with self.subTest(words=words):
                Service("-l", "/", HELLO, sockets=(one,),
                        **more).refused(words)
        Service("-l", "/", HELLO, sockets=(datagrams,)).refused(
            "socket 1 of LISTEN_FDS: descriptor 3 is not a listening", 1)

    def test_systemd_socket_activate(self):
        need("systemd-socket-activate")
        with harness.free_port() as port:
            process = subprocess.Popen(
                ["systemd-socket-activate", "-l", f"127.0.0.1:{port}",
                 "--fdname=http", BINARY, "-f", "-l", "/", HELLO],
                stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                env=harness.environment())
            self.addCleanup(process.wait)
            self.addCleanup(process.kill)

            def listens():
                with socket.socket() as s:
                    return s.connect_ex(("127.0.0.1", port)) == 0
            wait_until(listens, "for systemd-socket-activate")
            with Client(port) as c:
                self.assertEqual(c.ask().status, 200)
            process.terminate()
            self.assertEqual(process.wait(PATIENCE), 0)


class Files(harness.TestCase):
    """What is shipped in share/service."""

    def path(self, name):
        return os.path.join(harness.SOURCE, "share/service", name)

    def made(self, name):
        """As it is installed, where the binary is the one of the tests."""
        where = os.path.join(tempfile.mkdtemp(dir=harness.directory()), name)
        with open(self.path(name + ".in")) as f, open(where, "w") as to:
            to.write(f.read().replace("@LHTTPD_BINARY@", BINARY))
        return where

    def test_units(self):
        need("systemd-analyze")
        service = self.made("lhttpd.service")
        done = harness.run("systemd-analyze", "--man=no", "verify", service,
                           shutil.copy(self.path("lhttpd.socket"),
                                       os.path.dirname(service)))
        self.assertEqual((done.returncode, done.stdout, done.stderr),
                         (0, "", ""))

    def test_scripts(self):
        for name in ("lhttpd.openrc", "lhttpd.procd"):
            done = harness.run("sh", "-n", self.made(name))
            self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_procd(self):
        """With what OpenWrt's rc.common offers, as words."""
        done = harness.run("sh", "-c", """
            procd_open_instance() { :; }; procd_close_instance() { :; }
            procd_set_param() { echo "$@"; }
            procd_send_signal() { echo "signal $@"; }
            . "$1"; start_service; reload_service""", "sh",
                           self.made("lhttpd.procd"))
        self.assertIn(f"command {BINARY} -f ", done.stdout)
        self.assertIn("signal lhttpd * HUP\n", done.stdout)

    def test_logrotate(self):
        need("logrotate")
        where = tempfile.mkdtemp(dir=harness.directory())
        with Server("/", HELLO, limits={"access_log": where + "/a.log"}) as s:
            with open(self.path("lhttpd.logrotate")) as f:
                text = f.read().replace("/var/log/lhttpd", where)
            text = re.sub("systemctl .*", f"kill -USR1 {s.pid}", text)
            with open(where + "/conf", "w") as f:
                f.write(text)
            for n in (1, 2):
                self.get(s)
                wait_until(lambda: os.path.exists(where + "/a.log") and
                           os.path.getsize(where + "/a.log"), "for the line")
                done = harness.run("logrotate", "-f", "-s", where + "/state",
                                   where + "/conf")
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                s.wait_for_log(r"(?s)(opened again.*){%d}" % n)
            self.assertEqual(os.path.getsize(where + "/a.log"), 0)
            self.assertTrue(os.path.exists(where + "/a.log.2.gz"))


class Told(harness.TestCase):
    def setUp(self):
        need("bash")
        self.manager = Manager()
        self.addCleanup(self.manager.close)
        self.start = ("-a", "127.0.0.1", "-p", "0")

    def test_a_life(self):
        with tempfile.NamedTemporaryFile("w", suffix=".lua") as f:
            def write(text):
                f.seek(0)
                f.truncate()
                f.write(text)
                f.flush()
            write(SPINS)
            with Service(*self.start, "-l", "/", f.name,
                         manager=self.manager) as s:
                told = self.manager.told()
                self.assertEqual(told["READY"], "1")
                self.assertEqual(told["MAINPID"], str(s.pid))
                self.assertIn("127.0.0.1:", told["STATUS"])
                before = time.monotonic_ns() // 1000
                s.signal(signal.SIGHUP)
                told = self.manager.told()
                self.assertEqual(told["RELOADING"], "1")
                self.assertGreaterEqual(int(told["MONOTONIC_USEC"]), before)
                self.assertEqual(self.manager.told()["READY"], "1")
                write("nonsense")
                s.signal(signal.SIGHUP)
                self.assertEqual(self.manager.told()["RELOADING"], "1")
                told = self.manager.told()
                self.assertEqual(told["READY"], "1")
                self.assertIn("nothing has changed", told["STATUS"])
                s.signal()
                self.assertEqual(self.manager.told()["STOPPING"], "1")

    def test_an_abstract_socket(self):
        manager = Manager(f"@lhttpd-test-{os.getpid()}")
        self.addCleanup(manager.close)
        with Service(*self.start, "-l", "/", HELLO, manager=manager):
            self.assertEqual(manager.told()["READY"], "1")

    def test_in_the_background(self):
        """Who was started by the manager has ended by then."""
        env = dict(harness.environment(), NOTIFY_SOCKET=self.manager.address)
        started = subprocess.Popen([BINARY, *self.start, "-l", "/", HELLO],
                                   env=env, stdin=subprocess.DEVNULL)
        pid = int(self.manager.told()["MAINPID"])
        self.addCleanup(lambda: harness.running(pid) and os.kill(pid, 9))
        self.assertEqual(started.wait(PATIENCE), 0)
        self.assertNotEqual(pid, started.pid)
        self.assertTrue(harness.running(pid))
        os.kill(pid, signal.SIGTERM)
        self.assertEqual(self.manager.told()["STOPPING"], "1")
        wait_until(lambda: not harness.running(pid), "for the end")

    def test_in_another_root_directory(self):
        """The manager's socket is outside."""
        harness.need_root()
        jail = tempfile.mkdtemp(dir=harness.directory())
        os.chmod(jail, 0o755)
        with open(jail + "/x.lua", "w") as f:
            f.write(SPINS)
        os.chmod(jail + "/x.lua", 0o644)
        asan = harness.environment("detect_leaks=0")  # it needs /proc
        with Service(*self.start, "-r", jail, "-u", "65534", "-l", "/",
                     "/x.lua", manager=self.manager, env=asan) as s:
            self.assertEqual(self.manager.told()["READY"], "1")
            s.signal(signal.SIGHUP)
            self.assertEqual(self.manager.told()["RELOADING"], "1")
            self.assertEqual(self.manager.told()["READY"], "1")

    def test_nobody_is_there(self):
        """The log says so, and the clients are served."""
        self.manager.close()
        with Service(*self.start, "-l", "/", HELLO,
                     manager=self.manager).ready() as s:
            s.wait_for_log(f"NOTIFY_SOCKET={self.manager.address}: "
                           "Connection refused")

    def test_it_goes_away(self):
        with Service(*self.start, "-l", "/", HELLO,
                     manager=self.manager) as s:
            self.manager.told()
            self.manager.close()
            s.signal(signal.SIGHUP)
            s.wait_for_log("reloaded")
            s.wait_for_log("service manager .* cannot be told")

    def longest_silence(self, client):
        """Seconds between two feedings, until the client is answered."""
        longest, last = 0, time.monotonic()
        while not client.readable():
            self.manager.told()
            longest = max(longest, time.monotonic() - last)
            last = time.monotonic()
        return longest

    def test_watchdog(self):
        """It is fed, not while a worker is stuck, and then again."""
        with tempfile.NamedTemporaryFile("w", suffix=".lua") as f:
            f.write(SPINS)
            f.flush()
            with Service(*self.start, "-l", "/", f.name, manager=self.manager,
                         env={"WATCHDOG_USEC": "400000"}) as s:
                while "WATCHDOG" not in self.manager.told():
                    pass
                s.ready()
                s.port = int(re.search(r"listening on .*:(\d+)",
                                       s.log()).group(1))
                with s.client() as c:
                    c.request(path="/spin")
                    self.assertGreater(self.longest_silence(c), 1)
                    self.assertEqual(c.response().status, 200)
                self.assertEqual(self.manager.told()["WATCHDOG"], "1")

    def test_a_watchdog_of_another_process(self):
        with Service(*self.start, "-l", "/", HELLO, manager=self.manager,
                     env={"WATCHDOG_USEC": "20000", "WATCHDOG_PID": "1"}) as s:
            self.manager.told()
            s.signal(signal.SIGHUP)
            self.assertIn("RELOADING", self.manager.told())
            self.assertIn("READY", self.manager.told())

    def test_a_watchdog_that_makes_no_sense(self):
        with Service(*self.start, "-l", "/", HELLO, manager=self.manager,
                     env={"WATCHDOG_USEC": "soon"}).ready() as s:
            self.assertIn("WATCHDOG_USEC=soon", s.log())


class Restarts(harness.TestCase):
    """Clients that never pause, while one server follows the other."""

    ROUNDS = 20

    def setUp(self):
        need("bash")
        self.manager = Manager()
        self.addCleanup(self.manager.close)
        self.listener = listener()
        self.addCleanup(self.listener.close)
        self.port = self.listener.getsockname()[1]

    def begin(self, tls):
        s = Service("-l", "/", HELLO, sockets=(self.listener,),
                    tls=("ec",) if tls else (), manager=self.manager)
        while "READY" not in self.manager.told():
            pass
        return s

    def client(self, tls, ends, failures, answers):
        """One connection after the other, as many requests as each takes."""
        while not ends.is_set():
            known = asked = time.monotonic()
            try:
                with Client(self.port, tls=tls) as c:
                    for _ in range(50):
                        known, asked = asked, time.monotonic()
                        r = c.ask()
                        if r.status != 200:
                            raise AssertionError(f"status {r.status}")
                        answers.append(1)
                        if r.get("connection") == "close" or ends.is_set():
                            break
            except Exception as why:
                # A server that stops waits a second for who says nothing, and
                # its last answer is younger than `known`.  On a busy machine
                # this client may come later.
                if time.monotonic() - known < 0.7:
                    failures.append(repr(why))
                    return

    def client_h2(self, tls, ends, failures, answers):
        """Several requests on a connection, by a client that knows GOAWAY."""
        url = f"https://127.0.0.1:{self.port}/"
        while not ends.is_set():
            done = harness.run("curl", "-sSfk", "-w", "%{http_version} ",
                               *["-o", "/dev/null", url] * 10)
            if done.returncode or done.stdout != "2 " * 10:
                failures.append(done.stdout + done.stderr)
                return
            answers += [1] * 10

    def under_load(self, restart, tls, client=None, n=8):
        ends, failures, answers = threading.Event(), [], []
        threads = [threading.Thread(target=client or self.client, args=(
            tls, ends, failures, answers)) for _ in range(n)]
        # Until the first server is there, clients wait in the queue; for the
        # end of the last one all of them are gone.
        for t in threads:
            t.start()
        last = []
        try:
            s = self.begin(tls)
            for _ in range(self.ROUNDS):
                s = restart(s, tls)
            last.append(s)
        finally:
            ends.set()
            for t in threads:
                t.join()
        last[0].stop()
        self.assertEqual(failures, [])
        self.assertGreater(len(answers), self.ROUNDS)

    def activation(self, s, tls):
        s.stop()
        return self.begin(tls)

    def successor(self, s, tls):
        after = self.begin(tls)
        s.stop()
        return after

    def test_by_activation(self):
        self.under_load(self.activation, False)

    def test_by_activation_tls(self):
        self.under_load(self.activation, True)

    def test_by_successors(self):
        self.under_load(self.successor, False)

    def test_by_successors_tls(self):
        self.under_load(self.successor, True)

    def test_http2_by_activation(self):
        need("curl")
        self.under_load(self.activation, True, self.client_h2, 4)

    def test_http2_by_successors(self):
        need("curl")
        self.under_load(self.successor, True, self.client_h2, 4)


if __name__ == "__main__":
    unittest.main()
