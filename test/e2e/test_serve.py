"""Requests and answers over HTTP/1, in plain text and over TLS."""

import os
import re
import socket
import time
import unittest

import harness
from harness import Server, Trace, curl, run, script

VARIES = ("SERVER_PROTOCOL=", "CLIENT_PORT=", "DATE_UTC=")


class MinimalHandler(harness.TestCase):
    """What env and header hold is the same whatever carries the request."""

    def answers(self, tls=()):
        """{(method, version): lines}; the connection is used twice."""
        found = {}
        with Server("/", script("environment.lua"), tls=tls) as s:
            for version in ("HTTP/1.0", "HTTP/1.1"):
                for method in ("GET", "HEAD", "POST"):
                    lines = self.two_answers(s, method, version)
                    found[method, version] = [
                        line.replace(str(s.port), "PORT") for line in lines
                        if not line.startswith(VARIES)]
        return found

    def two_answers(self, server, method, version):
        body = b"some text" if method == "POST" else None
        with server.client() as c:
            bodies = []
            for _ in range(2):
                r = c.ask(method, "/?a=b", ["connection: keep-alive",
                                            "x-more: 1", "x-more: 2"],
                          body, version)
                self.assertEqual(r.status, 200)
                self.assertEqual(r.get("content-type"), "text/plain")
                self.assertGreater(int(r.get("content-length")), 100)
                bodies.append(r.text)
            protocol = [line for line in bodies[0].splitlines()
                        if line.startswith("SERVER_PROTOCOL=")]
            if method != "HEAD":
                self.assertEqual(protocol, ["SERVER_PROTOCOL=" + version])
            strip = [sorted(line for line in b.splitlines()
                            if not line.startswith("DATE_UTC="))
                     for b in bodies]
            self.assertEqual(strip[0], strip[1])
            return sorted(bodies[0].splitlines())

    def test_same_answers(self):
        plain = self.answers()
        for method in ("GET", "HEAD", "POST"):
            self.assertEqual(plain[method, "HTTP/1.0"],
                             plain[method, "HTTP/1.1"])
        self.assertEqual(plain["HEAD", "HTTP/1.1"], [])
        self.assertIn("QUERY_INFO=a=b", plain["GET", "HTTP/1.1"])
        self.assertIn("x-more=1, 2", plain["GET", "HTTP/1.1"])
        self.assertIn(":method=POST", plain["POST", "HTTP/1.1"])
        for kind in ("rsa", "ec"):
            with self.subTest(kind=kind):
                secure = self.answers(tls=(kind,))
                for key, lines in plain.items():
                    self.assertEqual(
                        [line.replace(":scheme=http", ":scheme=https")
                         for line in lines], secure[key])

    def test_keys_are_the_published_ones(self):
        with Server("/", script("environment.lua")) as s:
            lines = self.get(s).text.splitlines()
        keys = sorted(line.split("=")[0] for line in lines)
        self.assertEqual(keys, sorted((
            "SERVER_SOFTWARE", "SERVER_PROTOCOL", "SERVER_ADDR",
            "SERVER_PORT", "CLIENT_ADDR", "CLIENT_PORT", "SCRIPT_FILENAME",
            "SCRIPT_PREFIX", "HANDLER_NAME", "DATE_UTC", ":method", ":path",
            ":scheme", ":authority")))


class Curl(harness.TestCase):
    """A client that others wrote."""

    def test_second_request_reuses_the_connection(self):
        for tls in ((), ("rsa",), ("ec",)):
            with self.subTest(tls=tls), \
                    Server("/", script("environment.lua"), tls=tls) as s:
                trust = (["--cacert", harness.certificate(tls[0])[0]]
                         if tls else [])
                for options in (["-0", "-H", "connection: keep-alive"],
                                ["--http1.1"], ["--http1.1", "-I"],
                                ["--http1.1", "-d", "a=b"]):
                    out = curl(*trust, *options, "-w",
                               "\nCONNECTS=%{num_connects}\n",
                               s.url + "/", s.url + "/")
                    self.assertEqual(re.findall(r"CONNECTS=(\d)", out),
                                     ["1", "0"], options)

    def test_upload_waits_for_100_continue(self):
        path = os.path.join(harness.directory(), "upload")
        with open(path, "wb") as f:
            f.write(b"x" * 100000)
        with Server("/", script("tools.lua")) as s:
            done = harness.run("curl", "-sv", "-T", path, "-H",
                               "expect: 100-continue",
                               "--expect100-timeout", "15",
                               s.url + "/upload")
            self.assertIn("HTTP/1.1 100 ", done.stderr)
            self.assertEqual(done.stdout, "end 100000\n")

    def test_expectation_of_a_handler_that_does_not_read(self):
        path = os.path.join(harness.directory(), "upload2")
        with open(path, "wb") as f:
            f.write(b"x" * 100000)
        with Server("/", script("tools.lua")) as s:
            done = harness.run("curl", "-sv", "-T", path, "-H",
                               "expect: 100-continue",
                               "--expect100-timeout", "15", s.url + "/deaf")
            self.assertNotIn("HTTP/1.1 100 ", done.stderr)
            self.assertEqual(done.stdout, "no interest\n")

    def test_certificate_is_chosen_by_name(self):
        one, two = (harness.certificate("ec", n)
                    for n in ("one.test", "two.test"))
        with Server("/", script("tools.lua"), tls=("rsa",), options=[
                "-c", one[0], "-k", one[1], "-c", two[0], "-k", two[1]]) as s:
            for name, pem in (("one.test", one[0]), ("two.test", two[0]),
                              ("localhost",
                               harness.certificate("rsa")[0])):
                out = curl("--cacert", pem, "--resolve",
                           f"{name}:{s.port}:127.0.0.1",
                           f"https://{name}:{s.port}/")
                self.assertEqual(out, "hello\n")

    def test_unix_socket(self):
        path = os.path.join(harness.directory(), "socket")
        with Server("/", script("environment.lua"),
                    address="unix:" + path) as s:
            out = curl("--unix-socket", path, "http://device/")
            self.assertIn("CLIENT_ADDR=unix\n", out)
            self.assertNotIn("plain HTTP", s.log())
            self.assertIn("CLIENT_PORT=0\n", out)
            self.assertIn(":authority=device\n", out)
        # A socket that nobody serves any more is replaced.
        with Server("/", script("tools.lua"), address="unix:" + path) as s:
            self.assertEqual(
                curl("--unix-socket", path, "http://device/"), "hello\n")
            again = harness.lhttpd("-f", "-a", "unix:" + path, "-l", "/",
                                   script("tools.lua"))
            self.assertEqual(again.returncode, 1)
            self.assertIn(path, again.stderr)

    def test_clients_that_do_not_wait(self):
        """A whole request is served, though its client has closed behind
        it; on a unix socket that is reported before the request is read."""
        path = os.path.join(harness.directory(), "left")
        for address in "127.0.0.1", "unix:" + path:
            with self.subTest(address), Server(
                    "/", script("tools.lua"), address=address) as s:
                for n in (0, 1, 200000) * 5:
                    with s.client(path=path if s.port < 0 else None) as c:
                        c.request("POST", "/upload", body=b"x" * n)
                for n in (0, 1, 200000):
                    with s.client(path=path if s.port < 0 else None) as c:
                        c.request("POST", "/upload", body=b"x" * n)
                        c.socket.shutdown(socket.SHUT_WR)
                        self.assertEqual(c.response().text, f"end {n}\n")
                harness.wait_until(
                    lambda: s.log().count("upload: end") == 18, "for 18 uploads")

    def test_answer_to_an_upload_that_nobody_reads(self):
        """A client that sends all before it reads gets it, too."""
        body = bytes(16 << 20)
        for tls in (), ("ec",):
            with self.subTest(tls=tls), Server(
                    "/", script("tools.lua"), tls=tls) as s:
                with s.client() as c:
                    r = c.ask("POST", "/deaf", body=body)
                    self.assertEqual(r.text, "no interest\n")
                    self.assertEqual(r.get("connection"), "close")
                with s.client() as c:
                    c.send("POST /deaf HTTP/1.1\r\nhost: a\r\n"
                           "transfer-encoding: chunked\r\n\r\n"
                           f"{len(body):x}\r\n")
                    c.send(body + b"\r\n0\r\n\r\n")
                    self.assertEqual(c.response().text, "no interest\n")

    def test_long_answer_to_an_upload_that_nobody_reads(self):
        """The server reads on while it sends."""
        path = os.path.join(harness.directory(), "long.lua")
        with open(path, "w") as f:
            f.write("local page = ('x'):rep(16 * 2^20)\n"
                    "httpd.register_handler('/', function()\n"
                    "  httpd.write(nil, page)\n"
                    "end)\n")
        with Server("/", path) as s, s.client(receive_buffer=65536) as c:
            r = c.ask("POST", "/", body=bytes(16 << 20))
            self.assertEqual(len(r.body), 16 << 20)

    def test_ipv6(self):
        if not os.path.exists("/proc/net/if_inet6"):
            self.skipTest("no IPv6 here")
        with Server("/", script("environment.lua"), address="::1") as s:
            out = curl("-g", f"http://[::1]:{s.port}/")
            self.assertIn("CLIENT_ADDR=::1\n", out)
            self.assertIn(f":authority=[::1]:{s.port}\n", out)


class Routing(harness.TestCase):
    def test_names(self):
        with Server("/", script("tools.lua"), "/ui",
                    script("ui.lua")) as s, s.client() as c:
            for path, status, body in (
                    ("/", 200, "hello\n"),
                    ("//", 200, "hello\n"),
                    ("/nope", 404, "nothing at /nope\n"),
                    ("/notfound", 404, "nothing at /notfound\n"),
                    ("/ui/", 200, "ui\n"),
                    ("/ui/./x/..", 200, "ui\n"),
                    ("/ui/nope", 404, "nothing at /ui/nope\n"),
                    ("/uix", 404, "nothing at /uix\n"),
                    ("/ui/files/a/b%20c", 200, "a/b c\n")):
                with self.subTest(path=path):
                    r = c.ask(path=path)
                    self.assertEqual((r.status, r.text), (status, body))
            r = c.ask(path="/ui")
            self.assertEqual(r.status, 308)
            self.assertRegex(r.get("location"), r"(^|[^/])/ui/$")
            r = c.ask(path="/ui?a=b")
            self.assertRegex(r.get("location"), r"/ui/\?a=b$")
            # Not to another host, whatever the path looked like before.
            for path in ("//ui", "//x.example/../ui", "/\\x.example/../ui",
                         "//x.example/%2e%2e/ui"):
                r = c.ask(path=path)
                self.assertEqual(r.status, 308)
                self.assertRegex(r.get("location"), r"^/[^/\\].*/?ui/$|^/ui/$")
            for path in ("/..", "/%00", "/%zz"):
                self.assertEqual(self.get(s, path).status, 400)

    def test_no_root_mapping(self):
        with Server("ui", script("ui.lua")) as s:
            self.assertEqual(self.get(s, "/").status, 404)
            self.assertEqual(self.get(s, "/ui/").text, "ui\n")

    def test_methods(self):
        with Server("/", script("tools.lua")) as s:
            with s.client() as c:
                r = c.ask("HEAD", "/")
                self.assertEqual((r.status, r.get("content-length")),
                                 (200, "6"))
                self.assertEqual(c.ask("HEAD", "/nope").status, 404)
                self.assertEqual(c.ask("BREW", "/").text, "hello\n")
                self.assertEqual(c.ask("OPTIONS", "*").status, 204)
            for method in ("CONNECT", "TRACE"):
                target = "h:80" if method == "CONNECT" else "/"
                self.assertEqual(
                    self.get(s, target, method=method).status, 501)


class Connections(harness.TestCase):
    def test_pipelining_is_answered_by_one_write(self):
        """What a turn has got ready leaves in one write.  A turn that a busy
        machine draws out ends early, so not all of them hold all answers."""
        if harness.of_another_processor():
            self.skipTest("its system calls have other names")
        calls = ("epoll_wait", "epoll_pwait", "recvfrom", "write", "writev",
                 "sendto", "sendmsg", "sendfile")
        with Server("/", script("tools.lua"), workers=1) as s, \
                s.client() as c:
            c.ask()
            with Trace(s, *calls) as t:
                for i in range(32 * 16):
                    if i % 16 == 0:
                        c.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n" * 16)
                    self.assertEqual(c.response().text, "hello\n")
        did = "".join("S" if "HTTP/1.1 200" in line
                      else "R" if "GET /" in line
                      else "T" if "epoll_" in line else ""
                      for line in t.lines)
        self.assertNotRegex(did, "S[^T]*S")
        self.assertIn(1, [of.count("S") for of in did.split("R")[1:]], did)

    def test_pipelining_in_order(self):
        with Server("/", script("tools.lua")) as s, s.client() as c:
            for i in range(16):
                body = str(i).encode() * i
                c.request("POST", "/echo", body=body)
            for i in range(16):
                self.assertEqual(c.response().body, str(i).encode() * i)

    def test_a_slow_answer_holds_back_the_next(self):
        with Server("/", script("tools.lua")) as s, s.client() as c:
            c.request(path="/sleep?0.3")
            c.request(path="/")
            self.assertEqual(c.response().text, "slept\n")
            self.assertEqual(c.response().text, "hello\n")

    FINISH = """
httpd.register_handler("/", function()
    httpd.header { ["content-length"] = 5 }
    httpd.write(nil, "whole")
    httpd.flush()
    httpd.sleep(0.05) -- all of it has left
    finished = httpd.finish()
end)
httpd.register_handler("/then", function()
    httpd.write(nil, "finished: " .. tostring(finished))
end)
"""

    def test_finish_after_everything_has_left(self):
        path = os.path.join(harness.directory(), "finish.lua")
        with open(path, "w") as f:
            f.write(self.FINISH)
        for tls in ((), ("ec",)):
            with self.subTest(tls=tls), \
                    Server("/", path, tls=tls, workers=1) as s:
                with s.client() as c:
                    self.assertEqual(c.ask().text, "whole")
                    self.assertEqual(c.ask(path="/then").text,
                                     "finished: true")
                harness.need_built_in("http2")
                harness.need("nghttp")  # curl would not wait for the end
                for of, body in (("/", "whole"), ("/then", "finished: true")):
                    self.assertEqual(run("nghttp", s.url + of).stdout, body)

    SHORT = """
local function answer(flush)
    httpd.header { ["content-length"] = 5 }
    httpd.write(nil, "abc")
    if flush then httpd.flush() end
end
httpd.register_handler("/short", function() answer() end)
httpd.register_handler("/cut", function() answer(true) end)
httpd.register_handler("/finished", function() answer() httpd.finish() end)
httpd.register_handler("/head", function() answer() end)
"""

    def test_less_than_was_declared_is_in_the_log(self):
        path = os.path.join(harness.directory(), "short.lua")
        with open(path, "w") as f:
            f.write(self.SHORT)
        with Server("/", path, workers=1) as s:
            self.assertEqual(self.get(s, "/short").status, 500)
            self.assertEqual(self.get(s, "/finished").status, 500)
            with s.client() as c:
                c.request(path="/cut")
                self.assertIn(b"200 OK", c.closed())
            with s.client() as c:
                self.assertEqual(c.ask("HEAD", "/head").status, 200)
            for name in ("short", "finished", "cut"):
                s.wait_for_log("error: the handler has ended with 3 of the 5 octets "
                               f".*GET /{name} ")
            self.assertNotIn("HEAD /head", s.log())

    def test_close_is_honoured(self):
        with Server("/", script("tools.lua")) as s:
            for version, fields in (("HTTP/1.1", ["connection: close"]),
                                    ("HTTP/1.0", [])):
                with s.client() as c:
                    r = c.ask(fields=fields, version=version)
                    self.assertEqual(r.text, "hello\n")
                    self.assertEqual(c.to_end(), b"")

    def test_nothing_is_lost_by_a_close(self):
        """A further request that nobody reads must not make it a reset."""
        with Server("/", script("tools.lua"), workers=1,
                    limits={"connection_requests": 1}) as s, \
                s.client(receive_buffer=4096) as c:
            c.request(path="/download?3")
            time.sleep(0.2)
            c.request()
            time.sleep(0.5)
            self.assertEqual(len(c.response().body), 3 << 20)

    def test_answer_after_half_close(self):
        with Server("/", script("tools.lua")) as s, s.client() as c:
            c.request(path="/sleep?0.2", fields=["connection: close"])
            c.socket.shutdown(socket.SHUT_WR)
            self.assertEqual(c.response().text, "slept\n")
            self.assertEqual(c.to_end(), b"")

    def test_long_answers(self):
        with Server("/", script("tools.lua")) as s, s.client() as c:
            r = c.ask(path="/download?1")
            self.assertEqual(r.get("transfer-encoding"), "chunked")
            self.assertEqual(len(r.body), 1 << 20)
            r = c.ask(path="/download?1", version="HTTP/1.0",
                      fields=["connection: keep-alive"])
            self.assertEqual(r.get("transfer-encoding"), None)
            self.assertEqual(len(r.body), 1 << 20)  # the end is the close

    def test_bodies_of_both_codings(self):
        with Server("/", script("tools.lua")) as s, s.client() as c:
            c.send("POST /echo HTTP/1.1\r\nhost: a\r\n"
                   "transfer-encoding: chunked\r\n\r\n"
                   "5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nt: 1\r\n\r\n")
            self.assertEqual(c.response().text, "hello world")
            self.assertEqual(c.ask("POST", "/echo", body=b"").body, b"")
            data = os.urandom(300000)
            self.assertEqual(c.ask("POST", "/echo", body=data).body, data)

    def test_unread_body(self):
        with Server("/", script("tools.lua")) as s:
            with s.client() as c:
                r = c.ask("POST", "/deaf", body=b"x" * 1000)
                self.assertEqual(r.text, "no interest\n")
                if r.get("connection") != "close":
                    self.assertEqual(c.ask().text, "hello\n")

    def test_errors_of_a_handler(self):
        with Server("/", script("tools.lua")) as s:
            with s.client() as c:
                r = c.ask(path="/fail")
                self.assertEqual(r.status, 500)
                self.assertNotIn("on purpose", r.text)
                self.assertEqual(c.ask().text, "hello\n")
            s.wait_for_log(r"tools\.lua:\d+: on purpose")
            s.wait_for_log(r"GET /fail")
            with s.client() as c:
                c.request(path="/late")
                data = c.closed()
                self.assertIn(b"200 OK", data)
                self.assertNotIn(b"\r\n0\r\n", data)


class BadRequests(harness.TestCase):
    """Each gets its status and an end; others do not notice."""

    def answer(self, server, data):
        with server.client() as c:
            c.send(data)
            return c.closed().split(b"\r\n")[0].decode()

    def test_statuses(self):
        host = "host: a\r\n"
        with Server("/", script("tools.lua")) as s, s.client() as other:
            other.ask()
            for status, data in (
                    (400, "GET / HTTP/1.1\r\n\r\n"),
                    (400, "GET / HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n"),
                    (400, "GET / HTTP/1.1\r\nhost : a\r\n\r\n"),
                    (400, "GET / HTTP/1.1\r\n" + host + " folded: 1\r\n\r\n"),
                    (400, "GET / HTTP/1.1\r\n" + host + "a: \0\r\n\r\n"),
                    (400, "GET / HTTP/1.1\n" + host + "\n"),
                    (400, "GET  / HTTP/1.1\r\n" + host + "\r\n"),
                    (400, "G(T / HTTP/1.1\r\n" + host + "\r\n"),
                    (400, "POST /upload HTTP/1.1\r\n" + host +
                     "content-length: 1\r\ncontent-length: 2\r\n\r\nx"),
                    (400, "POST /upload HTTP/1.1\r\n" + host +
                     "content-length: +1\r\n\r\nx"),
                    (400, "POST /upload HTTP/1.1\r\n" + host +
                     "content-length: 1\r\ntransfer-encoding: chunked\r\n"
                     "\r\n0\r\n\r\n"),
                    (501, "POST /upload HTTP/1.1\r\n" + host +
                     "transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
                    (417, "GET / HTTP/1.1\r\n" + host +
                     "expect: miracles\r\n\r\n"),
                    (505, "GET / HTTP/2.0\r\n" + host + "\r\n")):
                with self.subTest(data=data):
                    self.assertRegex(self.answer(s, data),
                                     rf"^HTTP/1\.1 {status} ")
                    self.assertEqual(other.ask().text, "hello\n")

    def test_no_request_at_all(self):
        with Server("/", script("tools.lua")) as s:
            self.assertEqual(self.answer(s, "hello there\r\n\r\n"), "")
            self.assertEqual(self.answer(
                s, b"\x16\x03\x01\x00\x05hello\r\n\r\n"), "")

    def test_plain_http_on_a_tls_port(self):
        with Server("/", script("tools.lua"), tls=("ec",)) as s, \
                harness.Client(s.port) as c:
            r = c.ask()
            self.assertEqual(r.status, 400)
            self.assertRegex(r.text, "(?i)https|tls")


if __name__ == "__main__":
    unittest.main()
