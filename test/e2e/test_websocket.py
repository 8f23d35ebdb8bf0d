"""WebSockets, over HTTP/1.1 and TLS, by frames that are written here and by the
clients that there are."""

import os
import signal
import struct
import tempfile
import unittest
from unittest import mock

import harness
from harness import Server, need, script

TEXT, BINARY, CLOSE, PING, PONG = 0x81, 0x82, 0x88, 0x89, 0x8A
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
HERE = os.path.dirname(os.path.abspath(__file__))


def frame(first, payload=b""):
    n = len(payload)
    if n < 126:
        head = bytes([first, 0x80 | n])
    elif n < 65536:
        head = bytes([first, 0xFE]) + struct.pack(">H", n)
    else:
        head = bytes([first, 0xFF]) + struct.pack(">Q", n)
    mask = os.urandom(4)
    key = int.from_bytes((mask * (n // 4 + 1))[:n], "little")
    masked = int.from_bytes(payload, "little") ^ key
    return head + mask + masked.to_bytes(n, "little")


def close_frame(code, reason=b""):
    return frame(CLOSE, struct.pack(">H", code) + reason)


class Socket:
    """A client that has opened a websocket."""

    def __init__(self, test, server, path, fields="", **more):
        self.client = server.client(**more)
        test.addCleanup(self.client.close)
        self.client.send(
            f"GET {path} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
            "Connection: keep-alive, Upgrade\r\n"
            f"Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n"
            f"{fields}\r\n".encode())
        self.head = self.client.until(b"\r\n\r\n")
        test.assertTrue(self.head.startswith(b"HTTP/1.1 101 "), self.head)
        self.send = self.client.send

    def receive(self):
        first, n = self.client.exactly(2)
        if n == 126:
            n = struct.unpack(">H", self.client.exactly(2))[0]
        elif n == 127:
            n = struct.unpack(">Q", self.client.exactly(8))[0]
        return first, self.client.exactly(n)


class Frames(harness.TestCase):
    def open(self, server, path, **more):
        return Socket(self, server, path, **more)

    def expect(self, ws, first, payload):
        got = ws.receive()
        self.assertEqual((got[0], got[1][:80]), (first, payload[:80]))
        self.assertEqual(got[1], payload)

    def test_messages_of_every_size(self):
        sizes = (0, 1, 125, 126, 65535, 65536, 1 << 20)
        for tls in ((), ["ec"]):
            with Server("/", script("websocket.lua"), tls=tls) as s:
                ws = self.open(s, "/echo")
                for n in sizes:
                    data = os.urandom(n)
                    ws.send(frame(BINARY, data))
                    self.expect(ws, BINARY, data)
                ws.send(frame(0x01, b"a") + frame(PING, b"p") +
                        frame(0x80, b"b") + close_frame(1000, b"done"))
                self.expect(ws, PONG, b"p")
                self.expect(ws, TEXT, b"ab")
                self.expect(ws, CLOSE, struct.pack(">H", 1000))
                self.assertEqual(ws.client.closed(), b"")
                s.wait_for_log("echo ends.*1000.*done")

    def test_what_breaks_the_rules(self):
        wrong = (
            (frame(TEXT, b"\xff"), 1007), (b"\xc1\x80", 1002),
            (b"\x81\x01a", 1002), (frame(0x80, b"a"), 1002),
            (close_frame(1005), 1002),
            (b"\x82\xff" + struct.pack(">Q", 1 << 40) + b"mask", 1009))
        with Server("/", script("websocket.lua")) as s:
            good = self.open(s, "/echo")
            for octets, code in wrong:
                ws = self.open(s, "/echo")
                ws.send(octets)
                first, payload = ws.receive()
                self.assertEqual(first, CLOSE)
                self.assertEqual(struct.unpack(">H", payload[:2])[0], code)
                self.assertEqual(ws.client.closed(), b"")
            good.send(frame(TEXT, b"still here"))
            self.expect(good, TEXT, b"still here")

    def test_no_websocket(self):
        with Server("/", script("websocket.lua")) as s, s.client() as c:
            self.assertEqual(c.ask(path="/echo").status, 400)
        with Server("/", script("websocket.lua")) as s, s.client() as c:
            answer = c.ask(path="/echo", fields=(
                "Upgrade: websocket", "Connection: Upgrade",
                f"Sec-WebSocket-Key: {KEY}", "Sec-WebSocket-Version: 8"))
            self.assertEqual(answer.status, 426)
            self.assertEqual(answer.get("sec-websocket-version"), "13")
            self.assertEqual(answer.get("upgrade"), "websocket")

    def test_a_client_that_does_not_read_holds_up_itself_alone(self):
        with Server("/", script("websocket.lua"), workers=1) as s:
            slow = self.open(s, "/floods", receive_buffer=4096)
            ws = self.open(s, "/echo")
            ws.send(frame(TEXT, b"quick"))
            self.expect(ws, TEXT, b"quick")
            self.assertLess(s.peak_kib(), 300 << 10)
            total = 0
            for _ in range(64):
                total += len(slow.receive()[1])
            self.assertEqual(total, 64 << 20)

    def test_a_handler_that_does_not_read_holds_its_client_back(self):
        with Server("/", script("websocket.lua"), workers=1) as s:
            ws = self.open(s, "/sleeps")
            ws.client.socket.settimeout(2)
            with self.assertRaises(OSError):
                for _ in range(256):
                    ws.send(frame(BINARY, bytes(1 << 20)))
            self.assertLess(s.peak_kib(), 300 << 10)

    def test_a_handler_that_does_not_read_learns_that_its_client_has_gone(self):
        with Server("/", script("websocket.lua")) as s:
            for n, messages in enumerate((0, 1, 7)):
                ws = self.open(s, "/listens")
                for _ in range(messages):
                    ws.send(frame(BINARY, bytes(15000)))
                ws.client.close()
                s.wait_for_log(r"(?s)(stopped to listen: closed.*){%d}" % (n + 1))

    def test_a_message_that_has_left_is_not_kept(self):
        """While its handler waits for the next one."""
        with Server("/", script("websocket.lua"), workers=1) as s:
            sockets = [self.open(s, "/forgets") for _ in range(20)]
            for ws in sockets:
                data = os.urandom(1 << 20)
                ws.send(frame(BINARY, data))
                self.expect(ws, BINARY, data)
            self.assertLess(int(self.get(s, "/needs").text), 10 << 10)

    def test_a_stop_says_1001(self):
        with Server("/", script("websocket.lua")) as s:
            sockets = [self.open(s, path) for path in ("/echo", "/sleeps")]
            s.signal()
            for ws in sockets:
                self.expect(ws, CLOSE, struct.pack(">H", 1001))
                self.assertEqual(ws.client.closed(), b"")
            s.wait()

    def test_a_reload_says_1001(self):
        with Server("/", script("websocket.lua"),
                    limits={"reload_grace_ms": 1000}) as s:
            ws = self.open(s, "/echo")
            s.signal(signal.SIGHUP)
            self.expect(ws, CLOSE, struct.pack(">H", 1001))
            s.wait_for_log("reloaded: scripts and certificates")
            ws = self.open(s, "/echo")
            ws.send(frame(TEXT, b"new"))
            self.expect(ws, TEXT, b"new")

    def test_silence_is_pinged_and_ended(self):
        with Server("/", script("websocket.lua"),
                    limits={"ws_ping_ms": 1000}) as s:
            ws = self.open(s, "/echo")
            self.expect(ws, PING, b"")
            ws.send(frame(PONG))
            self.expect(ws, PING, b"")
            s.wait_for_log("echo ends.*1006.*no pong.*closed")

    def test_everybody_hears_everybody(self):
        workers = {b"worker 0"}
        if not harness.own_loop():
            workers.add(b"worker 1")
        with Server("/", script("websocket.lua"), tls=["ec"]) as s:
            all = [self.open(s, "/chat") for _ in range(20)]
            self.assertEqual({ws.receive()[1] for ws in all}, workers)
            for i, ws in enumerate(all):
                ws.send(frame(TEXT, b"%d" % i))
                for other in all:
                    self.expect(other, TEXT, b"%d" % i)

    def test_it_is_a_request_in_the_access_log(self):
        log = os.path.join(harness.directory(), "access.log")
        with Server("/", script("websocket.lua"),
                    limits={"access_log": log}) as s:
            ws = self.open(s, "/echo")
            ws.send(close_frame(1000))
            self.expect(ws, CLOSE, struct.pack(">H", 1000))
            self.assertEqual(ws.client.closed(), b"")
            harness.wait_until(lambda: os.path.exists(log) and open(log).read(),
                               "a line of the access log")
            self.assertIn('"GET /echo HTTP/1.1" 101 ', open(log).read())


class Examples(harness.TestCase):
    def example(self, name):
        return Server("/", os.path.join(harness.EXAMPLES, name))

    def test_chat(self):
        with self.example("chat.lua") as s:
            one = Socket(self, s, "/socket")
            self.assertRegex(one.receive()[1], rb"^127.0.0.1:\d+ has come$")
            two = Socket(self, s, "/socket", fields="Origin: http://a\r\n")
            for ws in (one, two):
                self.assertTrue(ws.receive()[1].endswith(b" has come"))
            two.send(frame(TEXT, "h\u00e4llo".encode()))
            for ws in (one, two):
                self.assertTrue(
                    ws.receive()[1].endswith(": h\u00e4llo".encode()))
            two.send(close_frame(1001))
            self.assertTrue(one.receive()[1].endswith(b" has left"))
            # Who says what is no text costs nobody else anything.
            rude = Socket(self, s, "/socket")
            self.assertTrue(rude.receive()[1].endswith(b" has come"))
            rude.send(frame(BINARY, b"\xff"))
            self.assertEqual(rude.receive(), (CLOSE, struct.pack(">H", 1003) +
                                              b"only text is said here"))
            rude.send(close_frame(1003))
            for words in (b" has come", b" has left"):
                self.assertTrue(one.receive()[1].endswith(words))
            one.send(frame(TEXT, b"still here"))
            self.assertTrue(one.receive()[1].endswith(b": still here"))
            with s.client() as c:
                answer = c.ask(path="/socket", fields=["Origin: http://evil"])
                self.assertEqual(answer.status, 403)

    def console(self, server):
        found = server.wait_for_log(r"the console is at /\?(\w+)")
        return Socket(self, server, "/socket?" + found.group(1))

    def said(self, ws):
        """What a command says, and the directory after it."""
        output = b""
        while True:
            first, payload = ws.receive()
            if first == TEXT:
                return output, payload
            output += payload

    def test_console(self):
        with self.example("console.lua") as s:
            with s.client() as c:
                for path in ("/", "/socket", "/socket?guess"):
                    self.assertEqual(c.ask(path=path).status, 403)
            ws = self.console(s)
            self.said(ws)
            for line, output, directory in (
                    (b"cd /usr", b"", b"/usr"), (b"pwd", b"/usr\n", b"/usr"),
                    (b"echo a; echo b >&2", b"a\nb\n", b"/usr"),
                    (b"printf 'a\\000b\\000'", b"a\0b\0", b"/usr"),
                    (b"head -c 9000 /dev/zero; printf '%8000d' 1; echo",
                     bytes(9000) + b" " * 7999 + b"1\n", b"/usr")):
                ws.send(frame(TEXT, line))
                self.assertEqual(self.said(ws), (output, directory))
            ws.send(frame(TEXT, b"seq 100000"))
            self.assertTrue(self.said(ws)[0].endswith(b"\n99999\n100000\n"))
            # Whoever says that it has begun has the signals of a command.
            ws.send(frame(TEXT, b"sh -c 'echo begun; exec sleep 1000'"))
            self.assertEqual(ws.receive(), (BINARY, b"begun\n"))
            ws.send(frame(TEXT, b"\x03"))
            self.assertEqual(self.said(ws), (b"", b"/usr"))
            # Between two commands it is the shell alone that is interrupted.
            ws.send(frame(TEXT, b"cd /; kill -s INT $$; sleep 1000"))
            self.assertEqual(self.said(ws), (b"", b"/"))

    def test_a_console_without_a_directory(self):
        """A line is not run elsewhere than where it was meant for."""
        with tempfile.TemporaryDirectory() as place, \
                mock.patch.dict(os.environ, HOME="/nonexistent"), \
                self.example("console.lua") as s:
            ws = self.console(s)
            output, directory = self.said(ws)
            self.assertIn(b"/nonexistent", output)
            self.assertEqual(directory, b"/")
            gone = os.path.join(os.path.realpath(place), "gone")
            os.mkdir(gone)
            ws.send(frame(TEXT, f"cd {gone}".encode()))
            self.assertEqual(self.said(ws), (b"", gone.encode()))
            os.rmdir(gone)
            ws.send(frame(TEXT, b"echo run"))
            output, directory = self.said(ws)
            self.assertIn(gone.encode(), output)
            self.assertNotIn(b"run\n", output)
            self.assertEqual(directory, b"/")
            ws.send(frame(TEXT, b"echo run"))
            self.assertEqual(self.said(ws), (b"run\n", b"/"))

    def test_a_console_that_is_left_ends_its_process(self):
        with self.example("console.lua") as s:
            ws = self.console(s)
            self.said(ws)
            ws.send(frame(TEXT, b"echo $$; exec sleep 1000"))
            pid = int(ws.receive()[1])
            self.assertTrue(harness.running(pid))
            ws.client.close()
            harness.wait_until(lambda: not harness.running(pid),
                               "for the process to end")


class Clients(harness.TestCase):
    """10,000 messages of 1 octet to 1 MiB each way arrive whole."""

    def run_client(self, *command, tls, scheme="ws", **more):
        with Server("/", script("websocket.lua"),
                    tls=["ec"] if tls else ()) as s:
            url = s.url.replace("http", scheme) + "/echo"
            done = harness.run(*command, url, timeout=240, **more)
            self.assertEqual(done.stdout.strip()[-60:], "10000 whole",
                             done.stdout + done.stderr)

    def python(self, tls, program="websocket_client.py", modules="websockets",
               **more):
        probe = harness.run("/usr/bin/python3", "-c", "import " + modules)
        if probe.returncode:
            raise unittest.SkipTest(f"python3 has not all of {modules} here")
        self.run_client("/usr/bin/python3",
                        os.path.join(HERE, "scripts", program), tls=tls, **more)

    def test_python_websockets(self):
        self.python(False)

    def test_python_websockets_by_tls(self):
        self.python(True)

    def test_over_http2(self):
        self.python(True, "websocket_h2_client.py", "websockets, h2",
                    scheme="http")

    def node(self, tls):
        # Where Debian has node's modules, which not every node knows.
        env = {**harness.environment(), "NODE_PATH": "/usr/share/nodejs"}
        need("node")
        if harness.run("node", "-e", "require('ws')", env=env).returncode:
            raise unittest.SkipTest("no node-ws here")
        self.run_client("node",
                        os.path.join(HERE, "scripts", "websocket_client.js"),
                        tls=tls, env=env)

    def test_node_ws(self):
        self.node(False)

    def test_node_ws_by_tls(self):
        self.node(True)
