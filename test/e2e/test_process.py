"""The process: stopping in order, the background, privileges."""

import os
import re
import signal
import socket
import subprocess
import tempfile
import unittest

import harness
from harness import BINARY, PATIENCE, Server, curl, script, wait_until


def refused(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) != 0


class Stop(harness.TestCase):
    def half_a_request(self, server):
        c = server.client()
        self.addCleanup(c.close)
        c.send("POST /body HTTP/1.1\r\nhost: a\r\ncontent-length: 8\r\n\r\nhalf")
        server.wait_for_log("waits for the body")
        return c

    def test_what_was_begun_is_finished(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with Server("/", script("heavy.lua")) as s:
                c = self.half_a_request(s)
                s.signal(number)
                wait_until(lambda: refused(s.port), "for no new clients")
                c.send("half")
                r = c.response()
                self.assertEqual(r.text, "got 8\n")
                self.assertEqual(r.get("connection"), "close")
                self.assertEqual(s.wait(), 0)

    def test_the_second_signal_cuts(self):
        with Server("/", script("heavy.lua")) as s:
            c = self.half_a_request(s)
            s.signal()
            wait_until(lambda: refused(s.port), "for no new clients")
            self.assertFalse(c.readable())
            s.signal(signal.SIGINT)
            self.assertNotIn(b"got 8", c.closed())
            self.assertEqual(s.wait(), 0)
            self.assertIn("requests were cut", s.log())

    def test_idle_connections_end_at_once(self):
        with Server("/", script("heavy.lua")) as s:
            with s.client() as c:
                self.assertEqual(c.ask(path="/small").text, "small\n")
                s.signal()
                self.assertEqual(c.closed(), b"")
                self.assertEqual(s.wait(), 0)

    def test_other_signals_do_not_end_it(self):
        with Server("/", script("heavy.lua")) as s:
            for number in (signal.SIGHUP, signal.SIGPIPE):
                s.signal(number)
            s.wait_for_log("SIGHUP")
            self.assertEqual(self.get(s, "/small").text, "small\n")


class Background(harness.TestCase):
    def free_port(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            return str(s.getsockname()[1])

    def find(self, mark):
        """The process with this argument; it is no child of ours."""
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    if mark.encode() in f.read().split(b"\0"):
                        return int(pid)
            except OSError:
                pass
        return None

    def test_serves_once_the_parent_has_ended(self):
        port = self.free_port()
        with tempfile.NamedTemporaryFile("w", suffix=".lua") as f:
            with open(script("heavy.lua")) as source:
                f.write(source.read())
            f.flush()
            done = subprocess.run([BINARY, "-a", "127.0.0.1", "-p", port, "-l",
                                   "/", f.name], timeout=PATIENCE,
                                  stdin=subprocess.DEVNULL,
                                  stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL)
            self.assertEqual(done.returncode, 0)
            pid = self.find(f.name)
            self.assertIsNotNone(pid)
            try:
                self.assertEqual(curl(f"http://127.0.0.1:{port}/small"),
                                 "small\n")
                for fd in (0, 1, 2):
                    self.assertEqual(os.readlink(f"/proc/{pid}/fd/{fd}"),
                                     "/dev/null")
                self.assertEqual(os.getsid(pid), pid)
            finally:
                os.kill(pid, signal.SIGTERM)
                wait_until(lambda: not harness.running(pid), "for its end")
            self.assertTrue(refused(int(port)))


class Privileges(harness.TestCase):
    def setUp(self):
        harness.need_root()
        if harness.built_with("asan") or harness.built_with("tsan"):
            self.skipTest("sanitizers need /proc at the end")

    def test_user_and_root_directory(self):
        with tempfile.TemporaryDirectory() as jail:
            os.chmod(jail, 0o755)
            with open(script("heavy.lua")) as source, \
                    open(jail + "/in.lua", "w") as f:
                f.write(source.read())
            with Server("/", "/in.lua", tls=["ec"],
                        options=["-u", "nobody", "-r", jail]) as s:
                with open(f"/proc/{s.pid}/status") as f:
                    status = f.read()
                for line in ("Uid", "Gid"):
                    ids = re.search(line + r":\s+(.*)", status).group(1)
                    self.assertNotIn("0", ids.split())
                self.assertEqual(os.readlink(f"/proc/{s.pid}/root"), jail)
                self.assertEqual(os.readlink(f"/proc/{s.pid}/cwd"), jail)
                self.assertEqual(self.get(s, "/small").text, "small\n")

    def test_number(self):
        with Server("/", script("heavy.lua"),
                    options=["-u", "4321:4322"]) as s:
            with open(f"/proc/{s.pid}/status") as f:
                status = f.read()
            self.assertRegex(status, r"Uid:\s+4321\s+4321\s+4321\s+4321")
            self.assertRegex(status, r"Gid:\s+4322\s+4322\s+4322\s+4322")


if __name__ == "__main__":
    unittest.main()
