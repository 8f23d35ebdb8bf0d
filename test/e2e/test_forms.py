"""Forms with files as curl sends them, and as a hostile client does."""

import filecmp
import os
import tempfile

import harness
from harness import Server, curl, script

MIB = 1 << 20
FORM = "content-type: multipart/form-data; boundary=b"
HEAD = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n'


class Forms(harness.TestCase):
    def setUp(self):
        harness.need("curl")
        harness.need_built_in("files")
        made = tempfile.TemporaryDirectory(dir=harness.directory())
        self.addCleanup(made.cleanup)
        self.where = made.name
        os.chmod(self.where, 0o777)  # for a server of another user
        os.environ["FORM_DIRECTORY"] = self.where
        self.addCleanup(os.environ.pop, "FORM_DIRECTORY")

    def make(self, name, size):
        """A file in which much looks like the start of a boundary."""
        path = os.path.join(self.where, name)
        block = os.urandom(1 << 16) + b"\r\n--\r\n" * 1000 + b"\r\n-" * 99
        with open(path, "wb") as f:
            while f.tell() < size:
                f.write(block[:size - f.tell()])
        return path

    def upload(self, server, paths, *more):
        form = []
        for i, path in enumerate(paths):
            form += ["-F", f'file{i}=@{path};filename="a\\"b{i}";type=x/y']
        return curl("-k", "-F", "text=some words", *form, *more,
                    server.url + "/")

    def check(self, answer, paths):
        lines = answer.splitlines()
        self.assertEqual(lines[0], "text|-|-|10")
        for i, path in enumerate(paths):
            size = os.path.getsize(path)
            self.assertEqual(lines[i + 1], f'file{i}|a"b{i}|x/y|{size}')
            self.assertTrue(filecmp.cmp(path, f"{self.where}/{i + 2}", False))
        self.assertEqual(len(lines), len(paths) + 1)

    def test_curl_by_every_way(self):
        paths = [self.make("x", 3 * MIB + 1), self.make("y", 0),
                 self.make("z", 70000)]
        with Server("/", script("form.lua")) as s:
            for more in (["--http1.1"],
                         ["--http1.1", "-H", "Transfer-Encoding: chunked"],
                         ["--http2-prior-knowledge"],
                         ["--http2"]):
                with self.subTest(more):
                    self.check(self.upload(s, paths, *more), paths)
        if "tls" in harness.built_in():
            with Server("/", script("form.lua"), tls=["ec"]) as s:
                for more in (["--http1.1"], ["--http2"]):
                    with self.subTest(more, tls=True):
                        self.check(self.upload(s, paths, *more), paths)

    def test_three_files_take_no_memory(self):
        """Much less than they are long."""
        paths = [self.make(name, 8 * MIB) for name in "xyz"]
        with Server("/", script("form.lua")) as s:
            for more in (["--http1.1"], ["--http2-prior-knowledge"]):
                self.check(self.upload(s, paths[:1], *more), paths[:1])
                s.reset_peak()
                before = s.rss_kib()
                self.check(self.upload(s, paths, *more), paths)
                self.assertLess(s.peak_kib() - before, 8 * 1024)

    def post(self, server, body, path="/names", fields=(FORM,)):
        with server.client() as c:
            r = c.ask("POST", path, fields, body)
            # The connection is as good as before, or closed.
            if "close" not in (r.get("connection") or ""):
                self.assertEqual(c.ask("POST", "/names", [FORM],
                                       b"--b--").status, 200)
            return r

    def test_names_of_parts_that_nobody_reads(self):
        body = HEAD + b"x" * 300000 + b"\r\n" + HEAD + b"\r\n--b--\r\n"
        with Server("/", script("form.lua")) as s:
            self.assertEqual(self.post(s, body).text, "a\na\n")

    def test_faults(self):
        cases = [
            (b"", (FORM,), 400),
            (HEAD + b"cut", (FORM,), 400),
            (HEAD + b"cut\r\n--b", (FORM,), 400),
            (b"x" * 100000, (FORM,), 400),
            (b"--b\r\n" + b"x" * 100000, (FORM,), 413),
            (b"--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n",
             (FORM,), 400),
            (b"--b--", (), 415),
            (b"--b--", ("content-type: text/plain",), 415),
            (b"--b--", ("content-type: multipart/form-data",), 400),
            (b"--b--", ("content-type: multipart/form-data; boundary=" +
                        "b" * 71,), 400),
        ]
        with Server("/", script("form.lua")) as s:
            for body, fields, status in cases:
                with self.subTest(body=body[:40], fields=fields):
                    r = self.post(s, body, fields=fields)
                    self.assertEqual(r.status, status)
            # No error of the script's.
            self.assertNotIn("error:", s.log())
            s.wait_for_log("the content-type has no boundary")

    def test_limits(self):
        with Server("/", script("form.lua")) as s:
            fine = HEAD + b"x" * 1000 + b"\r\n--b--"
            long = HEAD + b"x" * 1001 + b"\r\n--b--"
            many = (HEAD + b"\r\n") * 3 + b"--b--"
            self.assertEqual(self.post(s, fine, "/small").text, "fine")
            self.assertEqual(self.post(s, long, "/small").status, 413)
            self.assertEqual(self.post(s, many, "/small").status, 413)
        with Server("/", script("form.lua"), limits={"body_bytes": 500}) as s:
            with s.client() as c:
                c.request("POST", "/small",
                          [FORM, "transfer-encoding: chunked"])
                c.send(b"400\r\n" + HEAD + b"x" * (1024 - len(HEAD)) +
                       b"\r\n0\r\n\r\n")
                self.assertEqual(c.response("POST").status, 413)

    def test_a_client_that_goes(self):
        with Server("/", script("form.lua")) as s:
            for end in ("close", "reset"):
                c = s.client()
                c.send(b"POST / HTTP/1.1\r\nhost: a\r\n" + FORM.encode() +
                       b"\r\ncontent-length: 1000000\r\n\r\n" + HEAD +
                       b"x" * 100000)
                getattr(c, end)()
            self.assertEqual(self.post(s, b"--b--").status, 200)

    def begin(self, client, path):
        """A form of which the middle of a part is the last that comes."""
        client.send(f"POST {path} HTTP/1.1\r\nhost: a\r\n{FORM}\r\n"
                    "content-length: 1000000\r\n\r\n".encode() + HEAD + b"x")

    def test_half_a_part_is_no_error_of_the_script(self):
        with Server("/", script("form.lua"),
                    limits={"body_timeout_ms": 1000}) as s:
            with s.client() as c:
                self.begin(c, "/whole")
                self.assertEqual(c.response("POST").status, 408)
            s.wait_for_log("info: .*timeout; .*POST /whole")
            with s.client() as c:
                self.begin(c, "/whole")
            s.wait_for_log("info: .*closed; .*POST /whole")
            # A handler that returns without an answer has raised nothing.
            with s.client() as c:
                self.begin(c, "/")
                self.assertEqual(c.response("POST").status, 408)
            s.wait_for_log("info: .*could not read.*POST / ")
            self.assertNotIn("error:", s.log())
