"""How the server begins and ends: signals, the background, privileges."""

import os
import re
import signal
import socket
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
                self.assertEqual(s.wait(), 0)

    def test_upload_under_way_is_finished(self):
        with Server(*TOOLS) as s, s.client() as c:
            c.send("POST /upload HTTP/1.1\r\nhost: a\r\n"
                   "content-length: 10\r\n\r\nhalf")
            time.sleep(0.1)
            s.signal()
            harness.wait_until(lambda: refused(s.port), "a closed port")
            c.send(b"666666")
            r = c.response()
            self.assertEqual((r.text, r.get("connection")),
                             ("end 10\n", "close"))

    def test_second_signal_cuts(self):
        with Server(*TOOLS) as s, s.client() as c:
            c.send("POST /upload HTTP/1.1\r\nhost: a\r\n"
                   "content-length: 10\r\n\r\nhalf")
            time.sleep(0.1)
            s.signal()
            harness.wait_until(lambda: refused(s.port), "a closed port")
            self.assertIsNone(s.process.poll())
            s.signal()
            self.assertEqual(s.wait(), 0)
            self.assertNotIn(b"end 10", c.closed())
            self.assertIn("requests were cut", s.log())

    def test_hangup_does_not_stop(self):
        with Server(*TOOLS) as s:
            s.signal(signal.SIGHUP)
            s.wait_for_log("SIGHUP")
            self.assertEqual(self.get(s).text, "hello\n")

    def test_broken_pipe_does_not_stop(self):
        with Server(*TOOLS) as s:
            s.signal(signal.SIGPIPE)
            self.assertEqual(self.get(s).text, "hello\n")

    def test_over_tls(self):
        with Server(*TOOLS, tls=("ec",)) as s, s.client() as c:
            c.request(path="/sleep?0.3")
            time.sleep(0.1)
            s.signal()
            self.assertEqual(c.response().text, "slept\n")
            self.assertEqual(c.to_end(), b"")  # a close_notify, no cut


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
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
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
            self.assertEqual(os.getsid(pid), pid)
        finally:
            os.kill(pid, signal.SIGTERM)
        harness.wait_until(lambda: not harness.running(pid), "for the end")

    def test_descriptors_that_are_closed(self):
        """Started without standard descriptors it still serves."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
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
