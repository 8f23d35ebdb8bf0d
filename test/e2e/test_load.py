"""Much of everything: bodies, requests, clients; and what stays behind."""

import os
import re
import socket
import threading
import time
import unittest

import harness
from harness import Server, Trace, need, run, script

TOOLS = ("/", script("tools.lua"))
SLOW = harness.built_with("asan") or harness.built_with("tsan")
MIB = 16 if SLOW else 100
# What a process may grow by while any amount of data passes through it.
GROWTH_KIB = 16384 if SLOW else 4096


class Bodies(harness.TestCase):
    def on_each_carrier(self, check):
        for tls in ((), ("ec",)):
            with self.subTest(tls=tls), \
                    Server(*TOOLS, tls=tls, workers=1) as s:
                check(s)

    def upload(self, c, mib, chunked):
        piece = b"x" * 65536
        c.send("POST /upload HTTP/1.1\r\nhost: a\r\n" +
               ("transfer-encoding: chunked\r\n\r\n" if chunked else
                f"content-length: {mib << 20}\r\n\r\n"))
        if chunked:
            piece = b"10000\r\n" + piece + b"\r\n"
        for _ in range(mib * 16):
            c.send(piece)
        if chunked:
            c.send(b"0\r\n\r\n")
        self.assertEqual(c.response().text, f"end {mib << 20}\n")

    def uploads(self, s):
        for chunked in (False, True):
            with s.client() as c:
                self.upload(c, 2, chunked)
                s.reset_peak()
                before = s.peak_kib()
                self.upload(c, MIB, chunked)
                self.assertLess(s.peak_kib() - before, GROWTH_KIB)

    def test_upload_takes_no_memory(self):
        self.on_each_carrier(self.uploads)

    def download(self, s):
        self.assertEqual(len(self.get(s, "/download?2").body), 2 << 20)
        s.reset_peak()
        before = s.peak_kib()
        with s.client(receive_buffer=16384) as c:
            c.request(path=f"/download?{MIB}")
            c.head()
            time.sleep(0.3)
            self.assertEqual(self.get(s).text, "hello\n")
            rest = MIB << 20
            while rest:
                size = int(c.until(b"\r\n"), 16)
                c.exactly(size + 2)
                rest -= size
                if rest % (1 << 20) < 65536:
                    time.sleep(0.002)
            self.assertEqual(c.until(b"\r\n"), b"0")
        self.assertLess(s.peak_kib() - before, GROWTH_KIB)

    def test_download_to_a_slow_reader_takes_no_memory(self):
        self.on_each_carrier(self.download)


class Requests(harness.TestCase):
    def burst(self, s, scheme):
        done = run("wrk", "-t", "2", "-c", "64", "-d", "2s", "--timeout", "60s",
                   f"{scheme}://127.0.0.1:{s.port}/", timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn("Socket errors", done.stdout)
        self.assertNotIn("Non-2xx", done.stdout)
        return int(re.search(r"(\d+) requests in", done.stdout).group(1))

    def test_burst_of_wrk(self):
        need("wrk")
        for tls in ((), ("ec",)):
            with self.subTest(tls=tls), Server(*TOOLS, tls=tls) as s:
                scheme = "https" if tls else "http"
                harness.wait_until(lambda: self.burst(s, scheme) > 0,
                                   "for a request that is answered")
                before = s.peak_kib()
                self.burst(s, scheme)
                self.assertLess(s.peak_kib() - before, GROWTH_KIB)

    def one_of_64(self, s, wrong):
        try:
            with s.client() as c:
                for _ in range(157):
                    if c.ask().text != "hello\n":
                        wrong.append("another answer")
        except Exception as e:  # told to the test's own thread
            wrong.append(repr(e))

    def test_ten_thousand_requests_over_64_connections(self):
        wrong = []
        with Server(*TOOLS) as s:
            threads = [threading.Thread(target=self.one_of_64,
                                        args=(s, wrong)) for _ in range(64)]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
        self.assertEqual(wrong, [])


class Killed(harness.TestCase):
    """Clients that vanish in the middle of something."""

    MIDDLES = ("GET / HTTP/1.1\r\nho",
               "GET /sleep?30 HTTP/1.1\r\nhost: a\r\n\r\n",
               "GET /download?16 HTTP/1.1\r\nhost: a\r\n\r\n",
               "POST /upload HTTP/1.1\r\nhost: a\r\n"
               "content-length: 100000\r\n\r\nsome",
               "POST /echo HTTP/1.1\r\nhost: a\r\n"
               "transfer-encoding: chunked\r\n\r\n5\r\nsom",
               "GET / HTTP/1.1\r\nhost: a\r\n\r\n" * 20)

    def kill(self, s, count):
        for i in range(count):
            c = s.client()
            c.send(self.MIDDLES[i % len(self.MIDDLES)])
            if i % 5 == 0:
                c.readable(0.01)
            if i % 2:
                c.reset()
            else:
                c.close()

    def nothing_left(self, tls, count):
        with Server(*TOOLS, tls=tls) as s:
            self.kill(s, 12)
            before = s.descriptors()
            self.kill(s, count)
            # A worker keeps one connection ready for the next client.
            harness.wait_until(lambda: s.descriptors() <= before,
                               "for the descriptors to be closed")
            self.assertEqual(self.get(s).text, "hello\n")

    def test_thousand_clients(self):
        self.nothing_left((), 1000)

    def test_over_tls(self):
        self.nothing_left(("ec",), 60)

    def test_in_the_handshake(self):
        with Server(*TOOLS, tls=("ec",)) as s:
            before = s.descriptors()
            for i in range(60):
                c = harness.Client(s.port)
                c.send(b"\x16\x03\x01\x02\x00\x01\x00"[:i % 8])
                c.reset() if i % 2 else c.close()
            harness.wait_until(lambda: s.descriptors() <= before,
                               "for the descriptors to be closed")


class Fairness(harness.TestCase):
    BUSY = """
httpd.register_handler("/", function()
    httpd.write(nil, "hello\\n")
end)
-- Keeps its worker until the second file is there.
httpd.register_handler("/busy", function(env)
    local begun, over = env.QUERY_STRING:match("(.*),(.*)")
    local file
    io.open(begun, "w"):close()
    repeat file = io.open(over) until file
    file:close()
    httpd.write(nil, "done\\n")
end)
"""

    def test_busy_worker_does_not_hold_new_clients(self):
        path, begun, over = (os.path.join(harness.directory(), "busy" + end)
                             for end in (".lua", ".begun", ".over"))
        with open(path, "w") as f:
            f.write(self.BUSY)
        with Server("/", path, workers=2,
                    limits={"handler_run_ms": "unlimited"}) as s, \
                s.client() as busy:
            try:
                busy.request(path=f"/busy?{begun},{over}")
                harness.wait_until(lambda: os.path.exists(begun),
                                   "for the handler to run")
                for _ in range(20):
                    self.assertEqual(self.get(s).text, "hello\n")
                self.assertFalse(busy.readable(), "the busy one was first")
            finally:
                with open(over, "w"):
                    pass
            self.assertEqual(busy.response().text, "done\n")

    def wakeups(self, s, prepare):
        prepare()
        time.sleep(0.2)
        with Trace(s, "epoll_wait", "epoll_pwait", "epoll_pwait2") as t:
            time.sleep(1)
        return len([x for x in t.lines if "epoll_" in x])

    def test_paused_connection_does_not_spin(self):
        with Server(*TOOLS, workers=1) as s, s.client() as c:
            c.socket.setblocking(False)

            def fill():
                c.socket.send(b"POST /sleep?3 HTTP/1.1\r\nhost: a\r\n"
                              b"content-length: 10000000\r\n\r\n")
                try:
                    while True:
                        c.socket.send(b"x" * 65536)
                except BlockingIOError:
                    pass
            self.assertLess(self.wakeups(s, fill), 50)
            # Nor once the client has ended its side.
            self.assertLess(self.wakeups(
                s, lambda: c.socket.shutdown(socket.SHUT_WR)), 50)

    def test_pipeline_that_waits_does_not_spin(self):
        with Server(*TOOLS, workers=1) as s, s.client() as c:
            self.assertLess(self.wakeups(s, lambda: c.send(
                "GET /sleep?2 HTTP/1.1\r\nhost: a\r\n\r\n" +
                "GET / HTTP/1.1\r\nhost: a\r\n\r\n" * 2000)), 50)
            self.assertEqual(c.response().text, "slept\n")
            self.assertEqual(c.response().text, "hello\n")

    def test_half_closed_connection_does_not_spin(self):
        with Server(*TOOLS, workers=1) as s, s.client() as c:
            def half_close():
                c.request(path="/sleep?2", fields=["connection: close"])
                c.socket.shutdown(socket.SHUT_WR)
            self.assertLess(self.wakeups(s, half_close), 50)
            self.assertEqual(c.response().text, "slept\n")

    def test_client_that_does_not_read_does_not_spin(self):
        with Server(*TOOLS, workers=1) as s, \
                s.client(receive_buffer=4096) as c:
            self.assertLess(self.wakeups(
                s, lambda: c.request(path="/download?64")), 50)

    def test_idle_server_sleeps(self):
        with Server(*TOOLS, workers=2) as s, s.client() as c:
            self.assertLess(self.wakeups(s, c.ask), 20)


if __name__ == "__main__":
    unittest.main()
