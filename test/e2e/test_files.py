"""Files through the whole server: the same octets whatever carries them, with
constant memory, and nothing of the worker's thread in slow system calls."""

import collections
import hashlib
import os
import re

import harness
from harness import EXAMPLES, Server, Trace, curl, need, wait_until

MIB = 1 << 20
BIG = 48 * MIB
MANY = 64

WAYS = ("uring", "threads") if harness.has_io_uring() else ("threads",)
CARRIERS = (((), "--http1.1"), (["ec"], "--http1.1"), (["ec"], "--http2"))


def example(name):
    return os.path.join(EXAMPLES, name)


def digest(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


class Files(harness.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.directory = harness.directory()
        cls.big = os.path.join(cls.directory, "big")
        block = os.urandom(MIB)
        with open(cls.big, "wb") as f:
            for i in range(BIG // MIB):
                f.write(bytes([i]) + block[1:])
        cls.digest = digest(cls.big)
        os.environ.update(DOWNLOAD=cls.big, UPLOADS=cls.directory)

    def tearDown(self):
        os.environ.pop("LHTTPD_AIO", None)

    def everywhere(self, check, *mappings, **options):
        """check(server, curl's option) by both ways, however carried."""
        for way in WAYS:
            os.environ["LHTTPD_AIO"] = way
            for tls, version in CARRIERS:
                with self.subTest(way=way, tls=tls, version=version), \
                        Server(*mappings, tls=tls, **options) as s:
                    if f"file operations by {way}" not in s.log():
                        self.skipTest(f"no {way} here")
                    check(s, version)

    def test_down_and_up(self):
        need("curl")
        got = os.path.join(self.directory, "got")

        def check(s, version):
            for path in ("/pieces", "/file"):
                curl("-k", version, "-o", got, s.url + path)
                self.assertEqual(digest(got), self.digest)
            curl("-k", version, "-r", f"{MIB + 7}-{MIB + 16}", "-o", got,
                 s.url + "/file")
            with open(got, "rb") as f, open(self.big, "rb") as of:
                of.seek(MIB + 7)
                self.assertEqual(f.read(), of.read(10))
            text = curl("-k", version, "-T", self.big,
                        s.url + "/up/files/stored")
            self.assertEqual(text, f"stored: {BIG} bytes\n")
            self.assertEqual(digest(os.path.join(self.directory, "stored")),
                             self.digest)

        self.everywhere(check, "/", example("download.lua"),
                        "/up", example("upload.lua"))

    def test_a_head_reads_no_file(self):
        """None of these answers would have an end."""
        need("curl")
        script = os.path.join(self.directory, "endless.lua")
        with open(script, "w") as f:
            f.write("ended = 0\n"
                    "httpd.register_handler('/sent', function()\n"
                    "  httpd.sendfile('/dev/zero')\n"
                    "  ended = ended + 1\n"
                    "end)\n"
                    "httpd.register_handler('/pieces', function()\n"
                    "  local f = assert(httpd.open('/dev/zero'))\n"
                    "  while httpd.write(nil, httpd.read(f, 65536)) do end\n"
                    "  ended = ended + 1\n"
                    "end)\n"
                    "httpd.register_handler('/ended', function()\n"
                    "  httpd.write(nil, tostring(ended))\n"
                    "end)\n")

        def check(s, version):
            curl("-k", version, "-I", s.url + "/sent", s.url + "/pieces")
            self.assertEqual(curl("-k", version, s.url + "/ended"), "2")

        self.everywhere(check, "/", script, workers=1)

    def test_many_at_once(self):
        need("curl")
        names = [os.path.join(self.directory, f"many{i}") for i in range(MANY)]
        with open(self.big, "rb") as f:
            f.seek(1000)
            part = f.read(4 * MIB)

        def check(s, version):
            before = s.descriptors()
            args = ["-r", f"1000-{1000 + len(part) - 1}"]
            for name in names:
                args += ["-o", name, s.url + "/file"]
            curl("-k", version, "-Z", "--parallel-max", str(MANY), *args)
            for name in names:
                with open(name, "rb") as got:
                    self.assertTrue(got.read() == part, name)
                os.remove(name)
            wait_until(lambda: s.descriptors() <= before, "for descriptors")

        limits = {"handshake_timeout_ms": harness.PATIENCE * 1000}
        self.everywhere(check, "/", example("download.lua"), limits=limits)

    def test_a_turn_submits_once(self):
        if "uring" not in WAYS:
            self.skipTest("no io_uring here")
        os.environ["LHTTPD_AIO"] = "uring"
        with Server("/", example("upload.lua"), workers=1) as s:
            with Trace(s, "io_uring_enter", "epoll_wait", "epoll_pwait",
                       "read", "write",
                       "wait4", "fsync", "pread64", "pwrite64") as t:
                clients = [s.client() for _ in range(20)]
                for i, c in enumerate(clients):
                    c.send(f"PUT /files/once{i} HTTP/1.1\r\nhost: a\r\n"
                           f"content-length: 100000\r\n\r\n" + "x" * 100000)
                for c in clients:
                    self.assertEqual(c.response().status, 201)
                    c.close()
            entered = 0
            self.assertIn("io_uring_enter", "".join(t.lines))
            for line in t.lines:
                if "epoll_wait(" in line or "epoll_pwait(" in line:
                    entered = 0
                self.assertNotRegex(line, r"wait4|fsync|pread64|pwrite64")
                # What another thread interrupts has a second line.
                entered += "io_uring_enter(" in line
                self.assertLessEqual(entered, 1, line)


class Large(harness.TestCase):
    """Positions past 32 bits, whatever a word of the processor has."""

    SCRIPT = """
        local name, at = 'NAME', AT
        local function on(path, fn) httpd.register_handler(path, fn) end
        on("/whole", function() httpd.sendfile(name, at) end)
        on("/read", function()
            local f = assert(httpd.open(name))
            assert(f:seek("set", at) == at)
            httpd.write(nil, (httpd.read(f, "a")))
        end)
        on("/write", function()
            local f = assert(httpd.open(name, "r+"))
            assert(f:seek("set", at + 4) == at + 4)
            httpd.write(f, "END")
            httpd.close(f)
        end)
        on("/size", function()
            local f = assert(httpd.open(name))
            httpd.write(nil, ("%.0f"):format(f:seek("end")))
        end)
    """

    def test_past_four_gib(self):
        at = 5 << 30
        name = os.path.join(harness.directory(), "large")
        with open(name, "wb") as f:
            f.truncate(at)
            f.seek(at)
            f.write(b"the end")
        self.addCleanup(os.remove, name)
        self.addCleanup(os.environ.pop, "LHTTPD_AIO", None)
        path = os.path.join(harness.directory(), "large.lua")
        with open(path, "w") as f:
            f.write(self.SCRIPT.replace("NAME", name).replace("AT", str(at)))
        for way in WAYS:
            os.environ["LHTTPD_AIO"] = way
            with Server("/", path) as s:
                for url in ("/whole", "/read"):
                    self.assertEqual(self.get(s, url).body, b"the end")
                self.assertEqual(self.get(s, "/size").text, str(at + 7))
                self.get(s, "/write")
                self.assertEqual(self.get(s, "/read").body, b"the END")
            with open(name, "r+b") as f:
                f.seek(at)
                f.write(b"the end")


class Sendfile(harness.TestCase):
    """On a plain connection the octets are not copied."""

    least = 10  # of the calls that do it

    def setUp(self):
        super().setUp()
        self.script = os.path.join(harness.directory(), "sendfile.lua")
        self.data = os.path.join(harness.directory(), "sent")
        with open(self.data, "wb") as f:
            f.write(os.urandom(5 * MIB + 11))
        with open(self.script, "w") as f:
            f.write("httpd.register_handler('/', function()\n"
                    f"  httpd.sendfile('{self.data}', 5)\n"
                    "  httpd.write(nil, 'the end')\n"
                    "end)\n")

    def tearDown(self):
        os.environ.pop("LHTTPD_AIO", None)

    def test_splices(self):
        harness.need_strace()
        got = os.path.join(harness.directory(), "got")
        with open(self.data, "rb") as f:
            expected = f.read()[5:] + b"the end"
        for way in WAYS:
            os.environ["LHTTPD_AIO"] = way
            for version in ("--http1.1", "--http1.0"):
                with self.subTest(way=way, version=version), \
                        Server("/", self.script, workers=1) as s, \
                        Trace(s, "splice") as t:
                    curl(version, "-o", got, s.url + "/")
                    with open(got, "rb") as f:
                        self.assertTrue(f.read() == expected)
                self.assertGreater(len([x for x in t.lines if "splice(" in x]),
                                   self.least)

    def test_clients_that_leave(self):
        """They leave no pipe behind, wherever they were."""
        for way in WAYS:
            os.environ["LHTTPD_AIO"] = way
            with self.subTest(way=way), \
                    Server("/", self.script, workers=2) as s:
                self.get(s)
                before = s.descriptors()
                for i in range(100):
                    c = s.client(receive_buffer=4096)
                    c.request()
                    c.exactly(i * 1000)
                    c.reset() if i % 2 else c.close()
                wait_until(lambda: s.descriptors() <= before,
                           "for the descriptors to be closed")
                self.assertTrue(self.get(s).body.endswith(b"the end"))


class StandardOutput(harness.TestCase):
    """It is everybody's, and so is its position."""

    def test_nothing_is_lost(self):
        path = os.path.join(harness.directory(), "lines.lua")
        with open(path, "w") as f:
            f.write("httpd.register_handler('/', function(env)\n"
                    "  local n = env.QUERY_STRING\n"
                    "  assert(httpd.write(io.stdout, 'line ' .. n .. '\\n'))\n"
                    "  print('printed ' .. n)\n"
                    "  io.write('written ' .. n .. '\\n')\n"
                    "  httpd.write(nil, 'ok')\n"
                    "end)\n")
        for way in WAYS:
            os.environ["LHTTPD_AIO"] = way
            with self.subTest(way=way), \
                    Server("/a", path, "/b", path, workers=2) as s:
                if f"file operations by {way}" not in s.log():
                    self.skipTest(f"no {way} here")
                clients = {vm: s.client() for vm in "ab"}
                for i in range(200):
                    for vm, c in clients.items():
                        c.send(f"GET /{vm}/?{vm}{i} HTTP/1.1\r\n"
                               "host: a\r\n\r\n")
                    for c in clients.values():
                        self.assertEqual(c.response().text, "ok")
                s.signal()
                s.wait()
                # print writes a line in two pieces, between which another
                # worker's may come.
                found = collections.Counter(re.findall(
                    r"(?:line|printed|written) [ab]\d+", s.log()))
                for i in range(200):
                    for vm in clients:
                        for how in ("line", "printed", "written"):
                            self.assertEqual(found[f"{how} {vm}{i}"], 1)
                for c in clients.values():
                    c.close()

    def test_all_at_once(self):
        """Those of one worker have turns; none is refused."""
        path = os.path.join(harness.directory(), "at_once.lua")
        with open(path, "w") as f:
            f.write("httpd.register_handler('/', function(env)\n"
                    "  local n = env.QUERY_STRING\n"
                    "  assert(httpd.write(io.stdout, 'line ' .. n .. '\\n'))\n"
                    "  io.stdout:write('written ' .. n .. '\\n')\n"
                    "  httpd.write(nil, 'ok')\n"
                    "end)\n")
        for way in WAYS:
            os.environ["LHTTPD_AIO"] = way
            with self.subTest(way=way), Server("/", path, workers=2) as s:
                if f"file operations by {way}" not in s.log():
                    self.skipTest(f"no {way} here")
                clients = [s.client() for _ in range(160)]
                for i, c in enumerate(clients):
                    c.send(f"GET /?{i} HTTP/1.1\r\nhost: a\r\n\r\n")
                for c in clients:
                    self.assertEqual(c.response().text, "ok")
                    c.close()
                s.signal()
                s.wait()
                lines = s.log().split("\n")
                for i in range(160):
                    self.assertEqual(lines.count(f"line {i}"), 1)
                    self.assertEqual(lines.count(f"written {i}"), 1)

    def tearDown(self):
        os.environ.pop("LHTTPD_AIO", None)


class Descriptors(harness.TestCase):
    """A script that loses files costs itself something, and nobody else."""

    LOSES = """
        collectgarbage('stop')
        local function lose(name, open)
          httpd.register_handler('/' .. name, function()
            local n, f = 0
            repeat f, n = open(), n + 1 until not f or n == 100
            httpd.write(nil, f and 'never' or 'none is left')
          end)
        end
        lose('io', function() return io.open('/dev/null') end)
        lose('open', function() return httpd.open('/etc/passwd') end)
        lose('used', function()
          local f = io.open('/etc/passwd')
          return f and httpd.read(f, 1)
        end)
        lose('popen', function() return io.popen('true') end)
        httpd.register_handler('/', function()
          local f, why = httpd.open('/etc/passwd')
          httpd.write(nil, f and 'hello' or why)
          if f then f:close() end
        end)
        """

    def test_lost_files_are_found(self):
        path = os.path.join(harness.directory(), "loses.lua")
        with open(path, "w") as f:
            f.write(self.LOSES)
        for name in ("io", "open", "used", "popen"):
            with self.subTest(name), \
                    Server("/", path, workers=1, files=64) as s:
                for _ in range(2):
                    self.assertEqual(self.get(s, "/" + name).text,
                                     "none is left")
                    # Others, who need descriptors too.
                    wait_until(lambda: self.get(s).text == "hello",
                               "for the lost files to be found")


class Neighbours(harness.TestCase):
    """Whoever waits for a file or a process holds nobody up."""

    def test_a_log_viewer_leaves_no_child(self):
        path = os.path.join(harness.directory(), "viewer.lua")
        with open(path, "w") as f:
            f.write("httpd.register_handler('/', function()\n"
                    "  httpd.write(nil, 'the log:\\n')\n"
                    "  local p = assert(io.popen('exec tail -f /dev/null'))\n"
                    "  httpd.write(nil, httpd.read(p, 'L'))\n"
                    "end)\n"
                    "httpd.register_handler('/hello', function()\n"
                    "  httpd.write(nil, 'hello')\n"
                    "end)\n")
        with Server("/", path, workers=1) as s:
            c = s.client()
            c.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            wait_until(lambda: self.children(s), "for the child")
            self.assertEqual(self.get(s, "/hello").text, "hello")
            c.close()
            wait_until(lambda: not self.children(s), "for its end")

    @staticmethod
    def children(server):
        found = ""
        for task in os.listdir(f"/proc/{server.pid}/task"):
            with open(f"/proc/{server.pid}/task/{task}/children") as f:
                found += f.read()
        return found
