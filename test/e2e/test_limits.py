"""Every time-out and size limit of HTTP/1 that -o can make small."""

import os
import socket
import time
import unittest

import harness
from harness import Server, script

TOOLS = ("/", script("tools.lua"))
HEAD = "POST /patient HTTP/1.1\r\nhost: a\r\n"
CHUNKED = HEAD + "transfer-encoding: chunked\r\n\r\n"


def server(**limits):
    return Server(*TOOLS, limits=limits)


class Sizes(harness.TestCase):
    def status(self, s, data):
        """Of the answer, after which the connection ends."""
        with s.client() as c:
            c.send(data)
            status = c.response().status
            self.assertEqual(c.closed(), b"")
            return status

    def test_request_line(self):
        with server(request_line_bytes=100) as s:
            line = "GET /?%s HTTP/1.1\r\nhost: a\r\n\r\n"
            self.assertEqual(self.get(s, "/?" + "x" * 50).status, 200)
            self.assertEqual(self.status(s, line % ("x" * 100)), 414)
            # Without its end, too: what never ends is not kept.
            self.assertEqual(self.status(s, "GET /" + "x" * 200), 414)

    def test_header(self):
        with server(header_bytes=500) as s:
            fields = ["x: " + "y" * 300]
            self.assertEqual(self.get(s, fields=fields).status, 200)
            self.assertEqual(self.status(
                s, "GET / HTTP/1.1\r\nhost: a\r\nx: " + "y" * 600), 431)

    def test_header_fields(self):
        with server(header_fields=5) as s:
            def request(n):
                return ("GET / HTTP/1.1\r\nhost: a\r\n" +
                        "x: y\r\n" * n + "\r\n")
            with s.client() as c:
                c.send(request(4))
                self.assertEqual(c.response().status, 200)
            self.assertEqual(self.status(s, request(6)), 431)

    def test_body_of_declared_length(self):
        with server(body_bytes=1000) as s:
            with s.client() as c:
                r = c.ask("POST", "/patient", body=b"x" * 1000)
                self.assertEqual(r.text, "read 1000\n")
            self.assertEqual(
                self.status(s, HEAD + "content-length: 1001\r\n\r\n"), 413)
            self.assertNotIn("patient: too large", s.log())

    def test_chunked_body(self):
        with server(body_bytes=1000) as s:
            self.assertEqual(self.status(
                s, CHUNKED + "3e9\r\n" + "x" * 1001 + "\r\n0\r\n\r\n"), 413)
            s.wait_for_log("patient: too large")

    def test_chunk_line(self):
        with server(chunk_line_bytes=20) as s:
            data = CHUNKED + "1;%s\r\nx\r\n0\r\n\r\n"
            with s.client() as c:
                c.send(data % "x=y")
                self.assertEqual(c.response().text, "read 1\n")
            self.assertEqual(self.status(s, data % ("x" * 30)), 400)

    def test_trailers(self):
        with server(trailer_bytes=100) as s:
            data = CHUNKED + "1\r\nx\r\n0\r\nt: %s\r\n\r\n"
            with s.client() as c:
                c.send(data % "x")
                self.assertEqual(c.response().text, "read 1\n")
            self.assertEqual(self.status(s, data % ("x" * 200)), 400)

    def test_memory_of_a_vm(self):
        with server(vm_memory_bytes=8 << 20) as s, s.client() as c:
            self.assertEqual(c.ask(path="/memory?1").text, "kept 1\n")
            self.assertEqual(c.ask(path="/memory?50").status, 500)
            self.assertEqual(c.ask(path="/memory?1").text, "kept 1\n")
            s.wait_for_log("vm_memory_bytes=8388608 is met: .*not enough "
                           "memory.*GET /memory.50")

    def test_memory_that_a_script_needs_to_load(self):
        """To be compiled, to run, and where it catches the error itself."""
        path = os.path.join(harness.directory(), "big.lua")
        for text in ("local s = '" + "x" * 2000000 + "'",
                     "local t = {} for i = 1, 100000 do t[i] = {} end",
                     "local ok, why = pcall(string.rep, 'x', 2000000)\n"
                     "error(why)"):
            with open(path, "w") as f:
                f.write(text)
            with self.subTest(text=text[:40]):
                done = harness.lhttpd("-t", "-o", "vm_memory_bytes=1000000",
                                      "-l", "/", path)
                self.assertEqual(done.returncode, 1)
                self.assertIn(path + ": to load it takes more than "
                              "vm_memory_bytes=1000000", done.stderr)


class Times(harness.TestCase):
    def test_header(self):
        with server(header_timeout_ms=300) as s, s.client() as c:
            c.send("GET / HTTP/1.1\r\n")
            self.assertEqual(c.response().status, 408)
            self.assertEqual(c.closed(), b"")

    def test_header_that_drips(self):
        with server(header_timeout_ms=300) as s, s.client() as c:
            c.send("GET / HTTP/1.1\r\n")
            for _ in range(400):
                if c.readable(0.05):
                    break
                c.send("x: y\r\n")
            self.assertEqual(c.response().status, 408)

    def test_second_header(self):
        with server(header_timeout_ms=300) as s, s.client() as c:
            self.assertEqual(c.ask().status, 200)
            c.send("GET")
            self.assertEqual(c.response().status, 408)

    def test_silent_client_gets_no_408(self):
        with server(header_timeout_ms=300, idle_timeout_ms=300) as s, \
                s.client() as c:
            self.assertEqual(c.closed(), b"")
            s.wait_for_log("it sent nothing for 300 ms")

    def test_idle(self):
        with server(idle_timeout_ms=300) as s, s.client() as c:
            self.assertEqual(c.ask().status, 200)
            self.assertEqual(c.to_end(), b"")

    def test_an_answer_that_is_cut_does_not_look_whole(self):
        with server(send_timeout_ms=300) as s, \
                s.client(receive_buffer=4096) as c:
            c.request(path="/download?64", version="HTTP/1.0")
            s.wait_for_log("it took nothing of what was sent for 300 ms")
            with self.assertRaises(ConnectionResetError):
                c.to_end()

    def test_body(self):
        with server(body_timeout_ms=300) as s, s.client() as c:
            c.send(HEAD + "content-length: 10\r\n\r\nhalf")
            self.assertEqual(c.response().status, 408)
            self.assertEqual(c.closed(), b"")
            s.wait_for_log("patient: timeout")

    def test_rate_of_a_body(self):
        with server(body_timeout_ms=1000, body_rate=1000) as s, \
                s.client() as c:
            c.send(HEAD + "content-length: 1000000\r\n\r\n")
            for _ in range(400):
                if c.readable(0.05):
                    break
                c.send("x")
            self.assertEqual(c.response().status, 408)

    def test_client_that_takes_nothing(self):
        with server(send_timeout_ms=300) as s, \
                s.client(receive_buffer=4096) as c:
            c.request(path="/download?64")
            s.wait_for_log("download: ")
            c.closed()
            s.wait_for_log("it took nothing of what was sent for 300 ms "
                           r"\[\S+\] \[id [0-9a-f]{32}\]")

    def test_lingering(self):
        with server(linger_timeout_ms=300, linger_bytes=1 << 30) as s, \
                s.client() as c:
            c.send("BAD\r\nhost: a\r\n\r\n")
            c.request(path="/?", version="HTTP/9.9")
            c.closed()
            # What is left to check is that the stop finds nothing.

    def test_handshake(self):
        with Server(*TOOLS, tls=("ec",),
                    limits={"handshake_timeout_ms": 300}) as s, \
                harness.Client(s.port) as c:
            c.send(b"\x16\x03\x01")
            c.closed()
            s.wait_for_log("its TLS handshake was not done after 300 ms")

    def test_handshake_that_the_client_leaves(self):
        with Server(*TOOLS, tls=("ec",)) as s:
            words = "it closed the connection in its TLS handshake"
            # To look whether the port is open is no handshake that has failed.
            with harness.Client(s.port) as c:
                c.socket.shutdown(socket.SHUT_WR)
                c.closed()
            with harness.Client(s.port) as c:
                c.send(b"\x16\x03\x01")
            s.wait_for_log(words)
            self.assertEqual(s.log().count(words), 1)

    def test_handler_that_does_not_pause(self):
        with server(handler_run_ms=100) as s, s.client() as c:
            self.assertEqual(c.ask(path="/overrun?0.5").status, 500)
            self.assertEqual(c.ask().text, "hello\n")
            s.wait_for_log("GET /overrun")


class Numbers(harness.TestCase):
    def test_requests_on_a_connection(self):
        with server(connection_requests=2) as s, s.client() as c:
            self.assertEqual(c.ask().get("connection"), None)
            self.assertEqual(c.ask().get("connection"), "close")
            self.assertEqual(c.to_end(), b"")

    def test_connections(self):
        """The one that has been idle the longest makes room."""
        with Server(*TOOLS, limits={"connections": 4}, workers=1) as s:
            clients = [s.client() for _ in range(4)]
            for c in clients:
                self.assertEqual(c.ask().status, 200)
                time.sleep(0.01)
            with s.client() as late:
                self.assertEqual(late.ask().status, 200)
                self.assertEqual(clients[0].closed(), b"")
                s.wait_for_log("a new client needs room")
                self.assertEqual(clients[3].ask().status, 200)
            for c in clients:
                c.close()

    def test_few_descriptors(self):
        """Clients leave some to the server and its handlers."""
        if harness.over_libkqueue():
            self.skipTest("libkqueue has descriptors of its own for each client")
        path = os.path.join(harness.directory(), "opens.lua")
        with open(path, "w") as f:
            f.write("httpd.register_handler('/', function()\n"
                    "  local f = assert(httpd.open('/etc/passwd'))\n"
                    "  httpd.write(nil, httpd.read(f, 'l') and 'opened')\n"
                    "  f:close()\n"
                    "end)\n")
        with Server("/", path, files=40) as s:
            silent = [s.client() for _ in range(80)]
            self.assertEqual(self.get(s).text, "opened")
            self.assertLess(s.descriptors(), 32)
            for c in silent:
                c.close()

    def test_no_descriptor_is_left(self):
        """Where nobody can be closed for a new client, the log says so."""
        with Server(*TOOLS, limits={"connections": 1000}, files=40,
                    workers=1) as s:
            clients = []
            for _ in range(40):  # nobody is silent while others come
                clients.append(s.client())
                clients[-1].send(HEAD + "content-length: 4\r\n\r\n")
            s.wait_for_log("no client can be accepted: " +
                           harness.NO_DESCRIPTOR)
            for c in clients:
                c.send("body")
            for c in clients:  # and in the end all are served
                self.assertEqual(c.response().text, "read 4\n")
                c.close()

    def test_clients_that_send_nothing_make_room(self):
        """On TLS as well, where they have not begun a handshake."""
        limits = {"connections": 4, "handshake_timeout_ms": "unlimited",
                  "idle_timeout_ms": "unlimited"}
        for tls in (), ("ec",):
            with self.subTest(tls=tls), Server(
                    *TOOLS, limits=limits, workers=1, tls=tls) as s:
                silent = [harness.Client(s.port) for _ in range(8)]
                self.assertEqual(self.get(s).text, "hello\n")
                for c in silent:
                    c.close()

    def test_connections_that_are_all_busy(self):
        """Further clients wait for one to end."""
        with Server(*TOOLS, limits={"connections": 2}, workers=1) as s:
            clients = [s.client() for _ in range(2)]
            for c in clients:
                c.send(HEAD + "expect: 100-continue\r\n"
                       "content-length: 4\r\n\r\n")
                c.until(b" 100 Continue\r\n\r\n")  # its handler has begun
            with s.client() as late:
                late.request()
                s.wait_for_log("all connections that may be open are busy")
                for c in clients:
                    c.send("body")
                    self.assertEqual(c.response().text, "read 4\n")
                    c.close()
                self.assertEqual(late.response().text, "hello\n")


if __name__ == "__main__":
    unittest.main()
