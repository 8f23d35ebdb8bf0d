"""How the server begins and ends: signals, the background, privileges."""

import os
import re
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import unittest

import harness
from harness import Server, script

TOOLS = ("/", script("tools.lua"))


def refused(port):
    """Whether the port is closed.  One that closes while we are in its queue
    resets us."""
    try:
        socket.create_connection(("127.0.0.1", port)).close()
        return False
    except ConnectionResetError:
        return False
    except ConnectionRefusedError:
        return True


def accepted(test, s, **more):
    """A connection that the server has accepted."""
    before = s.descriptors()
    c = harness.Client(s.port, **more)
    test.addCleanup(c.close)
    harness.wait_until(lambda: s.descriptors() > before, "for an accept")
    return c


class Stop(harness.TestCase):
    def test_request_under_way_is_answered(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(number=number), Server(*TOOLS) as s, \
                    s.client() as c, s.client() as idle:
                idle.ask()
                c.request(path="/events?0.3")
                c.head()
                s.signal(number)
                # New clients are not taken, idle ones are let go.
                harness.wait_until(lambda: refused(s.port), "a closed port")
                self.assertEqual(idle.to_end(), b"")
                data = c.to_end()
                self.assertEqual(re.findall(rb"event (\d)", data),
                                 [b"1", b"2", b"3"])
                self.assertTrue(data.endswith(b"0\r\n\r\n"))
                c.close()
                self.assertEqual(s.wait(), 0)

    def test_upload_under_way_is_finished(self):
        with Server(*TOOLS) as s:
            c = accepted(self, s)
            c.send("POST /upload HTTP/1.1\r\nhost: a\r\n"
                   "content-length: 10\r\n\r\nhalf")
            s.signal()
            harness.wait_until(lambda: refused(s.port), "a closed port")
            c.send(b"666666")
            r = c.response()
            self.assertEqual((r.text, r.get("connection")),
                             ("end 10\n", "close"))

    def test_second_signal_cuts(self):
        with Server(*TOOLS) as s:
            c = accepted(self, s)
            c.send("POST /upload HTTP/1.1\r\nhost: a\r\n"
                   "content-length: 10\r\n\r\nhalf")
            s.signal()
            harness.wait_until(lambda: refused(s.port), "a closed port")
            self.assertIsNone(s.process.poll())
            s.signal()
            self.assertEqual(s.wait(), 0)
            self.assertNotIn(b"end 10", c.closed())
            self.assertRegex(s.log(), "stopping: requests under way have "
                             r"\d+ ms\n(.*\n)*.*requests were cut: 1\n")

    def test_hangup_does_not_stop(self):
        with Server(*TOOLS) as s:
            s.signal(signal.SIGHUP)
            s.wait_for_log("reloaded")
            self.assertEqual(self.get(s).text, "hello\n")

    def test_whatever_thread_gets_the_signal(self):
        for which in range(1 if harness.own_loop() else 3):
            with self.subTest(which=which), Server(*TOOLS) as s:
                threads = sorted(map(int, os.listdir(f"/proc/{s.pid}/task")))
                os.kill(threads[which], signal.SIGHUP)
                s.wait_for_log("reloaded")
                self.assertEqual(self.get(s).text, "hello\n")
                os.kill(threads[which], signal.SIGTERM)
                self.assertEqual(s.wait(), 0)

    def test_what_scripts_start_can_be_stopped(self):
        with Server(*TOOLS) as s:
            r = self.get(s, "/execute?grep+Sig+/proc/self/status")
            found = dict(re.findall(r"(Sig\w+):\s*(\w+)", r.text))
            self.assertEqual(int(found["SigBlk"], 16), 0)
            pid = int(self.get(s, "/execute?sleep+1000+%26+echo+$!").text)
            os.kill(pid, signal.SIGTERM)
            harness.wait_until(lambda: not harness.running(pid), "its end")

    def test_broken_pipe_does_not_stop(self):
        with Server(*TOOLS) as s:
            s.signal(signal.SIGPIPE)
            self.assertEqual(self.get(s).text, "hello\n")

    def test_over_tls(self):
        with Server(*TOOLS, tls=("ec",)) as s, s.client() as c:
            c.request(path="/sleep?0.3")
            s.signal()
            self.assertEqual(c.response().text, "slept\n")
            self.assertEqual(c.to_end(), b"")  # a close_notify, no cut
            s.wait_for_log("stopped: every request was answered")


GET = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"

# HTTP/2: the client's preface, empty SETTINGS, and GET / on stream 1.
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5)
GET_H2 = (b"\0\0\x06\x01\x05\0\0\0\x01" + b"\x82\x84\x86\x01\x01a")


class NewClients(harness.TestCase):
    """A stop comes before the server has seen what its clients have sent: its
    worker is busy meanwhile."""

    def begin(self, **more):
        s = Server(*TOOLS, workers=1, limits={"handler_run_ms": "unlimited"},
                   **more)
        self.addCleanup(s.kill)
        return s

    def stop(self, s, meanwhile):
        """Keeps the worker busy, does something, and lets the stop begin."""
        flag = tempfile.mktemp(dir=harness.directory())
        busy = accepted(self, s, tls=s.tls)
        busy.request(path="/until?" + flag)
        harness.wait_until(lambda: os.path.exists(flag + ".begun"),
                           "for the handler to run")
        meanwhile()
        s.signal()
        harness.wait_until(lambda: not self.pending(s), "for the signal")
        time.sleep(0.3)  # the server tells its worker; later does no harm
        with open(flag, "w"):
            pass
        self.assertEqual(busy.response().text, "done\n")
        busy.close()

    def pending(self, s):
        with open(f"/proc/{s.pid}/status") as f:
            text = f.read()
        return int(re.search(r"ShdPnd:\s+(\w+)", text).group(1), 16)

    def served(self, s, prepare, send):
        c = prepare()
        self.stop(s, lambda: send(c))
        r = c.response()
        self.assertEqual((r.text, r.get("connection")), ("hello\n", "close"))
        self.assertEqual(c.to_end(), b"")
        c.close()
        self.assertEqual(s.wait(), 0)
        self.assertNotIn("were cut", s.log())
        s.stop()

    def test_in_the_queue(self):
        s, late = self.begin(), []

        def come():
            for _ in range(20):
                late.append(harness.Client(s.port))
                self.addCleanup(late[-1].close)
                late[-1].send(GET)
        self.stop(s, come)
        for c in late:
            r = c.response()
            self.assertEqual((r.text, r.get("connection")),
                             ("hello\n", "close"))
        s.stop()

    def test_connected(self):
        s = self.begin()
        self.served(s, lambda: accepted(self, s), lambda c: c.send(GET))

    def test_between_requests(self):
        s = self.begin()

        def prepare():
            c = accepted(self, s)
            self.assertIsNone(c.ask().get("connection"))
            return c
        self.served(s, prepare, lambda c: c.send(GET))

    def test_after_the_handshake(self):
        s = self.begin(tls=("ec",))
        self.served(s, lambda: accepted(self, s, tls=True),
                    lambda c: c.send(GET))

    def test_before_and_in_the_handshake(self):
        s, late = self.begin(tls=("ec",)), []
        early = accepted(self, s)

        def hello(c):
            c.socket = harness.tls_context().wrap_socket(
                c.socket, do_handshake_on_connect=False)
            c.socket.settimeout(0)
            with self.assertRaises(ssl.SSLWantReadError):
                c.socket.do_handshake()

        def come():
            late.append(harness.Client(s.port))
            self.addCleanup(late[0].close)
            hello(early)
            hello(late[0])
        self.stop(s, come)
        for c in (early, late[0]):
            c.socket.settimeout(harness.PATIENCE)
            c.socket.do_handshake()
            c.send(GET)
            r = c.response()
            self.assertEqual((r.text, r.get("connection")),
                             ("hello\n", "close"))
        s.stop()

    def test_http2(self):
        s = self.begin()
        fresh, open_ = accepted(self, s), accepted(self, s)
        open_.send(PREFACE)
        open_.exactly(9)  # its SETTINGS

        def come():
            fresh.send(PREFACE + GET_H2)
            open_.send(GET_H2)
        self.stop(s, come)
        for c in (fresh, open_):
            data = c.closed()
            self.assertIn(b"hello\n", data)
            self.assertIn(b"\x07\0\0\0\0\0\x7f\xff\xff\xff", data)  # GOAWAY
            c.close()
        s.stop()

    def test_silent_ones_are_let_go(self):
        for tls in ((), ("ec",)):
            s = self.begin(tls=tls)
            clients = [accepted(self, s), accepted(self, s, tls=bool(tls))]
            if not tls:
                clients.append(accepted(self, s))
                clients[-1].ask()
            s.signal()
            for c in clients:
                self.assertEqual(c.to_end(), b"")
                c.close()
            self.assertEqual(s.wait(), 0)
            self.assertNotIn("were cut", s.log())
            s.stop()


class Background(harness.TestCase):
    """Without -f the parent exits once the server serves."""

    def find(self, port):
        """The process that listens on the port, by its socket's inode."""
        with open("/proc/net/tcp") as f:
            inode = [line.split()[9] for line in f
                     if line.split()[1].endswith(f":{port:04X}") and
                     line.split()[3] == "0A"][0]
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                links = [os.readlink(f"/proc/{pid}/fd/{fd}")
                         for fd in os.listdir(f"/proc/{pid}/fd")]
            except OSError:
                continue
            if f"socket:[{inode}]" in links:
                return int(pid)
        self.fail("nobody listens")

    def test_serves_when_the_parent_exits(self):
        with harness.free_port() as port:
            self.serve_in_background(port)

    def serve_in_background(self, port):
        done = harness.lhttpd("-a", "127.0.0.1", "-p", str(port), "-w", "1",
                              "-l", "/", script("tools.lua"))
        self.assertEqual((done.returncode, done.stdout), (0, ""), done.stderr)
        pid = self.find(port)
        try:
            with harness.Client(port) as c:
                self.assertEqual(c.ask().text, "hello\n")
            for fd in range(3):
                self.assertEqual(os.readlink(f"/proc/{pid}/fd/{fd}"),
                                 "/dev/null")
            # A session of its own, which it does not lead.
            self.assertNotIn(os.getsid(pid), (pid, os.getsid(0)))
        finally:
            os.kill(pid, signal.SIGTERM)
        harness.wait_until(lambda: not harness.running(pid), "for the end")

    def test_descriptors_that_are_closed(self):
        """Started without standard descriptors it still serves."""
        with harness.free_port() as port:
            self.serve_without_descriptors(port)

    def serve_without_descriptors(self, port):
        status = subprocess.call(
            ["sh", "-c", f"exec {harness.BINARY} -a 127.0.0.1 -p {port} "
             f"-w 1 -l / {script('tools.lua')} <&- >&- 2>&-"],
            env=harness.environment(), timeout=harness.PATIENCE)
        self.assertEqual(status, 0)
        pid = self.find(port)
        try:
            with harness.Client(port) as c:
                self.assertEqual(c.ask().text, "hello\n")
        finally:
            os.kill(pid, signal.SIGTERM)
        harness.wait_until(lambda: not harness.running(pid), "for the end")


class Confined(harness.TestCase):
    def setUp(self):
        harness.need_root()

    def identity(self, s):
        with open(f"/proc/{s.pid}/status") as f:
            text = f.read()
        return {key: re.search(rf"{key}:\s+(.*)", text).group(1).split()
                for key in ("Uid", "Gid", "Groups")}

    def readable(self, directory):
        path = os.path.join(directory, "site.lua")
        with open(script("tools.lua")) as f, open(path, "w") as to:
            to.write(f.read())
        os.chmod(directory, 0o755)
        os.chmod(path, 0o644)
        return path

    def test_user(self):
        with tempfile.TemporaryDirectory() as d:
            with Server("/", self.readable(d), options=["-u", "nobody"]) as s:
                self.assertEqual(self.get(s).text, "hello\n")
                self.assertEqual(set(self.identity(s)["Uid"]), {"65534"})
            with Server("/", self.readable(d),
                        options=["-u", "4711:4712"]) as s:
                found = self.identity(s)
                self.assertEqual(set(found["Uid"]), {"4711"})
                self.assertEqual(set(found["Gid"]), {"4712"})
                self.assertEqual(set(found["Groups"]), {"4712"})

    def test_root_directory(self):
        """The script inside, certificates and the user outside."""
        with tempfile.TemporaryDirectory() as d:
            self.readable(d)
            for tls in ((), ("rsa", "ec")):
                with Server("/", "/site.lua", tls=tls,
                            options=["-r", d, "-u", "nobody"],
                            asan="detect_leaks=0") as s:  # it needs /proc
                    self.assertEqual(self.get(s).text, "hello\n")
                    self.assertEqual(os.readlink(f"/proc/{s.pid}/root"), d)
                    self.assertEqual(os.readlink(f"/proc/{s.pid}/cwd"), d)

    def test_unix_socket(self):
        """It is for the user that the server becomes, and goes with it."""
        with tempfile.TemporaryDirectory() as d:
            source, path = self.readable(d), os.path.join(d, "socket")
            for more, expected in (
                    ([], (4711, 4712, 0o755)),
                    (["-o", "unix_mode=0600", "-o", "unix_owner=0:4713"],
                     (0, 4713, 0o600)),
                    (["-o", "unix_group=4714", "-o", "unix_mode=660"],
                     (4711, 4714, 0o660))):
                os.chown(d, 4711, 4712)
                with self.subTest(more=more), \
                        Server("/", source, address="unix:" + path,
                               options=["-u", "4711:4712", *more]) as s:
                    status = os.stat(path)
                    self.assertEqual((status.st_uid, status.st_gid,
                                      status.st_mode & 0o777), expected)
                    with harness.Client(0, path=path) as c:
                        self.assertEqual(c.ask().text, "hello\n")
                    s.signal()
                    s.wait()
                    self.assertFalse(os.path.exists(path))
            os.chown(d, 0, 0)
            with Server("/", source, address="unix:" + path,
                        options=["-u", "4711:4712"]) as s:
                s.signal()
                s.wait()
                self.assertIn(f"unix:{path} stays behind: Permission",
                              s.log())

    def test_script_outside_the_root_directory(self):
        with tempfile.TemporaryDirectory() as d:
            done = harness.lhttpd("-f", "-a", "127.0.0.1", "-p", "0", "-r", d,
                                  "-l", "/", script("tools.lua"))
            self.assertEqual(done.returncode, 1)
            self.assertIn("tools.lua", done.stderr)


if __name__ == "__main__":
    unittest.main()
