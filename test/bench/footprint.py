#!/usr/bin/env python3
"""What builds of lhttpd take of disk and memory, as a table in Markdown.

Usage: test/bench/footprint.sh NAME=BUILD_DIRECTORY ...

The binary's size is that of a stripped copy.  Memory at start is what is resident
once a server with one worker and one script listens (VmRSS), and of it what is its
own, not a file's (RssAnon).  What a connection takes is the growth of RssAnon from
FEW of them to MANY, divided by how many more there are, once it does not change any
more; the kernel's sockets are not in it.  Each connection has been served one
request before it is idle.  A request in flight waits in its handler; an event stream
has sent its header and waits for a message.  A websocket has echoed three messages, and
its request has the fields that a browser sends.
"""

import os
import re
import resource
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time

FEW, MANY = 200, 1200
PATIENCE = 120  # seconds
SCRIPT = """
httpd.register_handler("/", function() httpd.write(nil, "hello\\n") end)
httpd.register_handler("/wait", function() httpd.sleep(3600) end)
httpd.register_handler("/events", function()
    local news = httpd.subscribe("news")
    httpd.header { ["content-type"] = "text/event-stream" }
    httpd.write(nil, ": \\n\\n")
    httpd.flush()
    while httpd.write(nil, httpd.read(news)) do end
end)
httpd.register_handler("/ws", function()
    local ws = httpd.websocket()
    local message = httpd.read(ws)
    while message do
        httpd.write(ws, message)
        message = httpd.read(ws)
    end
end)
"""
WS_REQUEST = b"""GET /ws HTTP/1.1
host: localhost:8080
connection: Upgrade
pragma: no-cache
cache-control: no-cache
user-agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
Chrome/120.0.0.0 Safari/537.36
upgrade: websocket
origin: http://localhost:8080
sec-websocket-version: 13
accept-encoding: gzip, deflate, br
accept-language: en-US,en;q=0.9
sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==
sec-websocket-extensions: permessage-deflate; client_max_window_bits

""".replace(b"\n", b"\r\n")
H2_REQUEST = (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0" +
              b"\0\0\0\4\1\0\0\0\0" +
              b"\0\0\6\1\5\0\0\0\1" + b"\x82\x86\x84\x41\x01a")


class Server:
    def __init__(self, build, directory, tls):
        binary = os.path.join(build, "lhttpd")
        script = os.path.join(directory, "footprint.lua")
        with open(script, "w") as f:
            f.write(SCRIPT)
        options = ["-c", directory + "/pem", "-k", directory + "/key"]
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [binary, "-f", "-w", "1", "-a", "127.0.0.1", "-p", "0",
             "-o", "idle_timeout_ms=3600000", *(options if tls else []),
             "-l", "/", script], stderr=self.log)
        end = time.monotonic() + PATIENCE
        while True:
            size = os.fstat(self.log.fileno()).st_size
            text = os.pread(self.log.fileno(), size, 0).decode()
            found = re.search(r"listening on \S+:(\d+)", text)
            if found:
                break
            if self.process.poll() is not None or time.monotonic() > end:
                sys.exit(f"{binary} does not start: {text}")
            time.sleep(0.05)
        self.port = int(found.group(1))

    def memory(self, of):
        """KiB, once it stays the same for three seconds."""
        last, since, end = None, 0, time.monotonic() + PATIENCE
        while time.monotonic() < end:
            with open(f"/proc/{self.process.pid}/status") as f:
                now = int(re.search(of + r":\s+(\d+)", f.read()).group(1))
            if now != last:
                last, since = now, time.monotonic()
            elif time.monotonic() - since > 3:
                break
            time.sleep(0.1)
        return last

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()


def receive(s, until):
    got = b""
    while until not in got:
        piece = s.recv(4096)
        if not piece:
            sys.exit(f"closed after {got!r}")
        got += piece


def plain(port, path="/", until=b"hello\n"):
    s = socket.create_connection(("127.0.0.1", port), PATIENCE)
    s.sendall(f"GET {path} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
    if until:
        receive(s, until)
    return s


def http2(port):
    s = socket.create_connection(("127.0.0.1", port), PATIENCE)
    s.sendall(H2_REQUEST)
    receive(s, b"hello\n")
    return s


def wrapped(port):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(socket.create_connection(("127.0.0.1", port),
                                                        PATIENCE))


def tls(port):
    s = wrapped(port)
    s.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
    receive(s, b"hello\n")
    return s


def waiting(port):
    return plain(port, "/wait", None)


def stream(port):
    return plain(port, "/events", b": \n\n")


def websocket(port):
    s = wrapped(port)
    s.sendall(WS_REQUEST)
    receive(s, b"\r\n\r\n")
    for _ in range(3):
        s.sendall(b"\x81\x85\0\0\0\0hello")
        receive(s, b"hello")
    return s


def growth(build, directory, connect):
    """Octets for each connection; None where the build cannot."""
    needs = {"tls": "tls", "websocket": "tls", "http2": "http2"}.get(connect.__name__)
    parts = subprocess.run([build + "/lhttpd", "-V"], text=True,
                           stdout=subprocess.PIPE).stdout.split()
    if needs and needs not in parts:
        return None
    with Server(build, directory, needs == "tls") as s:
        open_ones = [connect(s.port) for _ in range(FEW)]
        first = s.memory("RssAnon")
        open_ones += [connect(s.port) for _ in range(MANY - FEW)]
        return (s.memory("RssAnon") - first) * 1024 / (MANY - FEW)


def kib(octets):
    return "-" if octets is None else f"{octets / 1024:.1f} KiB"


def measure(build, directory):
    copy = os.path.join(directory, "stripped")
    shutil.copy(build + "/lhttpd", copy)
    subprocess.run(["strip", copy], check=True)
    yield f"{os.path.getsize(copy) / 1024:.0f} KiB"
    with Server(build, directory, False) as s:
        yield f"{s.memory('VmRSS') / 1024:.1f} MiB"
        yield f"{s.memory('RssAnon') / 1024:.1f} MiB"
    idle = growth(build, directory, plain)
    yield kib(idle)
    yield kib(growth(build, directory, tls))
    yield kib(growth(build, directory, http2))
    yield kib(growth(build, directory, waiting) - idle)
    yield kib(growth(build, directory, stream) - idle)
    yield kib(growth(build, directory, websocket))


def main():
    if len(sys.argv) < 2 or not all("=" in a for a in sys.argv[1:]):
        sys.exit(__doc__)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 8192), most))
    builds = [a.split("=", 1) for a in sys.argv[1:]]
    rows = ["the binary, stripped", "memory at start", "of it no file's",
            "an idle connection", "an idle connection with TLS",
            "an idle connection of HTTP/2", "a request in flight, beside its "
            "connection", "an event stream, beside its connection",
            "an idle websocket with TLS"]
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run(["openssl", "req", "-x509", "-nodes", "-newkey", "ec",
                        "-pkeyopt", "ec_paramgen_curve:P-256", "-subj", "/CN=a",
                        "-keyout", directory + "/key", "-out",
                        directory + "/pem"], check=True,
                       stderr=subprocess.DEVNULL)
        columns = [list(measure(path, directory)) for _, path in builds]
    print("| | " + " | ".join(name for name, _ in builds) + " |")
    print("| --- |" + " --- |" * len(builds))
    for i, row in enumerate(rows):
        print(f"| {row} | " + " | ".join(c[i] for c in columns) + " |")


if __name__ == "__main__":
    main()
