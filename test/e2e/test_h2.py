"""HTTP/2 with real clients, in plain text and over TLS, and its abuses."""

import os
import platform
import re
import struct
import subprocess
import threading
import time
import unittest

import harness
from harness import EXAMPLES, Server, curl, need, run, script
from test_static import directory

PLAIN = ("--http2-prior-knowledge",)
SECURE = ("--http2", "-k")
VARIES = ("SERVER_PROTOCOL=", "CLIENT_PORT=", "DATE_UTC=")


def nghttp(*args):
    need("nghttp")
    done = run("nghttp", *args)
    if done.returncode != 0:
        raise AssertionError(done.stdout + done.stderr)
    return done.stdout


def h2load(*args):
    """(requests done and answered by 2xx, those that failed)"""
    need("h2load")
    done = run("h2load", *args, timeout=600)
    found = re.search(r"requests: .* (\d+) done, (\d+) succeeded, (\d+) failed",
                      done.stdout)
    if not found:
        raise AssertionError(done.stdout + done.stderr)
    return int(found.group(2)), int(found.group(3))


class SameAnswers(harness.TestCase):
    """A handler sees and answers the same, whichever the protocol."""

    def lines(self, text):
        return sorted(line for line in text.splitlines()
                      if not line.startswith(VARIES))

    def compare(self, tls, flags):
        with Server("/", script("environment.lua"), tls=tls) as s:
            for more in ([], ["-d", "some text"], ["-I"]):
                args = ["-k", *more, "-H", "x-more: 1", "-H", "x-more: 2",
                        s.url + "/?a=b"]
                old, new = curl("--http1.1", *args), curl(*flags, *args)
                if "-I" in more:
                    self.assertIn("HTTP/2 200", new)
                    continue
                self.assertEqual(self.lines(old), self.lines(new))
                self.assertIn("SERVER_PROTOCOL=HTTP/2", new)

    def test_plain(self):
        self.compare((), PLAIN)

    def test_tls(self):
        self.compare(("rsa",), SECURE)
        self.compare(("ec",), SECURE)

    def test_errors_stay_on_their_stream(self):
        # Over TLS: with prior knowledge curl 7.88 cannot use a connection twice.
        with Server("/", script("h2.lua"), tls=("rsa",)) as s:
            nothing = ["-o", "/dev/null"] * 3
            out = curl(*SECURE, "-w", "%{http_code} %{num_connects}\n",
                       *nothing, s.url + "/none", s.url + "/error",
                       s.url + "/")
            self.assertEqual(out.splitlines(), ["404 1", "500 0", "200 0"])


class Messages(harness.TestCase):
    def test_trailers(self):
        with Server("/", script("h2.lua")) as s:
            out = curl(*PLAIN, "-i", s.url + "/trailers")
            self.assertIn("body\n", out)
            self.assertIn("x-sum: 7", out)

    def test_long_and_secret_fields(self):
        """A never-indexed field, and a block over CONTINUATIONs."""
        crumb = "c=" + "~x" * 9000 + "the-end"
        with Server("/", script("h2.lua")) as s:
            out = curl(*PLAIN, "-H", "authorization: Basic Zm9vOmJhcg==",
                       "-H", "cookie: " + crumb, s.url + "/fields")
            self.assertEqual(out, "Basic Zm9vOmJhcg==\n"
                             f"{len(crumb)} {crumb[-8:]}\n")

    def test_refused_upload(self):
        """The client sees why, though it has much more to send."""
        path = os.path.join(harness.directory(), "refused")
        with open(path, "wb") as f:
            f.write(bytes(5 << 20))
        for limits, target, status in (({}, "/none", "404"),
                                       ({"body_bytes": 1 << 20}, "/", "413")):
            with Server("/", script("h2.lua"), limits=limits,
                        tls=("rsa",)) as s:
                self.assertEqual(curl(*SECURE, "-o", "/dev/null", "-w",
                                      "%{http_code}", "--data-binary",
                                      "@" + path, s.url + target), status)

    def test_hints(self):
        with Server("/", os.path.join(EXAMPLES, "hints.lua")) as s:
            for flags, protocol in ((PLAIN, "HTTP/2"), ((), "HTTP/1.1")):
                out = curl(*flags, "-i", s.url + "/")
                first, second, page = out.replace("\r", "").split("\n\n", 2)
                self.assertTrue(first.startswith(protocol + " 103"))
                self.assertIn("link: <style.css>", first)
                self.assertTrue(second.startswith(protocol + " 200"))
                self.assertIn("</html>", page)

    def test_push(self):
        with Server("/", os.path.join(EXAMPLES, "push.lua")) as s:
            rows = nghttp("-ans", s.url + "/").splitlines()[-3:]
            pushed = {row.split()[-1] for row in rows if "*" in row}
            self.assertEqual(pushed, {"/style.css", "/script.js"})
            rows = nghttp("-ans", "--no-push", s.url + "/").splitlines()[-3:]
            self.assertFalse([row for row in rows if "*" in row])
            self.assertEqual({row.split()[-1] for row in rows},
                             {"/", "/style.css", "/script.js"})
            self.assertIn("</html>", curl("--http1.1", s.url + "/"))


class Flow(harness.TestCase):
    def test_uploads_side_by_side(self):
        """They come back whole, whatever the speeds of their handlers."""
        sent = os.urandom(1 << 20)
        path = os.path.join(harness.directory(), "upload")
        with open(path, "wb") as f:
            f.write(sent)
        with Server("/", script("h2.lua"), tls=("rsa",)) as s:
            args, outs = ["--parallel", *SECURE], []
            for i in range(20):
                outs.append(f"{path}.{i}")
                args += ["-T", path, "-o", outs[-1],
                         f"{s.url}/echo?step={1000 + 3000 * i}" +
                         ("&pause=0.001" if i % 5 == 4 else "")]
            curl(*args)
            for out in outs:
                with open(out, "rb") as f:
                    self.assertEqual(f.read(), sent)

    def test_hundred_uploads(self):
        path = os.path.join(harness.directory(), "upload-1m")
        with open(path, "wb") as f:
            f.write(bytes(1 << 20))
        with Server("/", script("h2.lua")) as s:
            self.assertEqual(h2load("-n", "100", "-c", "1", "-m", "100", "-d",
                                    path, s.url + "/count", s.url +
                                    "/count?0.0005"), (100, 0))

    def test_window_of_one(self):
        with Server("/", script("h2.lua")) as s:
            self.assertEqual(h2load("-n", "40", "-c", "2", "-m", "10", "-w",
                                    "1", s.url + "/"), (40, 0))

    def test_many_requests(self):
        with Server("/", script("h2.lua")) as s:
            slow = harness.built_with("asan") or harness.built_with("tsan")
            n = 20000 if slow else 200000
            h2load("-n", str(n // 10), "-c", "32", "-m", "32", s.url + "/")
            before = s.peak_kib()
            self.assertEqual(h2load("-n", str(n), "-c", "32", "-m", "32",
                                    s.url + "/"), (n, 0))
            self.assertLess(s.peak_kib(), 1.5 * before)

    def test_stop_answers_what_was_accepted(self):
        with Server("/", script("h2.lua")) as s:
            client = subprocess.Popen(
                ["curl", "-sS", "-m", str(harness.PATIENCE), *PLAIN,
                 s.url + "/told"],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            s.wait_for_log("told begins")
            s.signal()
            out, err = client.communicate(timeout=harness.PATIENCE)
            self.assertEqual((out, err), ("at last\n", ""))


# ---- abuses ----

HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"


def frame(kind, flags, stream, payload=b""):
    return (struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) +
            struct.pack(">I", stream) + payload)


def literal(name, value):
    return (b"\0" + bytes((len(name),)) + name.encode() +
            bytes((len(value),)) + value.encode())


def request(stream, path="/", more=b"", flags=5):
    block = (literal(":method", "GET") + literal(":scheme", "http") +
             literal(":path", path) + literal(":authority", "a"))
    return frame(1, flags, stream, block + more)


def frames(data):
    """The whole frames in it: [(type, flags, stream, payload)], and the rest."""
    found, at = [], 0
    while len(data) >= at + 9:
        end = at + 9 + int.from_bytes(data[at:at + 3], "big")
        if len(data) < end:
            break
        found.append((data[at + 3], data[at + 4],
                      struct.unpack_from(">I", data, at + 5)[0],
                      data[at + 9:end]))
        at = end
    return found, data[at:]


def window_updates(octets, *streams):
    return b"".join(frame(8, 0, s, struct.pack(">I", octets)) for s in streams)


class Pieces(harness.TestCase):
    """A client that says how far it has got with every piece that it reads."""

    def download(self, client, piece):
        client.send(HELLO + request(1, "/big?1024"))
        got = left = 0
        heard, ended = b"", False
        while not ended:
            data = client.socket.recv(1 << 18)
            self.assertTrue(data, f"closed after {got}")
            found, heard = frames(heard + data)
            say = b""
            for kind, flags, _, payload in found:
                self.assertNotIn(kind, (3, 7), f"{payload} after {got}")
                if kind == 0:
                    got += len(payload)
                    pieces, left = divmod(left + len(payload), piece)
                    say += window_updates(piece, 0, 1) * pieces
                    say += frame(6, 0, 0, b"how long")
                    ended = flags & 1
            if say and not ended:
                client.send(say)
        return got

    def test_download(self):
        with Server("/", script("h2.lua")) as s:
            for piece in (256, 1024, 4096):
                with self.subTest(piece), s.client() as c:
                    self.assertEqual(self.download(c, piece), 16 << 20)


class Changes(harness.TestCase):
    """Files that change while they are sent: whole they are of one file, or the
    stream is reset.  The client's window holds them back while they change."""

    SIZE = 3 << 20
    WINDOW = 65535  # of a connection and of each stream, at their beginning
    INTERNAL_ERROR = 2

    OLD = bytes(i * 7 % 251 for i in range(4096)) * (SIZE // 4096)

    @staticmethod
    def replace(name):
        with open(name + ".new", "wb") as f:
            f.write(b"N" * Changes.SIZE)
        os.rename(name + ".new", name)

    @staticmethod
    def grow(name):
        with open(name, "ab") as f:
            f.write(b"more" * 1000)

    # What happens, and whether the old file comes whole.
    HAPPEN = {
        "nothing": (lambda name: None, True),
        "it grows": (grow.__func__, True),
        "another takes its name": (replace.__func__, True),
        "it is removed": (os.unlink, True),
        "its end is cut off": (lambda n: os.truncate(n, Changes.SIZE - 1),
                               False),
        "it is cut where it is sent": (lambda n: os.truncate(n, 100000), False),
        "it is emptied": (lambda n: os.truncate(n, 0), False),
    }

    def connect(self, s):
        c = harness.Client(s.port)
        if s.tls:
            context = harness.tls_context()
            context.set_alpn_protocols(["h2"])
            c.socket = context.wrap_socket(c.socket)
        c.send(HELLO)
        return c

    def until(self, c, stream, enough):
        """The frames of a stream up to the one that is enough."""
        while True:
            found, c.input = frames(c.input)
            for at, (kind, flags, of, payload) in enumerate(found):
                self.assertNotEqual(kind, 7, f"GOAWAY {payload}")
                if of == stream:
                    yield kind, flags, payload
                    if enough(kind, flags, payload):
                        c.input = b"".join(frame(*f) for f in
                                           found[at + 1:]) + c.input
                        return
            self.assertTrue(c.more(), "the connection was closed")

    def ask(self, c, stream, path, happens=None):
        """The body, and the code of the reset, or None at its end."""
        c.send(request(stream, path))
        body, code = b"", None

        def over(kind, flags, _):
            return kind == 3 or (kind in (0, 1) and flags & 1)

        def full(kind, flags, payload):
            return over(kind, flags, payload) or (
                kind == 0 and len(body) == self.WINDOW)
        for stage in (full, over) if happens else (over,):
            for kind, flags, payload in self.until(c, stream, stage):
                if kind == 1:
                    self.assertEqual(payload[0], 0x88, "status 200")
                if kind == 0:
                    body += payload
                if kind == 3:
                    code = int.from_bytes(payload, "big")
            if stage is full:
                self.assertEqual(len(body), self.WINDOW)
                happens()
                c.send(window_updates(1 << 30, 0, stream))
        return body, code

    def changes(self, tls):
        for what, (happen, whole) in self.HAPPEN.items():
            with self.subTest(what), directory() as path, \
                    Server(options=("-s", "/", path), tls=tls,
                           workers=1) as s, self.connect(s) as c:
                name = os.path.join(path, "old")
                with open(name, "wb") as f:
                    f.write(self.OLD)
                body, code = self.ask(c, 1, "/old", lambda: happen(name))
                if whole:
                    self.assertIsNone(code)
                    self.assertTrue(body == self.OLD, "not the old file")
                else:
                    self.assertEqual(code, self.INTERNAL_ERROR)
                    self.assertTrue(self.OLD.startswith(body), "of no file")
                    s.wait_for_log("became shorter while it was sent")
                # It is nothing to the connection.
                body, code = self.ask(c, 3, "/file.bin")
                self.assertEqual((len(body), code), (10000, None))

    def test_plain(self):
        self.changes(())

    def test_tls(self):
        self.changes(("ec",))

    def old_protocol(self, tls):
        """HTTP/1 says the same by the length, and an end before it."""
        for what, (happen, whole) in self.HAPPEN.items():
            with self.subTest(what), directory() as path, \
                    Server(options=("-s", "/", path), tls=tls,
                           workers=1) as s:
                name = os.path.join(path, "old")
                with open(name, "wb") as f:
                    f.write(self.OLD)
                with s.client(receive_buffer=4096) as c:
                    c.request(path="/old")
                    self.assertEqual(c.head().get("content-length"),
                                     str(self.SIZE))
                    happen(name)
                    if whole:
                        self.assertTrue(c.exactly(self.SIZE) == self.OLD)
                        continue
                    body = c.closed()
                    self.assertLess(len(body), self.SIZE)
                    # The page that the file was cut in may end with zeroes.
                    self.assertTrue(self.OLD.startswith(body.rstrip(b"\0")))
                    s.wait_for_log("became shorter while it was sent")

    def test_http1(self):
        self.old_protocol(())

    def test_http1_by_tls(self):
        self.old_protocol(("ec",))


BOMB = b"\x40\x01x\x7f\xa1\x1e" + b"a" * 4000 + b"\xbe" * 9000

FLOODS = {
    "rapid reset": lambda i: request(i, "/big") +
    frame(3, 0, i, struct.pack(">I", 8)),
    "provoked resets": lambda i: request(i, "/big") +
    frame(8, 0, i, struct.pack(">I", 0)),
    "CONTINUATION": lambda i: request(i, flags=1) + frame(9, 0, i) * 20,
    "SETTINGS": lambda i: frame(4, 0, 0) * 8,
    "PING": lambda i: frame(6, 0, 0, b"pingpong") * 8,
    "empty DATA": lambda i: (request(1, "/count", flags=4) if i == 1 else
                             frame(0, 0, 1) * 8),
    "PRIORITY": lambda i: frame(2, 0, 1, struct.pack(">IB", 0, 1)) * 8,
    "window updates": lambda i: frame(8, 0, 0, struct.pack(">I", 1)) * 8,
    "bombs": lambda i: request(i, more=BOMB),
    "streams": lambda i: request(i, "/slow"),
    "unknown": lambda i: frame(99, 0, 0) * 8,
}


class Attacker(threading.Thread):
    """Floods, one connection after the other, until the event `over` is set;
    keeps the GOAWAYs' codes in a set that all share."""

    def __init__(self, server, flood, codes, over):
        super().__init__()
        self.server, self.flood, self.codes = server, flood, codes
        self.over = over

    def run(self):
        while not self.over.is_set():
            try:
                with self.server.client() as c:
                    self.attack(c)
            except OSError:
                pass

    @staticmethod
    def hear(client):
        data = client.socket.recv(65536)
        if not data:
            raise ConnectionResetError
        return data

    def last_words(self, client):
        heard = b""
        try:
            while True:
                heard += self.hear(client)
        except OSError:
            return heard[-65536:]

    def attack(self, client):
        client.socket.settimeout(harness.PATIENCE / 30)
        heard = b""
        client.send(HELLO)
        i = 1
        try:
            while not self.over.is_set():
                client.send(b"".join(self.flood(i + 2 * k)
                                     for k in range(32)))
                i += 64
                while client.readable():
                    heard = (heard + self.hear(client))[-65536:]
        except OSError:  # a reset may have come before we had read all
            heard += self.last_words(client)
        found = re.findall(rb"\0\0\x08\x07\0\0\0\0\0.{4}\0\0\0(.)", heard,
                           re.DOTALL)
        self.codes.update(code[0] for code in found)


class Abuses(harness.TestCase):
    SECONDS = float(os.environ.get("LHTTPD_FLOOD_SECONDS", "0.5"))
    FRESH = 4

    def serve_others(self, s, codes):
        """Fresh clients, one after the other: for SECONDS, and until there were
        some and an attacker has been cut (but not for ever)."""
        least = time.monotonic() + self.SECONDS
        most = least + harness.PATIENCE
        fresh = 0
        while time.monotonic() < least or fresh < self.FRESH or \
                (not codes and time.monotonic() < most):
            self.assertEqual(curl(*PLAIN, s.url + "/"), "hello over HTTP/2\n")
            fresh += 1

    def flooded(self, name):
        # So that it does not take long, however slow the attackers are.
        limits = {"h2_useless": 300, "h2_useless_refill": 1}
        with Server("/", script("h2.lua"), limits=limits) as s:
            h2load("-n", "2000", "-c", "16", "-m", "32", s.url + "/")
            before = s.peak_kib()
            codes, over = set(), threading.Event()
            attackers = [Attacker(s, FLOODS[name], codes, over)
                         for _ in range(3)]
            for a in attackers:
                a.start()
            try:
                self.serve_others(s, codes)
            finally:
                over.set()
                for a in attackers:
                    a.join()
            self.assertEqual(codes, {11}, name)  # ENHANCE_YOUR_CALM
            self.assertLess(s.peak_kib(), 2 * before, name)

    def test_floods(self):
        for name in FLOODS:
            with self.subTest(name):
                self.flooded(name)

    def hold(self, client):
        """Requests of 3,800 octets that are sent once; their answers wait."""
        big = b"\x40\x01x\x7f\xd9\x1c" + b"a" * 3800
        client.send(HELLO + frame(4, 0, 0, struct.pack(">HI", 4, 0)) +
                    request(1, "/none", big) +
                    b"".join(request(1 + 2 * i, "/none", b"\xbe" * 8)
                             for i in range(1, 127)))
        heard = b""
        while heard.count(b"\0\0\x04\x03\0") == 0:  # RST_STREAM: refused
            heard += Attacker.hear(client)

    @unittest.skipIf(harness.built_with("asan") or harness.built_with("tsan"),
                     "the sanitizers' own heap keeps what is free")
    @unittest.skipIf(platform.libc_ver()[0] != "glibc",
                     "this C library gives memory back as it likes")
    def test_memory_goes_back(self):
        """To the system, some seconds after a flood."""
        with Server("/", script("h2.lua"), workers=1) as s:
            curl(*PLAIN, s.url + "/none")
            before, clients = s.rss_kib(), []
            for _ in range(40):
                clients.append(s.client())
                self.hold(clients[-1])
            held = s.rss_kib() - before
            # Nobody holds more than half a megabyte, and some, of headers.
            self.assertLess(held, 40 * 1024)
            for c in clients:
                c.close()
            harness.wait_until(lambda: s.rss_kib() < before + held / 4,
                               f"for most of {held} KiB to be given back", 60)

    def test_shut_window(self):
        """The handlers' answers wait for a second, then they are reset."""
        limits = {"send_timeout_ms": 1000}
        with Server("/", script("h2.lua"), limits=limits) as s:
            with s.client() as c:
                c.send(HELLO + frame(4, 0, 0, struct.pack(">HI", 4, 0)))
                c.send(b"".join(request(1 + 2 * i, "/big") for i in range(50)))
                end, heard = time.monotonic() + harness.PATIENCE, b""
                while time.monotonic() < end and heard.count(
                        b"\0\0\x04\x03\0") < 50:
                    if c.readable(0.1):
                        heard += c.socket.recv(65536)
                self.assertEqual(heard.count(b"\0\0\x04\x03\0"), 50)
                c.send(request(101, "/none"))
                self.assertTrue(c.readable(harness.PATIENCE))


if __name__ == "__main__":
    unittest.main()
