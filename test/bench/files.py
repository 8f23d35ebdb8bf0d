#!/usr/bin/env python3
"""How much a hello handler notices of a neighbour on the same worker.

One client asks for a page every few milliseconds while another request of the
same worker reads a cold file of 2 GiB, waits for a FIFO that never delivers, or
for a slow child process; by io_uring and by helper threads.  For comparison the
cold file is also read by a process that has nothing to do with the server: what
that costs is the machine's doing, not the server's.  Printed are
microseconds, and the 99.9th percentile as a multiple of the quiet one.  The
server has one CPU for itself where there are two.

Usage: test/bench/files.py [path of the binary [MiB of the file]]
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

BINARY = sys.argv[1] if len(sys.argv) > 1 else "build/release/lhttpd"
FILE_BYTES = int(sys.argv[2] if len(sys.argv) > 2 else 2048) << 20
REQUESTS = 4000
PAUSE_S = 0.001
CPUS = sorted(os.sched_getaffinity(0))

SCRIPT = """
local dir = %r .. "/"
httpd.register_handler("/hello", function()
    httpd.write(nil, "hello")
end)
httpd.register_handler("/cold", function()
    local f, n = assert(httpd.open(dir .. "file")), 0
    while true do
        local piece = httpd.read(f, 65536)
        if not piece then break end
        n = n + #piece
    end
    f:close()
    httpd.write(nil, ("%%.0f"):format(n))
end)
httpd.register_handler("/fifo", function()
    local f = assert(httpd.open(dir .. "fifo", "r+"))
    httpd.read(f)
end)
httpd.register_handler("/child", function()
    local p = assert(httpd.popen({"python3", "-uc", "import time\\n" ..
        "while True: print('x'); time.sleep(0.01)"}))
    while httpd.read(p, "l") do end
end)
"""


def connect(port):
    s = socket.create_connection(("127.0.0.1", port))
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return s


def ask(s, path):
    s.sendall(b"GET %s HTTP/1.1\r\nhost: x\r\n\r\n" % path.encode())
    got = b""
    while b"\r\n\r\nhello" not in got:
        part = s.recv(65536)
        if not part:
            raise SystemExit("the server has closed")
        got += part


def latencies(port, keep_going):
    """Microseconds a request, sorted."""
    found = []
    with connect(port) as s:
        for _ in range(200):
            ask(s, "/hello")
        while len(found) < REQUESTS or keep_going():
            begin = time.perf_counter_ns()
            ask(s, "/hello")
            found.append((time.perf_counter_ns() - begin) / 1000)
            time.sleep(PAUSE_S)
    return sorted(found)


def forget_pages(path):
    """Out of the page cache: no root is needed for one's own file."""
    with open(path, "rb") as f:
        os.fsync(f.fileno())
        os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def read_once(path):
    """By another process, from the disk."""
    forget_pages(path)
    subprocess.run(["dd", "if=" + path, "of=/dev/null", "bs=64k"],
                   stderr=subprocess.DEVNULL)


class Stranger:
    """Another process that reads the cold file, until told otherwise."""

    def __init__(self, file):
        self.left = False
        self.thread = threading.Thread(target=self.run, args=[file])
        self.thread.start()

    def run(self, file):
        while not self.left:
            read_once(file)

    def leave(self):
        self.left = True
        self.thread.join()


class Neighbour:
    """A request that goes on, or is asked again, until told otherwise."""

    def __init__(self, port, path, file=None):
        self.port, self.path, self.file = port, path, file
        self.socket = None
        self.left = False
        self.bytes = 0
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        time.sleep(0.1)

    def run(self):
        while not self.left:
            if self.file:
                forget_pages(self.file)
            self.socket = connect(self.port)
            self.socket.sendall(b"GET %s HTTP/1.0\r\n\r\n" %
                                self.path.encode())
            got = b""
            while part := self.socket.recv(65536):
                got += part
            if got:
                self.bytes += int(got.split(b"\r\n\r\n")[1])
            self.socket.close()

    def leave(self):
        self.left = True
        if not self.file:
            self.socket.shutdown(socket.SHUT_RDWR)
        self.thread.join()


def report(name, found, quiet):
    p = [found[int(len(found) * q)] for q in (0.5, 0.99, 0.999)]
    print("%-24s %8.0f %8.0f %8.0f %8.0f   %.2f" %
          (name, p[0], p[1], p[2], found[-1],
           p[2] / quiet[int(len(quiet) * 0.999)]), flush=True)


def measure(directory, way, port):
    never = lambda: False
    quiet = latencies(port, never)
    report(way + " quiet", quiet, quiet)
    stranger = Stranger(os.path.join(directory, "file"))
    found = latencies(port, never)
    stranger.leave()
    report(way + " read by another", found, quiet)
    for name, path in (("cold file", "/cold"), ("fifo", "/fifo"),
                       ("slow child", "/child")):
        file = os.path.join(directory, "file") if name == "cold file" else None
        begin = time.monotonic()
        n = Neighbour(port, path, file)
        found = latencies(port, never)
        n.leave()
        report(way + " " + name, found, quiet)
        if n.bytes:
            print("%24s %.0f MB/s" %
                  ("", n.bytes / 1e6 / (time.monotonic() - begin)))


def main():
    with tempfile.TemporaryDirectory(dir="/var/tmp") as directory:
        script = os.path.join(directory, "bench.lua")
        with open(script, "w") as f:
            f.write(SCRIPT % directory)
        with open(os.path.join(directory, "file"), "wb") as f:
            block = os.urandom(1 << 20)
            for _ in range(FILE_BYTES >> 20):
                f.write(block)
        # What it took to write it is over then.
        read_once(os.path.join(directory, "file"))
        os.mkfifo(os.path.join(directory, "fifo"))
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        print("%-24s %8s %8s %8s %8s   %s" %
              ("", "50 %", "99 %", "99.9 %", "most", "of quiet"))
        for way in ("threads", "uring"):
            os.sched_setaffinity(0, CPUS[:1])
            server = subprocess.Popen(
                [BINARY, "-f", "-w", "1", "-a", "127.0.0.1", "-p", str(port),
                 "-l", "/", script],
                env=dict(os.environ, LHTTPD_AIO=way), stderr=subprocess.DEVNULL)
            os.sched_setaffinity(0, CPUS[1:] or CPUS)
            try:
                time.sleep(0.3)
                measure(directory, way, port)
            finally:
                server.send_signal(signal.SIGTERM)
                server.wait()


if __name__ == "__main__":
    main()
