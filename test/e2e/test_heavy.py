"""Much at once: long bodies, many clients, clients that go, and idle turns."""

import socket
import subprocess
import time
import unittest

import harness
from harness import Server, Trace, run, script, wait_until

MIB = 1 << 20


class Memory(harness.TestCase):
    """A body costs its buffers, however long it is."""

    def setUp(self):
        # A sanitizer's allocator keeps what was freed for a while.
        self.room_kib = 40960 if (harness.built_with("asan") or
                                  harness.built_with("tsan")) else 6144

    def grown(self, server, work):
        self.get(server, "/pieces?n=20")  # what a first request makes
        self.get(server, "/count", method="POST", body=b"x" * MIB)
        server.reset_peak()
        before = server.peak_kib()
        work()
        self.assertLess(server.peak_kib() - before, self.room_kib)

    def upload(self, server):
        with server.client() as c:
            c.send(f"POST /count HTTP/1.1\r\nhost: a\r\n"
                   f"content-length: {100 * MIB}\r\n\r\n")
            for _ in range(100):
                c.send(b"x" * MIB)
            self.assertEqual(c.response().text, f"{100 * MIB}\n")

    def test_upload_read_in_small_steps(self):
        for tls in ((), ["ec"]):
            with self.subTest(tls=tls), Server("/", script("heavy.lua"),
                                               tls=tls) as s:
                self.grown(s, lambda: self.upload(s))

    def slow_download(self, server):
        with server.client(receive_buffer=16384) as c:
            c.request(path="/pieces?n=1600")
            self.assertEqual(c.head().get("transfer-encoding"), "chunked")
            n = 0
            for step in range(200):  # slowly at first
                n += len(c.input or c.socket.recv(16384))
                c.input = b""
                time.sleep(0.005)
            while not c.socket.recv(65536).endswith(b"0\r\n\r\n"):
                pass

    def test_download_to_a_slow_reader(self):
        for tls in ((), ["ec"]):
            with self.subTest(tls=tls), Server("/", script("heavy.lua"),
                                               tls=tls) as s:
                self.grown(s, lambda: self.slow_download(s))


class Many(harness.TestCase):
    def load(self, server, n):
        harness.need("h2load")
        done = run("h2load", "--h1", "-n", str(n), "-c", "64",
                   server.url + "/small", timeout=120)
        self.assertIn(f"{n} succeeded, 0 failed, 0 errored", done.stdout)
        self.assertIn(f"status codes: {n} 2xx", done.stdout)

    def test_ten_thousand_requests(self):
        for tls in ((), ["ec"]):
            with self.subTest(tls=tls), Server("/", script("heavy.lua"),
                                               tls=tls, workers=4) as s:
                before = s.descriptors()
                self.load(s, 10000)
                wait_until(lambda: s.descriptors() <= before,
                           "for the connections to be closed")
                s.reset_peak()
                peak = s.peak_kib()
                self.load(s, 10000)
                self.assertLess(s.peak_kib() - peak, 16384)

    def test_a_busy_worker_does_not_keep_others_waiting(self):
        with Server("/", script("heavy.lua"), workers=2) as s:
            with s.client() as busy:
                busy.request(path="/busy")
                s.wait_for_log("busy")
                for _ in range(20):
                    self.assertEqual(self.get(s, "/small").text, "small\n")
                    self.assertFalse(busy.readable())
                self.assertEqual(busy.response().text, "busy\n")

    REQUESTS = ["GET /small HT",
                "POST /count HTTP/1.1\r\nhost: a\r\ncontent-length: 999\r\n\r\n"
                "some",
                "GET /pieces HTTP/1.1\r\nhost: a\r\n\r\n",
                "GET /sleep?s=30 HTTP/1.1\r\nhost: a\r\n\r\n",
                "GET /small HTTP/1.1\r\nhost: a\r\n\r\n" * 5]

    def kill_clients(self, server, n):
        for batch in range(n // 50):
            clients = [server.client() for _ in range(50)]
            for i, c in enumerate(clients):
                c.send(self.REQUESTS[i % len(self.REQUESTS)])
            if batch % 2:
                time.sleep(0.005)  # some are further than others
            for i, c in enumerate(clients):
                c.reset() if i % 3 else c.close()

    def test_killed_clients_leave_nothing(self):
        for tls, n in (((), 1000), (["ec"], 200)):
            with self.subTest(tls=tls), Server("/", script("heavy.lua"),
                                               tls=tls) as s:
                self.get(s, "/small")
                before = s.descriptors()
                self.kill_clients(s, n)
                # The counters are looked at when the server ends.
                wait_until(lambda: s.descriptors() <= before,
                           "for killed clients' descriptors")
                self.assertEqual(self.get(s, "/small").text, "small\n")


class Idle(harness.TestCase):
    """A connection that nobody can serve now does not wake its worker."""

    def wakes(self, server, prepare):
        with server.client() as c:
            prepare(c)
            server.wait_for_log("asleep")
            with Trace(server, "epoll_wait", "epoll_pwait") as trace:
                time.sleep(1)
            self.assertLess(len(trace.lines), 20, "\n".join(trace.lines[:40]))
            return c.until(b"awake")

    def test_paused(self):
        def pipeline(c):
            c.send("GET /sleep?s=3 HTTP/1.1\r\nhost: a\r\n\r\n")
            c.send("GET /small HTTP/1.1\r\nhost: a\r\n\r\n" * 2000)
        with Server("/", script("heavy.lua"), workers=1) as s:
            self.wakes(s, pipeline)

    def test_half_closed(self):
        def half_close(c):
            c.send("GET /sleep?s=3 HTTP/1.0\r\n\r\n")
            c.socket.shutdown(socket.SHUT_WR)
        with Server("/", script("heavy.lua"), workers=1) as s:
            self.wakes(s, half_close)


class Sessions(harness.TestCase):
    """The openssl command against the resumption cache."""

    REQUEST = b"GET /small HTTP/1.0\r\n\r\n"

    def s_client(self, server, *args):
        """What it prints, the answer to a request included."""
        harness.need("openssl")
        done = subprocess.run(["openssl", "s_client", "-tls1_2", "-ign_eof",
                               "-connect", f"127.0.0.1:{server.port}", *args],
                              input=self.REQUEST, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT,
                              timeout=harness.PATIENCE)
        return done.stdout.decode(errors="replace")

    def test_resumption(self):
        with Server("/", script("heavy.lua"), tls=["ec"], workers=2) as s:
            kept = f"{harness.directory()}/session-{s.port}"
            name = ["-servername", "localhost"]
            first = self.s_client(s, *name, "-sess_out", kept)
            self.assertRegex(first, r"New, .*TLSv1\.2")
            self.assertIn("\nsmall\n", first)
            again = self.s_client(s, *name, "-sess_in", kept)
            self.assertRegex(again, r"Reused, .*TLSv1\.2")
            self.assertIn("\nsmall\n", again)
            # A session is for one name.  What that is, is known only once the
            # handshake is over; no request is answered.
            other = self.s_client(s, "-servername", "example.org",
                                  "-sess_in", kept)
            self.assertNotIn("small", other)
            # This crashes BearSSL where nothing guards against it.
            bad = self.s_client(s, *name, "-sess_in", kept, "-alpn", "nonsense")
            self.assertNotIn("small", bad)
            self.assertEqual(self.get(s, "/small").text, "small\n")


if __name__ == "__main__":
    unittest.main()
