"""Files for browsers: conditional requests and ranges in many cases, which a
real nginx answers too, where it is installed; and what changes meanwhile."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import unittest

import harness
from harness import Client, Server, script

SIZE = 10000
OCTETS = bytes(i * 7 % 251 for i in range(SIZE))
MTIME = 1577836800
DATE = "Wed, 01 Jan 2020 00:00:00 GMT"
EARLIER = "Tue, 31 Dec 2019 23:59:59 GMT"
LATER = "Wed, 01 Jan 2020 00:00:01 GMT"
FUTURE = "Fri, 01 Jan 2038 00:00:00 GMT"
ETAG = "{etag}"

# (what is asked, status, what else holds of ours, nginx's status if another).
# "a-b": the content-range; a number: the body's length; "parts N".
INM, IM = "if-none-match: ", "if-match: "
IMS, IUS = "if-modified-since: ", "if-unmodified-since: "
IR, R = "if-range: ", "range: bytes="
FIRST = R + "0-9"
CASES = [
    # conditional requests
    ([], 200, SIZE, None),
    ([INM + ETAG], 304, 0, None),
    ([INM + "W/" + ETAG], 304, 0, None),
    ([INM + '"x"'], 200, SIZE, None),
    ([INM + '"x", ' + ETAG], 304, 0, None),
    ([INM + '"x",' + ETAG + ',"y"'], 304, 0, None),
    ([INM + "*"], 304, 0, None),
    ([INM + '"x"', IMS + DATE], 200, SIZE, None),
    # If-None-Match makes If-Modified-Since void; nginx wants both to say so.
    ([INM + ETAG, IMS + EARLIER], 304, 0, 200),
    ([INM + ETAG, IMS + DATE], 304, 0, None),
    ([IMS + DATE], 304, 0, None),
    ([IMS + EARLIER], 200, SIZE, None),
    # nginx takes the exact date alone, unless told otherwise.
    ([IMS + LATER], 304, 0, 200),
    ([IMS + FUTURE], 304, 0, 200),
    ([IMS + "Wednesday, 01-Jan-20 00:00:00 GMT"], 304, 0, None),
    ([IMS + "Wed Jan  1 00:00:00 2020"], 304, 0, None),
    ([IMS + "nonsense"], 200, SIZE, None),
    ([IMS + ""], 200, SIZE, None),
    ([IM + ETAG], 200, SIZE, None),
    ([IM + '"x"'], 412, None, None),
    # A weak tag never matches strongly; nginx agrees, its own is strong.
    ([IM + "W/" + ETAG], 412, None, None),
    ([IM + "*"], 200, SIZE, None),
    ([IM + '"x", ' + ETAG], 200, SIZE, None),
    ([IM + ETAG, INM + ETAG], 304, 0, None),
    ([IM + '"x"', INM + ETAG], 412, None, None),
    ([IUS + DATE], 200, SIZE, None),
    ([IUS + LATER], 200, SIZE, None),
    ([IUS + EARLIER], 412, None, None),
    # A date that is none is to be ignored (RFC 9110, 13.1.4); nginx fails.
    ([IUS + "nonsense"], 200, SIZE, 412),
    # If-Match makes If-Unmodified-Since void; nginx looks at both.
    ([IM + ETAG, IUS + EARLIER], 200, SIZE, 412),
    ([IM + '"x"', IUS + LATER], 412, None, None),
    ([IUS + EARLIER, IMS + DATE], 412, None, None),
    ([IUS + DATE, IMS + DATE], 304, 0, None),
    # single ranges
    ([R + "0-0"], 206, "0-0", None),
    ([R + "0-9"], 206, "0-9", None),
    ([R + "9990-"], 206, "9990-9999", None),
    ([R + "0-"], 206, "0-9999", None),
    ([R + "-1"], 206, "9999-9999", None),
    ([R + "-10000"], 206, "0-9999", None),
    ([R + "-99999"], 206, "0-9999", None),
    ([R + "9999-99999"], 206, "9999-9999", None),
    ([R + "10000-"], 416, "*", None),
    ([R + "99999-"], 416, "*", None),
    ([R + "-0"], 416, "*", None),
    ([R + "99999999999999999999-"], 416, "*", None),
    ([R + "0-99999999999999999999"], 206, "0-9999", 416),
    # What cannot be read is ignored (RFC 9110, 14.2); nginx says 416.
    ([R + "9-0"], 200, SIZE, 416),
    ([R + "a-b"], 200, SIZE, 416),
    ([R + "-"], 200, SIZE, 416),
    ([R + "5"], 200, SIZE, 416),
    ([R], 200, SIZE, None),
    ([R + "--5"], 200, SIZE, 416),
    (["range: lines=0-5"], 200, SIZE, None),
    (["range: bytes"], 200, SIZE, None),
    (["range: bytes 0-5"], 200, SIZE, None),
    # several
    ([R + "0-0,9999-9999"], 206, "parts 2", None),
    ([R + "0-1, 3-4 ,-1"], 206, "parts 3", None),
    ([R + "5000-5009,0-9"], 206, "parts 2", None),
    ([R + "0-9,99999-"], 206, "0-9", None),
    ([R + "99999-,99998-"], 416, "*", None),
    ([R + "0-9,x"], 200, SIZE, 416),
    # Overlapping ones get the whole; nginx sends them while they are shorter.
    ([R + "0-9,5-14"], 200, SIZE, 206),
    ([R + "0-,0-"], 200, SIZE, None),
    ([R + "0-,-1"], 200, SIZE, None),
    ([R + ",".join(f"{i}-{i}" for i in range(0, 32, 2))], 206, "parts 16",
     None),
    # More than 16 get the whole; nginx has no limit unless told one.
    ([R + ",".join(f"{i}-{i}" for i in range(0, 34, 2))], 200, SIZE, 206),
    # If-Range
    ([FIRST, IR + ETAG], 206, "0-9", None),
    ([FIRST, IR + '"x"'], 200, SIZE, None),
    ([FIRST, IR + "W/" + ETAG], 200, SIZE, None),
    ([FIRST, IR + DATE], 206, "0-9", None),
    ([FIRST, IR + EARLIER], 200, SIZE, None),
    ([FIRST, IR + LATER], 200, SIZE, None),
    ([FIRST, IR + "nonsense"], 200, SIZE, None),
    ([IR + ETAG], 200, SIZE, None),
    # both
    ([FIRST, INM + ETAG], 304, 0, None),
    ([FIRST, INM + '"x"'], 206, "0-9", None),
    ([FIRST, IM + ETAG], 206, "0-9", None),
    ([FIRST, IM + '"x"'], 412, None, None),
    ([FIRST, IMS + DATE], 304, 0, None),
    ([R + "99999-", INM + ETAG], 304, 0, None),
    ([R + "99999-", IR + '"x"'], 200, SIZE, None),
]


@contextlib.contextmanager
def directory():
    path = tempfile.mkdtemp(dir=harness.directory())
    os.chmod(path, 0o755)
    with open(os.path.join(path, "file.bin"), "wb") as f:
        f.write(OCTETS)
    os.utime(f.name, (MTIME, MTIME))
    os.environ["LHTTPD_E2E_WWW"] = path
    yield path
    shutil.rmtree(path)


@contextlib.contextmanager
def nginx(path):
    harness.need("nginx")
    own = tempfile.mkdtemp(dir=harness.directory())
    with harness.free_port() as port:
        config = os.path.join(own, "nginx.conf")
        with open(config, "w") as f:
            f.write(f"""daemon off; master_process off; pid {own}/pid;
error_log {own}/log; events {{ }}
http {{ access_log off; client_body_temp_path {own}/a;
proxy_temp_path {own}/b; fastcgi_temp_path {own}/c; uwsgi_temp_path {own}/d;
scgi_temp_path {own}/e; server {{ listen 127.0.0.1:{port}; root {path}; }} }}
""")
        process = subprocess.Popen(
            ["nginx", "-c", config], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        def answers():
            try:
                Client(port).close()
                return True
            except OSError:
                return False
        try:
            harness.wait_until(answers, "for nginx")
            yield port
        finally:
            process.terminate()
            process.wait(harness.PATIENCE)


def parts(response):
    """(content-range, octets) of each part of multipart/byteranges."""
    kind = response.get("content-type")
    boundary = re.fullmatch(r"multipart/byteranges; boundary=(\S+)", kind)[1]
    pieces = response.body.split(b"\r\n--" + boundary.encode())
    assert pieces[0] == b"" and pieces[-1].rstrip() == b"--", response.body
    found = []
    for piece in pieces[1:-1]:
        head, octets = piece.split(b"\r\n\r\n", 1)
        fields = dict(line.lower().split(": ", 1)
                      for line in head.decode().split("\r\n") if line)
        found.append((fields["content-range"], octets))
    return found


class Answers(unittest.TestCase):
    def check_range(self, text, octets):
        span = re.fullmatch(rf"bytes (\d+)-(\d+)/{SIZE}", text)
        first, last = int(span[1]), int(span[2])
        self.assertEqual(octets, OCTETS[first:last + 1])

    def check_parts(self, response):
        if response.get("content-type").startswith("multipart/"):
            for text, octets in parts(response):
                self.check_range(text, octets)
        else:
            self.check_range(response.get("content-range"), response.body)

    def check_what(self, response, what):
        if isinstance(what, int):
            self.assertEqual(response.body, OCTETS[:what])
        elif what and what.startswith("parts "):
            self.assertEqual(len(parts(response)), int(what[6:]))
        elif what:
            self.assertEqual(response.get("content-range"),
                             f"bytes {what}/{SIZE}")

    def check_all(self, port, ours):
        with Client(port) as c:
            etag = c.ask("GET", "/file.bin").get("etag")
        for asked, status, what, theirs in CASES:
            fields = [line.replace(ETAG, etag) for line in asked]
            with self.subTest(fields), Client(port) as c:
                response = c.ask("GET", "/file.bin", fields)
                self.assertEqual(response.status,
                                 status if ours or not theirs else theirs)
                if response.status == 206:
                    self.check_parts(response)
                if ours:
                    self.check_what(response, what)

    def test_ours(self):
        self.assertGreaterEqual(len(CASES), 60)
        with directory(), Server("/", script("static.lua")) as s:
            self.check_all(s.port, True)

    def test_nginx(self):
        with directory() as path, nginx(path) as port:
            self.check_all(port, False)


class Paths(unittest.TestCase):
    # What every client library would tidy, sent as it is.
    ATTEMPTS = [
        "/../secret", "/..%2fsecret", "/%2e%2e/secret", "/%2e%2e%2fsecret",
        "/%252e%252e/secret", "/%252e%252e%252fsecret", "/sub/../../secret",
        "/sub/%2e%2e/%2e%2e/secret", "/..\\secret", "/..%5csecret",
        "/sub\\..\\..\\secret", "/....//secret", "/.../secret",
        "/%c0%ae%c0%ae/secret", "/%c0%af../secret", "/%uff0e%uff0e/secret",
        "/secret%00.html", "/%00", "//secret", "///../secret", "/./../secret",
        "/out", "/out/", "/up/secret", "/up", "/sub/out", "/.hidden",
        "/%2ehidden", "/sub/.hidden", "/sub/./.hidden", "/etc/passwd",
        "/file:///etc/passwd", "/~root", "/" + "../" * 40 + "secret",
        "/" + "a/" * 2000, "/" + "a" * 5000,
    ]

    def test_nothing_outside(self):
        with directory() as path:
            secret = os.path.join(os.path.dirname(path), "secret")
            os.mkdir(os.path.join(path, "sub"))
            for name in (secret, os.path.join(path, ".hidden"),
                         os.path.join(path, "sub", ".hidden")):
                with open(name, "w") as f:
                    f.write("SECRET")
            os.symlink(secret, os.path.join(path, "out"))
            os.symlink("..", os.path.join(path, "up"))
            os.symlink("../../secret", os.path.join(path, "sub", "out"))
            with Server("/", script("static.lua")) as s:
                for attempt in self.ATTEMPTS:
                    with self.subTest(attempt), Client(s.port) as c:
                        response = c.ask("GET", attempt)
                        self.assertIn(response.status, (400, 403, 404, 414))
                        self.assertNotIn(b"SECRET", response.body)
                        self.assertNotIn(b"root:", response.body)
            os.unlink(secret)

    def test_while_links_are_exchanged(self):
        """A directory that is a link outwards every other moment."""
        over = threading.Event()

        def exchange(path):
            while not over.is_set():
                os.symlink("..", os.path.join(path, "new"))
                os.rename(os.path.join(path, "turn"),
                          os.path.join(path, "kept"))
                os.rename(os.path.join(path, "new"), os.path.join(path, "turn"))
                os.unlink(os.path.join(path, "turn"))
                os.rename(os.path.join(path, "kept"),
                          os.path.join(path, "turn"))
                # So that it is looked for anew.
                os.utime(os.path.join(path, "turn", "name"))

        with directory() as path:
            outer = os.path.dirname(path)
            with open(os.path.join(outer, "name"), "w") as f:
                f.write("SECRET")
            os.mkdir(os.path.join(path, "turn"))
            with open(os.path.join(path, "turn", "name"), "w") as f:
                f.write("inside")
            thread = threading.Thread(target=exchange, args=(path,))
            with Server("/", script("static.lua")) as s, Client(s.port) as c:
                thread.start()
                try:
                    for _ in range(300):
                        response = c.ask("GET", "/turn/name")
                        self.assertIn(response.status, (200, 403, 404))
                        self.assertNotIn(b"SECRET", response.body)
                finally:
                    over.set()
                    thread.join()
            os.unlink(os.path.join(outer, "name"))


class Bodies(unittest.TestCase):
    LONG = 5 << 20

    def long_file(self, path):
        name = os.path.join(path, "long")
        with open(name, "wb") as f:
            f.write(OCTETS * (self.LONG // SIZE + 1))
            f.truncate(self.LONG)
        return name

    def test_whole(self):
        """By the kernel on plain TCP, by copies in TLS and on HTTP/2."""
        with directory() as path:
            name = self.long_file(path)
            with open(name, "rb") as f:
                octets = f.read()
            with Server("/", script("static.lua")) as s, Client(s.port) as c:
                self.assertEqual(c.ask("GET", "/long").body, octets)
                part = c.ask("GET", "/long", ["range: bytes=1000-3000000"])
                self.assertEqual(part.body, octets[1000:3000001])
            with Server("/", script("static.lua"), tls=("ec256",)) as s:
                with Client(s.port, tls=True) as c:
                    self.assertEqual(c.ask("GET", "/long").body, octets)
                for version in ("--http1.1", "--http2"):
                    out = tempfile.mktemp(dir=harness.directory())
                    harness.curl("-k", version, "-o", out,
                                 f"https://127.0.0.1:{s.port}/long")
                    with open(out, "rb") as f:
                        self.assertEqual(f.read(), octets)
                    os.unlink(out)

    def test_shorter(self):
        """Its length was said: the connection is cut."""
        with directory() as path, Server("/", script("static.lua")) as s:
            name = self.long_file(path)
            with Client(s.port, receive_buffer=4096) as c:
                c.request("GET", "/long")
                self.assertEqual(c.head().get("content-length"),
                                 str(self.LONG))
                os.truncate(name, 100)
                self.assertLess(len(c.closed()), self.LONG)
            s.wait_for_log("became shorter while it was sent")

    def test_longer(self):
        with directory() as path, Server("/", script("static.lua")) as s:
            name = self.long_file(path)
            with Client(s.port, receive_buffer=4096) as c:
                c.request("GET", "/long")
                response = c.head()
                with open(name, "ab") as f:
                    f.write(b"more")
                body = c.exactly(self.LONG)
                self.assertEqual(len(body), int(response.get("content-length")))
                self.assertEqual(c.ask("GET", "/file.bin").body, OCTETS)

    def test_what_is_no_file(self):
        """Nobody waits for the other end of a FIFO."""
        with directory() as path, Server("/", script("static.lua"),
                                         workers=1) as s:
            os.mkfifo(os.path.join(path, "fifo"))
            with Client(s.port) as c:
                self.assertEqual(c.ask("GET", "/fifo").status, 403)
                self.assertEqual(c.ask("GET", "/file.bin").status, 200)


class Mapped(unittest.TestCase):
    """The same without a script: -s."""

    def test_beside_a_script(self):
        with directory() as path, Server(
                "/", script("static.lua"), options=("-s", "/files", path),
                limits={"cache_control": "max-age=60"}) as s:
            with Client(s.port) as c:
                response = c.ask("GET", "/files/file.bin")
                self.assertEqual(response.body, OCTETS)
                self.assertEqual(response.get("cache-control"), "max-age=60")
                response = c.ask("GET", "/file.bin")
                self.assertEqual(response.body, OCTETS)
                self.assertIsNone(response.get("cache-control"))
                # What the directory lacks is the script's to answer, but not
                # what httpd.serve_file does not find.
                response = c.ask("GET", "/files/not/here")
                self.assertEqual((response.status, response.body),
                                 (200, OCTETS))
                self.assertEqual(c.ask("GET", "/not/here").status, 404)
                response = c.ask("GET", "/files?a=b")
                self.assertEqual(response.get("location"), "/files/?a=b")
                self.assertEqual(c.ask("POST", "/files/file.bin").get("allow"),
                                 "GET, HEAD")

    def test_listing(self):
        """Only where it was asked for."""
        with directory() as path:
            os.mkdir(os.path.join(path, "sub"))
            for name in (b"\xff<i>", "\u00e4 b".encode(), b".hidden"):
                with open(os.path.join(path.encode(), b"sub", name), "wb"):
                    pass
            with Server(options=("-s", "/", path)) as s, Client(s.port) as c:
                self.assertEqual(c.ask("GET", "/sub/").status, 404)
            with Server(options=("-s", "/", path),
                        limits={"directory_listing": "on"}) as s, \
                    Client(s.port) as c:
                self.assertEqual(c.ask("GET", "/sub").get("location"), "/sub/")
                response = c.ask("GET", "/sub/")
                self.assertEqual(response.status, 200)
                links = re.findall(rb'href="([^"]*)"', response.body)
                self.assertEqual(links, [b"../", b"%C3%A4%20b", b"%FF%3Ci%3E"])
                for link in links:
                    self.assertEqual(c.ask("GET", "/sub/" + link.decode())
                                     .status, 200)
                length = response.get("content-length")
                response = c.ask("HEAD", "/sub/")
                self.assertEqual(response.get("content-length"), length)

    def test_conditions_and_ranges(self):
        with directory() as path, Server(options=("-s", "/", path)) as s:
            Answers.check_all(self, s.port, True)

    check_what, check_parts = Answers.check_what, Answers.check_parts
    check_range = Answers.check_range

    def test_the_last_of_times(self):
        """Beyond what can be added to; tmpfs knows such times."""
        last = (1 << 63) - 1
        if not os.path.isdir("/dev/shm"):
            self.skipTest("no /dev/shm here")
        with tempfile.TemporaryDirectory(dir="/dev/shm") as path:
            file = os.path.join(path, "a.txt")
            with open(file, "w") as f:
                f.write("late")
            subprocess.run(["touch", "-d", f"@{last}", file], check=True)
            if os.stat(file).st_mtime_ns // 10**9 != last:
                self.skipTest("no such times here")
            with Server(options=("-s", "/", path)) as s, Client(s.port) as c:
                answer = c.ask(path="/a.txt")
                self.assertEqual((answer.status, answer.text), (200, "late"))
                self.assertTrue(answer.get("etag").startswith('W/"'))

    def test_in_a_jail(self):
        """With -r and -u: what that user may not read is 403."""
        harness.need_root()
        with directory() as path:
            os.mkdir(os.path.join(path, "www"))
            os.rename(os.path.join(path, "file.bin"),
                      os.path.join(path, "www", "file.bin"))
            secret = os.path.join(path, "www", "secret")
            with open(secret, "w") as f:
                f.write("SECRET")
            os.chmod(secret, 0)
            with Server(options=("-r", path, "-u", "nobody", "-s", "/",
                                 "/www"), asan="detect_leaks=0") as s, \
                    Client(s.port) as c:
                self.assertEqual(c.ask("GET", "/file.bin").body, OCTETS)
                self.assertEqual(c.ask("GET", "/secret").status, 403)

    def test_reload(self):
        """A directory that is exchanged by a rename, without a reload too."""
        with directory() as path, Server(options=("-s", "/", path)) as s:
            with Client(s.port) as c:
                self.assertEqual(c.ask("GET", "/file.bin").status, 200)
                os.rename(path, path + ".away")
                harness.wait_until(
                    lambda: c.ask("GET", "/file.bin").status == 404,
                    "that a directory is missed")
                s.signal(signal.SIGHUP)
                s.wait_for_log("nothing has changed")
                os.rename(path + ".away", path)
                self.assertEqual(c.ask("GET", "/file.bin").status, 200)
                s.signal(signal.SIGHUP)
                s.wait_for_log("reloaded")
                self.assertEqual(c.ask("GET", "/file.bin").status, 200)

    def test_is_not_there(self):
        done = harness.run(harness.BINARY, "-t", "-s", "/", "/nonexistent")
        self.assertEqual(done.returncode, 1)
        self.assertIn("directory '/nonexistent': No such file",
                      done.stderr)


class Meanwhile(unittest.TestCase):
    """What happens to files and directories while they are asked for and sent:
    an answer is of one file, whole or visibly cut, and of none outside."""

    SIZE = 700000  # over a pipe's room, and no multiple of anything

    def write(self, path, letter):
        with open(path, "wb") as f:
            f.write(letter * self.SIZE)

    def exchange(self, path, turn):
        """One file after the other takes the name; or none; or it is cut."""
        www = os.path.join(path, "www")
        name = os.path.join(www, "sub", "file")
        letter = b"abcdefgh"[turn % 8:][:1]
        steps = turn % 5
        self.write(name + ".new", letter)
        if steps == 0:
            os.unlink(name)
        elif steps == 1:
            os.truncate(name, self.SIZE // 3)
        elif steps == 2:
            os.rename(os.path.join(www, "sub"), os.path.join(path, "away"))
            os.symlink("../outside", os.path.join(www, "sub"))
            os.unlink(os.path.join(www, "sub"))
            os.rename(os.path.join(path, "away"), os.path.join(www, "sub"))
        elif steps == 3:
            os.rename(www, www + ".away")
            os.symlink("outside", www)
            os.unlink(www)
            os.rename(www + ".away", www)
        os.rename(name + ".new", name)

    def check(self, answer, body, whole):
        self.assertIn(answer.status, (200, 206, 403, 404, 416))
        self.assertNotIn(b"SECRET", body[:10000])
        if answer.status == 200 and whole:
            self.assertEqual(len(body), int(answer.get("content-length")))
        if answer.status == 200:  # the page that a file was cut in has zeroes
            self.assertLessEqual(len(set(body) - {0}), 1, "of two files")

    def ask(self, s, fields=()):
        """The kernel's buffers are small, so that something happens between."""
        with s.client(receive_buffer=8192) as c:
            c.request("GET", "/sub/file", fields)
            try:
                answer = c.head()
                body = c.exactly(int(answer.get("content-length")))
                self.check(answer, body, True)
            except (AssertionError, ConnectionError) as error:
                # The header may not have left before the cut.
                if not isinstance(error, ConnectionError) and not re.search(
                        "bytes missing|the server closed after", str(error)):
                    raise
                s.wait_for_log("became shorter while it was sent")

    def run_all(self, s, path):
        over = threading.Event()
        failed = []

        def exchange():
            turn = 0
            try:
                while not over.is_set():
                    self.exchange(path, turn)
                    turn += 1
            except OSError as error:
                failed.append(error)
        thread = threading.Thread(target=exchange)
        thread.start()
        try:
            for i in range(60):
                if i % 10 == 3:
                    s.signal(signal.SIGHUP)
                self.ask(s, ["range: bytes=" + ",".join(
                    f"{n}-{n + 90000}" for n in range(0, 600000, 100000))]
                    if i % 7 == 5 else ())
                if s.tls and i % 6 == 0:  # may be cut, and is then an error
                    harness.run("curl", "-ksS", "-m", "60", "--http2", "-o",
                                "/dev/null", f"{s.url}/sub/file")
        finally:
            over.set()
            thread.join()
        self.assertEqual(failed, [])

    def serve(self, **more):
        with directory() as path:
            os.makedirs(os.path.join(path, "www", "sub"))
            os.mkdir(os.path.join(path, "outside"))
            for name in ("outside/file", "file"):
                with open(os.path.join(path, name), "wb") as f:
                    f.write(b"SECRET" * 1000)
            self.write(os.path.join(path, "www", "sub", "file"), b"a")
            with Server(options=("-s", "/", os.path.join(path, "www")),
                        **more) as s:
                self.run_all(s, path)

    def test_plain(self):
        self.serve()

    def test_plain_by_threads(self):
        self.serve(limits={"aio": "threads"})

    def test_tls(self):
        self.serve(tls=("ec",))


class Many(unittest.TestCase):
    def test_ranges_by_the_thousand(self):
        """None costs more than the whole, and all of the field is read."""
        with directory() as path, Server(options=("-s", "/", path)) as s, \
                Client(s.port) as c:
            for spans in (",".join(f"{i}-{i}" for i in range(0, 3000, 2)),
                          ",".join("0-" for _ in range(1500)),
                          "," * 4000, "0-0" + "," * 4000,
                          "-" + "9" * 4000, " " * 4000 + "0-0"):
                answer = c.ask("GET", "/file.bin", ["range: bytes=" + spans])
                self.assertIn(answer.status, (200, 206, 416))
                self.assertLessEqual(len(answer.body), SIZE)

    def test_who_does_not_read(self):
        """They hold up nobody else, and a stop cuts them."""
        for more in ({}, {"tls": ("ec",)}, {"limits": {"aio": "threads"}}):
            with self.subTest(**more):
                self.check_who_does_not_read(more)

    def check_who_does_not_read(self, more):
        with directory() as path:
            Bodies.long_file(Bodies, path)
            with Server(options=("-s", "/", path), workers=1, **more) as s:
                idle = [s.client(receive_buffer=4096) for _ in range(50)]
                for c in idle:
                    c.request("GET", "/long")
                    c.head()
                with s.client() as c:
                    for _ in range(20):
                        self.assertEqual(c.ask("GET", "/file.bin").body,
                                         OCTETS)
                idle.pop().reset()
                s.signal()
                s.wait_for_log("stopping")
                s.signal()  # at once
                self.assertEqual(s.wait(), 0)
                for c in idle:
                    c.close()

    def test_few_descriptors(self):
        """What is kept for the next request is the first to go."""
        with directory() as path:
            for i in range(40):
                with open(os.path.join(path, f"f{i}"), "w") as f:
                    f.write(str(i))
            with Server(options=("-s", "/", path), workers=1, files=56) as s:
                clients = []
                for i in range(120):
                    if i % 8 == 0 and len(clients) < 15:
                        clients.append(Client(s.port))
                    c = clients[i % len(clients)]
                    self.assertEqual(c.ask("GET", f"/f{i % 40}").text,
                                     str(i % 40))
                for c in clients:
                    c.close()
                self.assertNotIn(harness.NO_DESCRIPTOR, s.log())
