"""share/lhttpd/fetch.lua: requests to servers of every kind, hostile ones too."""

import contextlib
import hashlib
import hmac
import json
import os
import socket
import subprocess
import tempfile
import threading

import harness
from harness import EXAMPLES, PATIENCE, Server, script, wait_until
from test_connect import Peer
from test_connect_tls import Issuer, TlsPeer


def read_head(client):
    data = b""
    while b"\r\n\r\n" not in data:
        more = client.recv(1)
        if not more:
            return None
        data += more
    return data.decode("latin-1")


def answering(*answers, seen=None, then=None):
    """Serves one answer for each request on a connection, then `then`, or the
    end."""
    def serve(client):
        for answer in answers:
            head = read_head(client)
            if head is None:
                return
            if seen is not None:
                seen.append(head)
            client.sendall(answer)
        if then:
            then(client)
    return serve


OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Fetch(harness.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server("/", script("fetch.lua"), workers=1)

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def lua(self, code):
        with self.server.client() as c:
            r = c.ask("POST", "/",
                      body=("local fetch = ...\n" + code).encode())
        self.assertEqual(r.status, 200, self.server.log()[-2000:])
        return r.text.split("\n")

    def fetch(self, port, options="", path="/"):
        """Status, or nil; body, or why; and the fields `a` and the URL."""
        return self.lua(f"""
            local r, why = fetch("http://127.0.0.1:{port}{path}",
                                 {{timeout = 60, {options}}})
            if not r then return nil, why end
            return r.status, r.body, r.fields.a, r.url""")

    def answer(self, data, options="", then=None):
        with Peer(answering(data, then=then)) as p:
            return self.fetch(p.port, options)

    def test_lengths(self):
        self.assertEqual(self.answer(OK)[:2], ["200", "ok"])
        self.assertEqual(self.answer(
            b"HTTP/1.1 404 Not Found\r\nA:  x \r\na: y\r\n"
            b"Content-Length: 0\r\n\r\n")[:3], ["404", "", "x, y"])
        self.assertEqual(self.answer(b"HTTP/1.0 200 OK\r\n\r\nto the end")[1],
                         "to the end")
        self.assertEqual(self.answer(b"HTTP/1.1 204 No\r\n\r\n")[:2],
                         ["204", ""])
        self.assertEqual(self.answer(
            b"HTTP/1.1 200 OK\r\ncontent-length: 2, 2\r\n\r\nok")[1], "ok")
        self.assertEqual(self.answer(
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nl: x\r\n\r\n" +
            OK)[:2], ["200", "ok"])
        self.assertEqual(self.answer(
            b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n",
            "method = 'HEAD'")[:2], ["200", ""])

    CHUNKED = (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
               b"3;x=y\r\none\r\n0a\r\n, two, thr\r\n2 \r\nee\r\n"
               b"0\r\ntrailer: x\r\n\r\n")

    def test_chunks(self):
        self.assertEqual(self.answer(self.CHUNKED)[1], "one, two, three")

    def test_one_byte_at_a_time(self):
        def trickle(client):
            read_head(client)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for c in self.CHUNKED:
                client.sendall(bytes([c]))
        with Peer(trickle) as p:
            self.assertEqual(self.fetch(p.port)[1], "one, two, three")

    def test_what_is_asked(self):
        seen = []
        with Peer(answering(OK, OK, seen=seen)) as p:
            self.fetch(p.port, "fields = {['X-A'] = 'b', b = {1, 2}, "
                               "Host = 'evil', ['content-length'] = 9}",
                       "/a%20b?c=d#e")
            self.fetch(p.port, "method = 'POST', body = 'text', reuse = false")
        self.assertEqual(seen[0].split("\r\n")[0], "GET /a%20b?c=d HTTP/1.1")
        for line in (f"host: 127.0.0.1:{p.port}", "X-A: b", "b: 1", "b: 2"):
            self.assertIn(line, seen[0].split("\r\n"))
        self.assertNotIn("evil", seen[0])
        self.assertNotIn("content-length", seen[0])
        self.assertIn("content-length: 4", seen[1])
        self.assertIn("connection: close", seen[1])

    def test_a_body_in_pieces(self):
        got = []

        def serve(client):
            got.append(read_head(client))
            data = b""
            while not data.endswith(b"0\r\n\r\n"):
                data += client.recv(1000)
            got.append(data)
            client.sendall(OK)
        with Peer(serve) as p:
            self.assertEqual(self.lua(f"""
                local n = 0
                return fetch("http://127.0.0.1:{p.port}/", {{method = "PUT",
                    body = function()
                        n = n + 1
                        if n < 4 then return n == 2 and "" or "piece" .. n end
                    end}}).status""")[0], "200")
        self.assertIn("transfer-encoding: chunked", got[0])
        self.assertEqual(got[1],
                         b"6\r\npiece1\r\n6\r\npiece3\r\n0\r\n\r\n")

    def test_a_body_that_fails_is_no_end(self):
        got = []

        def serve(client):
            while data := client.recv(1000):
                got.append(data)
        with Peer(serve) as p:
            self.assertEqual(self.fetch(p.port, """method = "PUT", body =
                function() return nil, "no more" end""")[:2],
                ["nil", "body: no more"])
        self.assertFalse(b"".join(got).endswith(b"0\r\n\r\n"))

    def test_an_answer_that_streams(self):
        go = threading.Event()

        def serve(client):
            read_head(client)
            client.sendall(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked"
                           b"\r\n\r\n3\r\none\r\n")
            go.wait(PATIENCE)
            client.sendall(b"3\r\ntwo\r\n0\r\n\r\n")
        with Peer(serve) as p:
            timer = threading.Timer(0.3, go.set)
            timer.start()
            self.assertEqual(self.lua(f"""
                local r = assert(fetch("http://127.0.0.1:{p.port}/",
                                       {{stream = true}}))
                return r:read(), r:read(60), r:read()""")[:3],
                ["one", "two", "nil"])
            timer.join()

    def test_an_answer_that_has_ended_is_of_its_connection_no_more(self):
        """Whoever has the connection next keeps it, and what comes on it."""
        with Peer(answering(*[self.CHUNKED] * 3)) as p:
            self.assertEqual(self.lua(f"""
                local function ask()
                    return assert(fetch("http://127.0.0.1:{p.port}/",
                                        {{stream = true}}))
                end
                local first = ask()
                while first:read() do end
                local second = ask()
                local stolen = first:read()
                first:close()
                local text = ""
                local piece = second:read()
                while piece do text, piece = text .. piece, second:read() end
                return stolen, text, first:read()""")[:3],
                ["nil", "one, two, three", "nil"])
            self.assertEqual(p.met, 1)

    def test_redirects_have_one_time_out(self):
        stop = threading.Event()

        def slow(client):
            while read_head(client) and not stop.wait(0.6):
                client.sendall(b"HTTP/1.1 302 F\r\nlocation: /\r\n"
                               b"content-length: 0\r\n\r\n")
        with Peer(slow) as p:
            self.assertEqual(self.fetch(p.port, "timeout = 1, redirects = 100")[:2],
                             ["nil", "timeout"])
            stop.set()

    def test_connections_are_used_again(self):
        with Peer(answering(*[self.CHUNKED] * 3)) as p:
            for _ in range(3):
                self.assertEqual(self.fetch(p.port)[1], "one, two, three")
            self.assertEqual(p.met, 1)
            # The server has closed it meanwhile, which is no failure.
            self.assertEqual(self.fetch(p.port)[1], "one, two, three")
            self.assertEqual(p.met, 2)

    def test_who_closes_is_not_asked_again(self):
        for answer in (b"HTTP/1.1 200 OK\r\nconnection: close\r\n"
                       b"content-length: 2\r\n\r\nok",
                       b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
                       OK + b"HTTP/1.1 200 OK\r\n"):
            with Peer(answering(answer, answer)) as p:
                self.assertEqual(self.fetch(p.port)[1], "ok")
                self.assertEqual(self.fetch(p.port)[1], "ok")
                self.assertEqual(p.met, 2)

    def test_one_that_goes_as_it_is_asked(self):
        """An idle connection ends once it has a request: GET is asked again, POST
        is not."""
        for method, status in (("GET", "200"), ("POST", "nil")):
            with Peer(answering(OK, then=lambda c: read_head(c))) as p:
                self.assertEqual(self.fetch(p.port)[0], "200")
                self.assertEqual(self.fetch(p.port, f"method = '{method}'")[0],
                                 status)
                self.assertEqual(p.met, 2 if method == "GET" else 1)

    def test_redirects(self):
        seen = []
        with Peer(answering(OK, seen=seen)) as other:
            left = [b"303 See\r\nlocation: b?c#d",
                    b"307 T\r\nlocation: /x/y",
                    b"301 M\r\nlocation: http://127.0.0.1:%d/end" % other.port]

            def turn(client):
                head = read_head(client)
                if "content-length: 4" in head:
                    client.recv(4)
                seen.append(head)
                client.sendall(b"HTTP/1.1 " + left.pop(0) +
                               b"\r\ncontent-length: 0\r\n\r\n")
            with Peer(turn) as p:
                found = self.fetch(p.port, "method = 'POST', body = 'text', "
                                   "fields = {authorization = 'secret', "
                                   "['Content-Type'] = 'text/plain'}",
                                   "/a/start")
            self.assertEqual(found[:2], ["200", "ok"])
            self.assertEqual(found[3], f"http://127.0.0.1:{other.port}/end")
        self.assertEqual([head.split(" HTTP")[0] for head in seen],
                         ["POST /a/start", "GET /a/b?c", "GET /x/y",
                          "GET /end"])
        self.assertEqual([("secret" in head) for head in seen],
                         [True, True, True, False])
        self.assertEqual([("text/plain" in head) for head in seen],
                         [True, False, False, False])

    def test_redirects_are_bounded(self):
        loop = (b"HTTP/1.1 302 F\r\nlocation: /\r\ncontent-length: 0\r\n\r\n")
        with Peer(answering(loop)) as p:
            self.assertEqual(self.fetch(p.port)[1], "too many redirects")
            self.assertEqual(p.met, 6)
            self.assertEqual(self.fetch(p.port, "redirects = 1")[1],
                             "too many redirects")
            self.assertEqual(self.fetch(p.port, "redirects = false")[0], "302")
        for location in (b"ftp://a/", b"http://", b"http://u@a/", b"a b"):
            self.assertIn("redirect: ", self.answer(
                b"HTTP/1.1 302 F\r\nlocation: " + location + b"\r\n\r\n")[1])

    def test_malformed_answers(self):
        for data in (b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 20 OK\r\n\r\n",
                     b"HTTP/2.0 200 OK\r\n\r\n", b"\r\n\r\n",
                     b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
                     b"HTTP/1.1 200 OK\r\na : b\r\n\r\n",
                     b"HTTP/1.1 200 OK\r\na: b\r\n folded\r\n\r\n",
                     b"HTTP/1.1 200 OK\r\na: b\0c\r\n\r\n",
                     b"HTTP/1.1 101 Up\r\n\r\n",
                     b"HTTP/1.1 100 C\r\n\r\n" * 20,
                     b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
                     b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
                     b"HTTP/1.1 200 OK\r\ncontent-length: 2, 3\r\n\r\nok",
                     b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999"
                     b"\r\n\r\n",
                     b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked"
                     b"\r\n\r\n",
                     b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
                     b"x\r\n",
                     b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
                     b"1\r\nabc\r\n0\r\n\r\n",
                     b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
                     b"fffffffffffff\r\n"):
            with self.subTest(data=data):
                self.assertEqual(self.answer(data)[:2], ["nil", "malformed"])

    def test_early_ends(self):
        for data in (b"", b"HTTP/1.1 200", b"HTTP/1.1 200 OK\r\na: b\r\n",
                     b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok",
                     b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
                     b"5\r\nhal",
                     b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
                     b"2\r\nok\r\n"):
            with self.subTest(data=data):
                self.assertEqual(self.answer(data)[:2], ["nil", "closed"])

    def test_endless_answers(self):
        def endless(begin, again):
            def serve(client):
                read_head(client)
                client.sendall(begin)
                while True:
                    client.sendall(again)
            return serve
        head = b"HTTP/1.1 200 OK\r\n"
        chunked = head + b"transfer-encoding: chunked\r\n\r\n"
        for begin, again, why in (
                (head, b"a: b\r\n" * 100, "header too large"),
                (b"", b"x" * 1000, "header too large"),
                (chunked, b"1" * 1000, "too large"),
                (chunked + b"1;", b"x" * 1000, "too large"),
                (chunked + b"0\r\n", b"a: b\r\n" * 100, "too large"),
                (chunked, b"5\r\nhello\r\n" * 100, "body too large"),
                (head + b"\r\n", b"x" * 100000, "body too large")):
            with Peer(endless(begin, again)) as p:
                self.assertEqual(self.fetch(p.port, "body_bytes = 1000000")[:2],
                                 ["nil", why], begin + again[:20])

    def test_times_out(self):
        with Peer(lambda c: c.recv(100000) and c.recv(1)) as p:
            self.assertEqual(self.fetch(p.port, "timeout = 0.3")[:2],
                             ["nil", "timeout"])

    def test_a_slow_trickle_times_out_in_all(self):
        stop = threading.Event()

        def trickle(client):
            read_head(client)
            client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            while not stop.wait(0.05):
                client.sendall(b"x")
        with Peer(trickle) as p:
            self.assertEqual(self.lua(f"""
                local r, why = fetch("http://127.0.0.1:{p.port}/",
                                     {{timeout = 1}})
                return r, why""")[:2], ["nil", "timeout"])
            stop.set()

    def test_an_early_answer_to_a_long_body(self):
        def refuse(client):
            read_head(client)
            client.sendall(b"HTTP/1.1 413 Large\r\ncontent-length: 2\r\n\r\nno")
            client.shutdown(socket.SHUT_WR)
            while client.recv(65536):
                pass
        with Peer(refuse) as p:
            self.assertEqual(self.fetch(p.port, "method = 'POST', "
                                        "body = ('x'):rep(3000000)")[:2],
                             ["413", "no"])

    def test_wrong_urls(self):
        for url in ("ftp://a/", "a", "http://", "http:///x", "http://a b/",
                    "http://u:p@a/", "http://a:0/", "http://a:99999/",
                    "http://[::1/", "http://a\\r\\nb/"):
            self.assertEqual(self.lua(f'return fetch("{url}")')[0], "nil", url)
        for url in ("http://a:b/", "http://[::1]8080/"):
            self.assertEqual(self.lua(f'return fetch("{url}")')[1],
                             "the URL's port is none", url)
        self.assertIn("has a line end", self.lua(
            "return select(2, pcall(fetch, 'http://127.0.0.1:1/', "
            "{fields = {a = 'b\\r\\nc: d'}}))")[0])

    def test_wrong_calls(self):
        for call, words in (
                ("5", "a URL is a string, not a number"),
                ("nil", "a URL is a string, not a nil"),
                ("'http://[::1]/', 'POST'",
                 "the options are a table, not a string"),
                ("'http://[::1]/', {metod = 'POST'}",
                 "there is no option 'metod'"),
                ("'http://[::1]/', {5}", "there is no option '1'"),
                ("'http://[::1]/', {body = {}}",
                 "the option 'body' is a table, not a string or function"),
                ("'http://[::1]/', {redirects = true}",
                 "the option 'redirects' is a boolean, not a number or false"),
                ("'http://[::1]/', {timeout = '5'}",
                 "the option 'timeout' is a string, not a number")):
            why = self.lua("return select(2, pcall(function() local a = fetch("
                           f"{call}) return a end))")[0]
            self.assertRegex(why, r":\d+: fetch: ")
            self.assertTrue(why.endswith(words), why)
            self.assertNotIn("fetch.lua", why.split("fetch: ")[0])

    def test_nobody_is_there(self):
        harness.need_socket_errors()
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.assertEqual(self.fetch(s.getsockname()[1])[1],
                             "127.0.0.1: Connection refused")

    def test_https(self):
        harness.need_built_in("tls")
        ca = Issuer("fetch")
        with TlsPeer(ca.server("fetched", "IP:127.0.0.1"),
                     answering(OK, OK)) as p:
            self.assertEqual(self.lua(f"""
                local o = {{ca = "{ca.pem}"}}
                local a = assert(fetch("https://127.0.0.1:{p.port}/", o))
                local b = assert(fetch("https://127.0.0.1:{p.port}/", o))
                local c, why = fetch("https://127.0.0.1:{p.port}/")
                return a.body, b.status, c, why""")[:3], ["ok", "200", "nil"])
            self.assertEqual(p.met, 2)


@contextlib.contextmanager
def environment(**values):
    os.environ.update(values)
    try:
        yield
    finally:
        for name in values:
            del os.environ[name]


def example(name):
    return os.path.join(EXAMPLES, name)


class Upstreams(harness.TestCase):
    """A handler that asks five upstreams, each of which answers only when the
    test says so: what has to come before what is a matter of order."""
    N = 5

    def setUp(self):
        self.asked = threading.Semaphore(0)
        self.go = [threading.Event() for _ in range(self.N)]
        self.addCleanup(lambda: [e.set() for e in self.go])

    def slow(self, i):
        def serve(client):
            if not read_head(client):
                return
            self.asked.release()
            self.go[i].wait(PATIENCE)
            client.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"
                           b"u%d" % i)
        return serve

    def ask(self, c, urls, options=""):
        """The answer: what each upstream said, in the order of their ends."""
        c.request("POST", "/", body=f"""
            local fetch = ...
            local ends = httpd.subscribe("ends")
            for _, url in ipairs{{{urls}}} do
                httpd.spawn(function()
                    local r, why = fetch(url, {{timeout = 600, {options}}})
                    httpd.publish("ends", r and r.body or why)
                end)
            end
            local all = {{}}
            for i = 1, {self.N} do all[i] = httpd.read(ends) end
            return table.concat(all, " ")""".encode())

    def five(self, kind, scheme, options=""):
        with contextlib.ExitStack() as stack:
            peers = [stack.enter_context(kind(self.slow(i)))
                     for i in range(self.N)]
            s = stack.enter_context(Server("/", script("fetch.lua"),
                                           workers=1))
            c = stack.enter_context(s.client())
            self.ask(c, ", ".join(f"'{scheme}://127.0.0.1:{p.port}/'"
                                  for p in peers), options)
            # All are asked while none has answered: so they take as long as
            # the slowest.
            for _ in range(self.N):
                self.assertTrue(self.asked.acquire(timeout=PATIENCE))
            with s.client() as neighbour:
                for n in range(100):
                    if n % 20 == 0:  # new clients too
                        self.assertEqual(self.get(s, "/neighbour").text,
                                         "here")
                    self.assertEqual(neighbour.ask(path="/neighbour").text,
                                     "here")
            self.assertFalse(c.readable())
            self.release_in_turn(s, [3, 0, 4, 1])
            self.assertFalse(c.readable())
            self.go[2].set()
            self.assertEqual(c.response().text.split("\n")[0], "u3 u0 u4 u1 u2")

    def release_in_turn(self, s, order):
        with s.client() as watcher:
            watcher.request("POST", "/", body=f"""
                local ends = httpd.subscribe("ends")
                httpd.header{{["content-type"] = "text/plain"}}
                httpd.flush()
                for i = 1, {len(order)} do
                    httpd.write(nil, httpd.read(ends))
                    httpd.flush()
                end""".encode())
            watcher.head()
            for i in order:
                self.go[i].set()
                watcher.until(b"u%d" % i)

    def test_neighbours_do_not_notice_five_slow_ones(self):
        self.five(Peer, "http")

    def test_neither_by_tls(self):
        harness.need_built_in("tls")
        ca = Issuer("upstreams")
        pair = ca.server("upstream", "IP:127.0.0.1")
        self.five(lambda serve: TlsPeer(pair, serve), "https",
                  f"ca = '{ca.pem}'")


class Proxy(harness.TestCase):
    """examples/proxy.lua, in front of servers of every kind."""

    @contextlib.contextmanager
    def before(self, port, **more):
        with environment(UPSTREAM=f"http://127.0.0.1:{port}"):
            server = Server("/", example("proxy.lua"), workers=1, **more)
        with server:
            yield server

    def test_what_is_passed_on(self):
        seen = []
        answer = (b"HTTP/1.1 201 Made\r\nset-cookie: a\r\nset-cookie: b\r\n"
                  b"connection: x-hop\r\nx-hop: 1\r\nx-end: 2\r\n"
                  b"content-length: 2\r\n\r\nok")
        with Peer(answering(answer, answer, seen=seen)) as p, \
                self.before(p.port) as s, s.client() as c:
            r = c.ask(path="/a/b?c=%20", fields=["x-mine: 1", "te: trailers",
                                                  "connection: x-other",
                                                  "x-other: 2"])
        self.assertEqual((r.status, r.text), (201, "ok"))
        self.assertEqual([v for n, v in r.fields if n == "set-cookie"],
                         ["a", "b"])
        self.assertEqual((r.get("x-end"), r.get("x-hop")), ("2", None))
        lines = seen[0].split("\r\n")
        self.assertEqual(lines[0], "GET /a/b?c=%20 HTTP/1.1")
        self.assertIn("x-mine: 1", lines)
        self.assertIn("x-forwarded-for: 127.0.0.1", lines)
        self.assertIn("x-forwarded-host: localhost", lines)
        for name in ("te:", "x-other:", "connection:"):
            self.assertNotIn("\r\n" + name, seen[0])

    def test_what_is_told_of_the_client_is_no_client_s(self):
        """Nor by names that are the same where fields become variables."""
        seen = []
        forged = ("x-forwarded-proto: https", "x-forwarded-host: b",
                  "x_forwarded_for: 10.0.0.1", "x-forwarded_proto: https",
                  "content_length: 9", "transfer_encoding: chunked")
        with Peer(answering(OK, seen=seen)) as p, \
                self.before(p.port) as s, s.client() as c:
            self.assertEqual(c.ask(fields=[*forged, "a_b: 1"]).text, "ok")
        lines = seen[0].split("\r\n")
        self.assertFalse(set(forged) & set(lines), lines)
        self.assertIn("a_b: 1", lines)
        self.assertIn("x-forwarded-proto: http", lines)

    def test_methods_of_every_kind(self):
        """They are the client's: case counts, and letters are not all."""
        seen = []
        with Peer(answering(*[OK] * 3, seen=seen)) as p, \
                self.before(p.port) as s, s.client() as c:
            for method in ("M-SEARCH", "get", "BREW"):
                self.assertEqual(c.ask(method).text, "ok")
        self.assertEqual([head.split()[0] for head in seen],
                         ["M-SEARCH", "get", "BREW"])

    def test_lengths_that_are_doubtful(self):
        for head, body in (
                (b"content-length: 2, 2\r\n", b"ok"),
                (b"content-length: 2\r\ncontent-length: 2\r\n", b"ok"),
                (b"content-length: 1\r\ntransfer-encoding: chunked\r\n",
                 b"2\r\nok\r\n0\r\n\r\n")):
            with self.subTest(head), Peer(answering(
                    b"HTTP/1.1 200 OK\r\n" + head + b"\r\n" + body)) as p, \
                    self.before(p.port) as s:
                self.assertEqual(self.get(s).text, "ok")

    def test_a_client_that_goes_before_its_body(self):
        """What it wanted to send is not taken for nothing."""
        seen = []
        with Peer(answering(OK, OK, seen=seen)) as p, \
                self.before(p.port, limits={"body_timeout_ms": 300}) as s:
            with s.client() as c:
                c.send("PUT /late HTTP/1.1\r\nhost: a\r\n"
                       "content-length: 10\r\n\r\n")
                self.assertEqual(c.response().status, 408)
            with s.client() as c:
                c.send("PUT /gone HTTP/1.1\r\nhost: a\r\n"
                       "content-length: 10\r\n\r\n")
                c.socket.shutdown(socket.SHUT_WR)
                c.closed()
            self.assertEqual(self.get(s, "/next").text, "ok")
        self.assertEqual([head.split()[1] for head in seen], ["/next"])

    def test_streams_both_ways(self):
        """More than anybody keeps, up and down, over a server of ours."""
        up = os.urandom(1 << 20) * 8
        with Peer(self.mirror) as p, self.before(p.port) as s, \
                s.client() as c:
            r = c.ask("PUT", "/x", body=up)
            self.assertEqual(r.status, 200)
            self.assertEqual(hashlib.sha256(r.body).digest(),
                             hashlib.sha256(up).digest())
            self.assertLess(s.peak_kib(), 400 << 10)

    @staticmethod
    def mirror(client):
        """Reads a chunked body whole, and sends it back in chunks."""
        if not read_head(client):
            return
        f = client.makefile("rb")
        pieces = []
        while n := int(f.readline(), 16):
            pieces.append(f.read(n))
            f.readline()
        f.readline()
        client.sendall(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked"
                       b"\r\n\r\n")
        for piece in pieces:
            client.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
        client.sendall(b"0\r\n\r\n")

    def test_a_cut_answer_is_not_whole(self):
        with Peer(answering(b"HTTP/1.1 200 OK\r\ncontent-length: 100000"
                            b"\r\n\r\n" + b"x" * 70000)) as p, \
                self.before(p.port) as s, s.client() as c:
            c.request()
            self.assertLess(len(c.closed()), 100000)

    def test_nobody_behind(self):
        harness.need_socket_errors()
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            with self.before(nobody.getsockname()[1]) as s:
                self.assertEqual(self.get(s).status, 502)

    def test_a_client_that_goes_while_it_sends(self):
        got = []

        def serve(client):
            while data := client.recv(1000):
                got.append(data)
        with Peer(serve) as p, self.before(p.port) as s:
            with s.client() as c:
                c.send("PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n"
                       "\r\nhalf")
                wait_until(lambda: b"half" in b"".join(got), "for the half")
            for thread in p.threads:
                thread.join(PATIENCE)
            self.assertFalse(b"".join(got).endswith(b"0\r\n\r\n"))


class Webhook(harness.TestCase):
    def test_delivers_at_the_second_attempt(self):
        got = []

        def serve(client):
            head = read_head(client)
            n = int(head.lower().split("content-length: ")[1].split("\r")[0])
            body = b""
            while len(body) < n:
                body += client.recv(n - len(body))
            got.append((head, body))
            client.sendall(b"HTTP/1.1 %s\r\ncontent-length: 0\r\n\r\n" %
                           (b"500 No" if len(got) == 1 else b"204 Yes"))
        with Peer(serve) as p:
            with environment(HOOK=f"http://127.0.0.1:{p.port}/hook?a",
                             SECRET="key"):
                server = Server("/", example("webhook.lua"))
            with server as s:
                with s.client() as c:
                    r = c.ask("POST", "/tell", body=b'a "quoted"\n')
                    self.assertEqual((r.status, r.text), (202, "delivery 1\n"))
                    self.assertEqual(c.ask(path="/tell").status, 405)
                wait_until(lambda: "delivery 1: delivered" in self.get(s).text,
                           "for the second attempt")
        head, body = got[1]
        self.assertEqual(json.loads(body), {"id": 1, "text": 'a "quoted"\n'})
        self.assertIn("POST /hook?a HTTP/1.1", head)
        self.assertIn("x-signature: sha256=" + hmac.new(
            b"key", body, hashlib.sha256).hexdigest(), head)


class Redis(harness.TestCase):
    """examples/redis.lua, by a real server."""

    @contextlib.contextmanager
    def redis(self):
        harness.need("redis-server")
        with tempfile.TemporaryDirectory(dir=harness.directory()) as d:
            os.chmod(d, 0o755)
            path = d + "/redis.sock"
            process = subprocess.Popen(
                ["redis-server", "--port", "0", "--unixsocket", path,
                 "--unixsocketperm", "777", "--save", "", "--dir", d],
                preexec_fn=lambda: os.umask(0), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
            def listens():
                with socket.socket(socket.AF_UNIX) as s:
                    return s.connect_ex(path) == 0
            try:
                wait_until(listens, "for redis-server")
                yield path
            finally:
                process.kill()
                process.wait()

    def test_counts_and_keeps(self):
        value = os.urandom(200000)
        with self.redis() as path:
            with environment(REDIS="unix:" + path):
                server = Server("/", example("redis.lua"), workers=1)
            with server as s, s.client() as c:
                for n in (1, 2, 3):
                    self.assertEqual(c.ask().text, f"visit {n}, {n} of them at "
                                                   "worker 0\n")
                self.assertEqual(c.ask(path="/key/a").status, 404)
                self.assertEqual(c.ask("PUT", "/key/a", body=value).status, 204)
                r = c.ask(path="/key/a")
                self.assertEqual(r.body, value)
                self.assertEqual((r.get("content-type"),
                                  r.get("x-content-type-options")),
                                 ("application/octet-stream", "nosniff"))
                r = c.ask(path="/key/workers")  # of another type
                self.assertEqual(r.status, 502)
                self.assertIn("WRONGTYPE", r.text)

    def test_many_at_once(self):
        with self.redis() as path:
            with environment(REDIS="unix:" + path):
                server = Server("/", example("redis.lua"), workers=2)
            with server as s:
                clients = [s.client() for _ in range(20)]
                for c in clients:
                    c.request()
                seen = sorted(int(c.response().text.split()[1][:-1])
                              for c in clients)
                for c in clients:
                    c.close()
                self.assertEqual(seen, list(range(1, 21)))

    def test_what_is_no_redis(self):
        for answer in (b"HTTP/1.1 400 Bad\r\n", b"$x\r\n", b"$5\r\nab",
                       b"*2\r\n:1\r\n", b""):
            def serve(client, answer=answer):
                client.recv(1000)
                client.sendall(answer)
            with Peer(serve) as p:
                with environment(REDIS=f"127.0.0.1:{p.port}"):
                    server = Server("/", example("redis.lua"), workers=1)
                with server as s:
                    r = self.get(s, "/key/a")
                    self.assertEqual(r.status, 502)
                    self.assertRegex(r.text, "redis: (malformed|closed)")
