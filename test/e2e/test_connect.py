"""httpd.connect: sockets that handlers open, to peers of every kind."""

import contextlib
import os
import signal
import socket
import ssl
import struct
import tempfile
import threading
import time
import unittest.mock

import harness
from harness import PATIENCE, Server, script


class Peer:
    """Listens, and runs `serve` with each client in a thread of its own."""

    def __init__(self, serve, family=socket.AF_INET, path=None, backlog=16,
                 receive_buffer=None):
        self.serve = serve
        self.socket = socket.socket(socket.AF_UNIX if path else family)
        if receive_buffer:  # those who are accepted have it, too
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF,
                                   receive_buffer)
        self.socket.bind(path or ("::1" if family == socket.AF_INET6 else
                                  "127.0.0.1", 0))
        self.socket.listen(backlog)
        self.port = 0 if path else self.socket.getsockname()[1]
        self.met = 0
        self.failure = None
        self.threads = []
        self.clients = []
        self.acceptor = threading.Thread(target=self._accept, daemon=True)
        if serve:
            self.acceptor.start()

    def _accept(self):
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            self.met += 1
            client.settimeout(PATIENCE)
            self.clients.append(client)
            thread = threading.Thread(target=self._serve, args=(client,),
                                      daemon=True)
            thread.start()
            self.threads.append(thread)

    def _serve(self, client):
        try:
            with client:
                self.serve(client)
        except (ConnectionError, TimeoutError):
            pass
        except Exception as e:  # for the test, which runs in another thread
            self.failure = e

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        # A thread that waits in accept() keeps the socket open.
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        if self.serve:
            self.acceptor.join(PATIENCE)
        # Who is left waits for a connection that is kept for later.
        for thread in self.threads:
            thread.join(0.2)
        for client in self.clients:
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join(PATIENCE)
        if kind is None and self.failure:
            raise self.failure


def echo(client):
    while data := client.recv(65536):
        client.sendall(data)


def closed_port():
    """A port on which nobody listens: bound, so that nobody else will."""
    s = socket.socket()
    s.bind(("127.0.0.1", 0))
    return s


class Sockets(harness.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server("/", script("run.lua"), workers=1,
                            limits={"sockets": 8})

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def lua(self, code, server=None):
        with (server or self.server).client() as c:
            r = c.ask("POST", "/", body=code.encode())
        self.assertEqual(r.status, 200, (server or self.server).log()[-2000:])
        return r.text.split("\n")

    def first(self, code, **more):
        return self.lua(code, **more)[0]

    def test_lines_there_and_back(self):
        with Peer(echo) as p:
            self.assertEqual(self.lua(f"""
                local s = assert(httpd.connect("127.0.0.1", {p.port}))
                local n = httpd.write(s, "one\\ntwo\\nrest")
                local a, b = httpd.read(s, "l"), httpd.read(s, "L")
                httpd.close(s, "write")
                local c, d = httpd.read(s, "a"), httpd.read(s)
                assert(httpd.close(s) and tostring(s) == "socket (closed)")
                return n, a .. b .. c, d, tostring(s)"""),
                ["12", "onetwo", "rest", "nil",
                 "socket (closed)"])

    def test_ipv6(self):
        try:
            peer = Peer(echo, socket.AF_INET6)
        except OSError:
            self.skipTest("there is no IPv6 here")
        with peer as p:
            self.assertEqual(self.first(f"""
                local s = assert(httpd.connect("::1", {p.port}))
                httpd.write(s, "six")
                return httpd.read(s, 3)"""), "six")

    def test_octets_for_which_there_was_no_memory(self):
        # What could not become a string is still there.
        sent = b"".join(b"%9d\n" % i for i in range(4000))
        with Peer(lambda client: client.sendall(sent)) as p, \
                Server("/", script("run.lua"), workers=1,
                       limits={"vm_memory_bytes": 3000000}) as s:
            self.assertEqual(self.lua(f"""
                local s = assert(httpd.connect("127.0.0.1", {p.port}))
                local first, full = httpd.read(s, 10), {{}}
                pcall(function()
                    while true do
                        full[#full + 1] = ("x"):rep(1000) .. #full
                    end
                end)
                local ok, data = pcall(httpd.read, s, 2000)
                full = nil
                collectgarbage()
                if ok then first = first .. data end
                first = first .. httpd.read(s, "a")
                return #first, first:sub(11, 19)""", server=s)[:2],
                [str(len(sent)), "        1"])

    def test_unix_sockets(self):
        with tempfile.TemporaryDirectory(dir=harness.directory()) as d, \
                Peer(echo, path=d + "/s") as _:
            os.chmod(d, 0o755)
            os.chmod(d + "/s", 0o777)
            self.assertEqual(self.first(f"""
                local s = assert(httpd.connect("unix:{d}/s", {{timeout = 60}}))
                httpd.write(s, {{"by ", "unix"}})
                return httpd.read(s, 7)"""), "by unix")
        self.assertEqual(self.lua(
            'return httpd.connect("unix:/nonexistent/s")')[:3],
            ["nil", "unix:/nonexistent/s: No such file or directory", "2"])
        self.assertEqual(self.lua(
            'return httpd.connect("unix:/" .. ("x"):rep(200))')[2], "36")

    def test_a_unix_socket_that_is_full_is_waited_for(self):
        with tempfile.TemporaryDirectory(dir=harness.directory()) as d:
            os.chmod(d, 0o755)
            with Peer(None, path=d + "/s", backlog=0) as p:
                os.chmod(d + "/s", 0o777)
                first = socket.socket(socket.AF_UNIX)
                first.connect(d + "/s")
                self.assertEqual(self.lua(
                    f'return httpd.connect("unix:{d}/s", {{timeout = 0.2}})')
                    [:2], ["nil", "timeout"])
                thread = threading.Timer(0.2, lambda: p.socket.accept()[0])
                thread.start()
                self.assertEqual(self.first(
                    f'return httpd.connect("unix:{d}/s", {{timeout = 60}})'),
                    "socket (open)")
                thread.join()
                first.close()

    def test_nobody_listens(self):
        harness.need_socket_errors()
        with closed_port() as s:
            port = s.getsockname()[1]
            self.assertEqual(self.lua(
                f'return httpd.connect("127.0.0.1", {port})')[:3],
                ["nil", "127.0.0.1: Connection refused", "111"])

    def test_who_does_not_answer_is_timed_out(self):
        """A backlog that is full: the kernel drops what else wants to come."""
        with Peer(None, backlog=0) as p:
            full = [socket.socket() for _ in range(4)]
            for s in full:
                s.setblocking(False)
                s.connect_ex(("127.0.0.1", p.port))
            self.assertEqual(self.lua(
                f'return httpd.connect("127.0.0.1", {p.port},'
                ' {timeout = 0.3})')[:2], ["nil", "timeout"])
            for s in full:
                s.close()

    def test_names_of_the_hosts_file(self):
        with Peer(echo) as p:
            code = f"""
                local s = assert(httpd.connect("localhost", {p.port}))
                httpd.write(s, "named")
                return httpd.read(s, 5)"""
            self.assertEqual(self.first(code), "named")
            if harness.own_loop():
                return
            with Server("/", script("run.lua"), workers=1,
                        limits={"aio": "inline"}) as s:
                self.assertIn("aio=inline allows none: give an address",
                              self.lua(f'return httpd.connect("localhost",'
                                       f'{p.port})', server=s)[1])
                self.assertEqual(self.first(
                    code.replace("localhost", "127.0.0.1"), server=s), "named")

    def test_mistakes_raise(self):
        for call, words in (
                ('httpd.connect()', "bad argument #1 to 'httpd.connect' "
                                    "(string expected, got nil)"),
                ('httpd.connect("", 80)', "is empty or has a zero"),
                ('httpd.connect("a\\0b", 80)', "is empty or has a zero"),
                ('httpd.connect("a")', "bad argument #2"),
                ('httpd.connect("a", 0)', "a port is from 1 to 65535"),
                ('httpd.connect("a", 1.5)', "a port is from 1 to 65535"),
                ('httpd.connect("a", 1, 2)', "bad argument #3"),
                ('httpd.connect("unix:/a", 1)', "bad argument #2"),
                ('httpd.connect("a", 1, {timeout = -1})', "not negative"),
                ('httpd.connect("unix:")', "no path is behind unix:"),
        ):
            self.assertIn(words, self.lua(
                f"return select(2, pcall(function() {call} end))")[0])

    def test_options_that_there_are_not(self):
        """Here, and of whatever else takes options: none is left out silently."""
        for name, arguments, option in (
                ("connect", '"127.0.0.1", 1', "timout"),
                ("connect", '"unix:/a"', "timout"),
                ("popen", '{"true"}', "stdrr"),
                ("subscribe", '"a"', "que"),
                ("websocket", None, "protocol")):
            before = arguments + ", " if arguments else ""
            for options, words in (
                    (f'{{{option} = 1}}', f"there is no option '{option}'"),
                    ('{true}', "an option that is no name"),
                    ('"x"', "table expected, got string")):
                self.assertIn(words, self.lua(
                    "return select(2, pcall(function() "
                    f"httpd.{name}({before}{options}) end))")[0], name)

    def test_one_byte_at_a_time(self):
        def trickle(client):
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for c in b"a line\nand 100 more":
                client.sendall(bytes([c]))
                time.sleep(0.001)
        with Peer(trickle) as p:
            self.assertEqual(self.lua(f"""
                local s = assert(httpd.connect("127.0.0.1", {p.port}))
                return httpd.read(s, "l"), httpd.read(s, 100), httpd.read(s)
                """)[:3], ["a line", "and 100 more", "nil"])

    def test_much_both_ways_at_once(self):
        """The writer and the reader are two handlers; the peer reads nothing
        before somebody reads what it says."""
        n = 8 << 20
        with Peer(echo) as p:
            self.assertEqual(self.lua(f"""
                local s = assert(httpd.connect("127.0.0.1", {p.port}))
                httpd.spawn(function()
                    local piece = ("0123456789abcdef"):rep(4096)
                    for i = 1, {n} / #piece do
                        assert(httpd.write(s, piece, 60) == #piece)
                    end
                    httpd.close(s, "write")
                end)
                local got, sum = 0, 0
                while true do
                    local data, why = httpd.read(s)
                    if not data then return got, sum, why end
                    got, sum = got + #data, sum + data:byte()
                end""")[::2], [str(n), "nil"])

    def test_a_peer_that_never_reads_holds_back(self):
        done = threading.Event()

        def deaf(client):
            done.wait(PATIENCE)
        with Peer(deaf) as p:
            self.assertEqual(self.lua(f"""
                local s = assert(httpd.connect("127.0.0.1", {p.port}))
                local piece = ("x"):rep(1000000)
                for i = 1, 100 do
                    local n, why = httpd.write(s, piece, 0.2)
                    if not n then return why, i < 100 end
                end""")[:2], ["timeout", "true"])
            done.set()

    def test_a_read_that_times_out_loses_nothing(self):
        def halves(client):
            client.sendall(b"half")
            client.recv(1)  # the first read is over
            client.sendall(b" and half")
        with Peer(halves) as p:
            self.assertEqual(self.lua(f"""
                local s = assert(httpd.connect("127.0.0.1", {p.port}))
                local a, why = httpd.read(s, 13, 0.1)
                httpd.write(s, "x")
                return why, httpd.read(s, 13, 60)""")[:2],
                ["timeout", "half and half"])

    def test_a_reset_is_told_from_the_end(self):
        harness.need_socket_errors()
        def reset(client):
            client.recv(1)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                              struct.pack("ii", 1, 0))
        with Peer(reset) as p:
            self.assertEqual(self.lua(f"""
                local s = assert(httpd.connect("127.0.0.1", {p.port}))
                httpd.write(s, "x")
                local data, why, code = httpd.read(s)
                return data, why, code, select(2, httpd.write(s, "y"))"""),
                ["nil", "closed", "32", "closed"])

    def test_what_is_closed_stays_so(self):
        with Peer(echo) as p:
            self.assertEqual(self.lua(f"""
                local s = assert(httpd.connect("127.0.0.1", {p.port}))
                assert(httpd.close(s) and httpd.close(s))
                local _, r = httpd.read(s)
                local _, w = httpd.write(s, "x")
                local _, c = httpd.close(s, "write")
                return r, w, c"""), ["closed"] * 3 + ["nil"])

    def test_it_ends_with_its_handler(self):
        with Peer(echo) as p:
            self.lua(f"""
                S = assert(httpd.connect("127.0.0.1", {p.port}))
                K = assert(httpd.connect("127.0.0.1", {p.port},
                                         {{keep = true}}))""")
            self.assertEqual(self.lua("""
                httpd.write(K, "kept")
                local kept = httpd.read(K, 4)
                local s = tostring(S)
                httpd.close(K)
                S, K = nil
                return s, kept""")[:2], ["socket (closed)", "kept"])

    def test_lost_ones_are_found_and_the_limit_holds(self):
        with Peer(echo) as p:
            many = f"""
                local all, why = {{}}
                for i = 1, 9 do
                    all[i], why = httpd.connect("127.0.0.1", {p.port},
                                                {{keep = true}})
                end
                return #all, why"""
            self.assertEqual(self.lua(many)[:2], ["8", "too many"])
            # They are garbage now, and the limit has asked for a search.
            harness.wait_until(lambda: self.lua(many)[0] == "8",
                               "for lost sockets to be collected")
            self.first("collectgarbage() collectgarbage()")

    def test_they_are_counted(self):
        with Peer(echo) as p, closed_port() as none:
            port = none.getsockname()[1]
            self.assertEqual(self.lua(f"""
                collectgarbage() collectgarbage()
                local all, before = {{}}, httpd.stats().sockets
                local function count()
                    local now = httpd.stats().sockets
                    for _, name in ipairs{{"open", "connected", "failed"}} do
                        all[#all + 1] = now[name] - before[name]
                    end
                end
                local s = assert(httpd.connect("127.0.0.1", {p.port}))
                count()
                httpd.close(s)
                assert(not httpd.connect("127.0.0.1", {port}))
                count()
                return table.concat(all, " ")""")[0], "1 1 0 0 1 1")

    def test_wait_for_one_of_several(self):
        go = threading.Event()

        def late(client):
            go.wait(PATIENCE)
            client.sendall(b"late")
        with Peer(echo) as quick, Peer(late) as slow:
            self.assertEqual(self.lua(f"""
                local a = assert(httpd.connect("127.0.0.1", {slow.port}))
                local b = assert(httpd.connect("127.0.0.1", {quick.port}))
                httpd.write(b, "quick")
                local first = httpd.wait({{a, b}}, 60)
                local which, what = first == b, httpd.read(first)
                local none, why = httpd.wait({{a, b}}, 0.1)
                return which, what, none, why"""),
                ["true", "quick", "nil", "timeout"])
            go.set()

    def test_two_readers_are_a_mistake(self):
        with Peer(echo) as p:
            self.assertIn("another handler reads the socket", self.lua(f"""
                local s = assert(httpd.connect("127.0.0.1", {p.port}))
                httpd.spawn(function() httpd.read(s) end)
                httpd.sleep(0)
                local ok, why = pcall(httpd.read, s)
                return why""")[0])

    def test_the_client_goes_and_the_wait_ends(self):
        gone = threading.Event()

        def watch(client):
            client.recv(1)  # the end: the handler has left
            gone.set()
        with Peer(watch) as p:
            with self.server.client() as c:
                c.request("POST", "/", body=f"""
                    local s = assert(httpd.connect("127.0.0.1", {p.port}))
                    return httpd.read(s)""".encode())
                harness.wait_until(lambda: p.met, "for the handler")
                time.sleep(0.05)
            self.assertTrue(gone.wait(PATIENCE))

    def test_five_slow_peers_at_once(self):
        """As long as the slowest, by their own word: each answers once all five
        are there, so that one after the other would never end."""
        all_there = threading.Barrier(5)

        def slow(client):
            client.recv(10)
            all_there.wait(PATIENCE)
            client.sendall(b"done")
        with Peer(slow) as p:
            self.assertEqual(self.first(f"""
                local done = 0
                for i = 1, 5 do
                    httpd.spawn(function()
                        local s = assert(httpd.connect("127.0.0.1", {p.port}))
                        httpd.write(s, "go")
                        if httpd.read(s, "a", 60) == "done" then
                            done = done + 1
                        end
                    end)
                end
                for i = 1, 6000 do
                    if done == 5 then break end
                    httpd.sleep(0.01)
                end
                return done"""), "5")


class Stops(harness.TestCase):
    def setUp(self):
        self.over = threading.Event()
        self.addCleanup(self.over.set)

    def wait_with(self, serve, what):
        began = threading.Event()

        def told(client):
            client.recv(1)
            began.set()
            serve(client)
        with Peer(told, receive_buffer=4096) as p, \
                Server("/", script("run.lua"), workers=1) as s:
            with s.client() as c:
                c.request("POST", "/", body=f"""
                    local s = assert(httpd.connect("127.0.0.1", {p.port}))
                    local much = ("x"):rep(8000):rep(1000)
                    httpd.write(s, "!")
                    return select(2, {what})""".encode())
                self.assertTrue(began.wait(PATIENCE))
                s.signal(signal.SIGTERM)
                self.assertEqual(c.response().text.split("\n")[0], "stopping")
            self.over.set()
            s.wait()

    def test_a_reader_learns_of_a_stop(self):
        self.wait_with(echo, "httpd.read(s, nil, 600)")

    def test_a_writer_learns_of_a_stop(self):
        self.wait_with(lambda client: self.over.wait(PATIENCE),
                       "httpd.write(s, much, 600)")

    def connecting(self, port, options=""):
        """A request whose handler connects, and says how that ends."""
        return f"""
            return select(2, httpd.connect("127.0.0.1", {port},
                                           {{timeout = 600, {options}}}))"""

    def test_who_connects_learns_of_a_stop_and_of_a_reload(self):
        """Its peer's backlog is full: the kernel drops who else wants to come."""
        for number, log in ((signal.SIGTERM, ""), (signal.SIGHUP, "reloaded")):
            with Peer(None, backlog=0) as p, \
                    Server("/", script("run.lua"), workers=1) as s:
                full = [socket.socket() for _ in range(4)]
                for f in full:
                    f.setblocking(False)
                    f.connect_ex(("127.0.0.1", p.port))
                with s.client() as c:
                    c.request("POST", "/",
                              body=self.connecting(p.port).encode())
                    # The worker's only thread has been there before.
                    self.assertEqual(self.get(s, "/neighbour").text, "here")
                    s.signal(number)
                    self.assertEqual(c.response().text.split("\n")[0],
                                     "stopping")
                if log:
                    s.wait_for_log(log)
                    self.assertEqual(self.get(s, "/neighbour").text, "here")
                for f in full:
                    f.close()

    def test_who_shakes_hands_learns_of_a_stop_and_of_a_reload(self):
        harness.need_built_in("tls")
        pem, _ = harness.certificate("ec")
        for number in (signal.SIGTERM, signal.SIGHUP):
            asked = threading.Event()

            def silent(client):
                client.recv(1)
                asked.set()
                client.recv(100000)
                client.recv(1)
            with Peer(silent) as p, \
                    Server("/", script("run.lua"), workers=1) as s:
                with s.client() as c:
                    c.request("POST", "/", body=self.connecting(
                        p.port, f"tls = true, ca = '{pem}'").encode())
                    self.assertTrue(asked.wait(PATIENCE))
                    s.signal(number)
                    self.assertEqual(c.response().text.split("\n")[0],
                                     "stopping")

    def test_a_reload_while_sockets_wait(self):
        """A wait with a time-out ends, one without goes on; and the sockets of
        the old VM are closed once nobody of it is left."""
        ends = threading.Semaphore(0)

        def held(client):
            client.sendall(b"held\n")
            while client.recv(100):  # until the old VM goes
                pass
            ends.release()
        go = threading.Event()
        self.addCleanup(go.set)

        asked = threading.Semaphore(0)

        def slow(client):
            client.recv(1)
            asked.release()
            go.wait(PATIENCE)
            client.sendall(b"late")
        with Peer(held) as kept, Peer(slow) as p, \
                Server("/", script("run.lua"), workers=1) as s:
            code = f"""
                KEPT = KEPT or assert(httpd.connect("127.0.0.1", {kept.port},
                                                    {{keep = true}}))
                local s = assert(httpd.connect("127.0.0.1", {p.port}))
                httpd.write(s, "!")
                return httpd.read(s, 4%s)"""
            with s.client() as timed, s.client() as patient:
                patient.request("POST", "/", body=(code % "").encode())
                self.assertTrue(asked.acquire(timeout=PATIENCE))
                timed.request("POST", "/", body=(code % ", 600").encode())
                self.assertTrue(asked.acquire(timeout=PATIENCE))
                s.signal(signal.SIGHUP)
                self.assertEqual(timed.response().text.split("\n")[:2],
                                 ["nil", "stopping"])
                self.assertEqual(self.get(s, "/neighbour").text, "here")
                self.assertFalse(patient.readable())
                self.assertFalse(ends.acquire(blocking=False))
                go.set()
                self.assertEqual(patient.response().text.split("\n")[0],
                                 "late")
            self.assertTrue(ends.acquire(timeout=PATIENCE))
            self.assertEqual(self.get(s, "/neighbour").text, "here")

    def test_descriptors_run_out(self):
        with Peer(echo) as p, \
                Server("/", script("run.lua"), workers=1, files=32,
                       limits={"connections": 2}) as s:
            with s.client() as c:
                text = c.ask("POST", "/", body=f"""
                    local all = {{}}
                    for i = 1, 40 do
                        local s, why, code = httpd.connect("127.0.0.1",
                                                           {p.port})
                        if not s then return why, code end
                        all[i] = s
                    end""".encode()).text
            self.assertEqual(text.split("\n")[:2],
                             [f"127.0.0.1: {harness.NO_DESCRIPTOR}", "24"])


class Jail(harness.TestCase):
    """In another root directory, as a user who may do nothing: what is there
    works, and of what is not an error says which file or name it is about."""
    NAME_SERVER = "127.53.53.53"  # its port is 53, which nobody else has there

    def setUp(self):
        harness.need_root()
        self.root = tempfile.mkdtemp(dir=harness.directory())
        os.chmod(self.root, 0o755)
        with open(script("run.lua")) as f:
            self.write("run.lua", f.read())
        os.mkdir(self.root + "/etc", 0o755)

    def write(self, name, text, mode=0o644):
        with open(os.path.join(self.root, name), "w") as f:
            f.write(text)
        os.chmod(f.name, mode)

    def serve(self, **more):
        return Server("/", "/run.lua", workers=1, asan="detect_leaks=0",
                      options=("-r", self.root, "-u", "65534"), **more)

    def lua(self, s, code):
        with s.client() as c:
            r = c.ask("POST", "/", body=code.encode())
        self.assertEqual(r.status, 200)
        return r.text.split("\n")

    def echoed(self, where):
        return f"""
            local s = assert(httpd.connect({where}))
            httpd.write(s, "in jail")
            return httpd.read(s, 7)"""

    def test_addresses_and_paths(self):
        with Peer(echo) as p, Peer(echo, path=self.root + "/mine"), \
                Peer(echo, path=self.root + "/roots"), self.serve() as s:
            os.chmod(self.root + "/mine", 0o777)
            os.chmod(self.root + "/roots", 0o700)
            self.assertEqual(self.lua(s, self.echoed(
                f'"127.0.0.1", {p.port}'))[0], "in jail")
            self.assertEqual(self.lua(s, self.echoed('"unix:/mine"'))[0],
                             "in jail")
            for path, why, code in (
                    ("/roots", "Permission denied", "13"),
                    (self.root + "/mine", "No such file or directory", "2")):
                self.assertEqual(
                    self.lua(s, f'return httpd.connect("unix:{path}")')[:3],
                    ["nil", f"unix:{path}: {why}", code])

    def test_names_by_its_own_files(self):
        self.write("etc/nsswitch.conf", "hosts: files\n")
        self.write("etc/hosts", "127.0.0.1 cell.test\n")
        with Peer(echo) as p, self.serve() as s:
            self.assertEqual(self.lua(s, self.echoed(
                f'"cell.test", {p.port}'))[0], "in jail")

    def name_server(self, told):
        """One that is asked and never answers."""
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(server.close)
        try:
            server.bind((self.NAME_SERVER, 53))
        except OSError as e:
            self.skipTest(f"no name server here: {e}")
        self.write("etc/nsswitch.conf", "hosts: dns\n")
        self.write("etc/resolv.conf", f"nameserver {self.NAME_SERVER}\n"
                                      "options timeout:30 attempts:1\n")

        def listen():
            if server.recv(1000):
                told.set()
        threading.Thread(target=listen, daemon=True).start()

    def test_a_stop_while_a_name_is_looked_up(self):
        """The thread of the look-up cannot be ended, and holds nobody up."""
        told = threading.Event()
        self.name_server(told)
        with self.serve() as s:
            with s.client() as c:
                c.request("POST", "/", body=b"""
                    return select(2, httpd.connect("far.test", 1,
                                                   {timeout = 600}))""")
                self.assertTrue(told.wait(PATIENCE))
                self.assertEqual(self.get(s, "/neighbour").text, "here")
                s.signal(signal.SIGTERM)
                self.assertEqual(c.response().text.split("\n")[0], "stopping")
            s.wait()

    def test_authorities(self):
        harness.need_built_in("tls")
        pem, key = harness.certificate("ec")
        with open(pem) as f:
            self.write("ca.pem", f.read())
        self.write("secret.pem", "", 0o600)
        clean = {k: v for k, v in os.environ.items() if k != "SSL_CERT_FILE"}
        patch = unittest.mock.patch.dict(os.environ, clean, clear=True)
        patch.start()
        self.addCleanup(patch.stop)

        def tls(client):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(pem, key)
            with contextlib.suppress(ssl.SSLError), \
                    context.wrap_socket(client, server_side=True) as t:
                echo(t)
        with Peer(tls) as p, self.serve() as s:
            def connect(ca):
                return f'"127.0.0.1", {p.port}, {{tls = true{ca}}}'
            self.assertEqual(self.lua(s, self.echoed(
                connect(", ca = '/ca.pem'")))[0], "in jail")
            for ca, words in (
                    ("", "the system has no file of authorities where they "
                         "usually are: give one as `ca`"),
                    (f", ca = '{pem}'", f"{pem}.*: No such file or directory"),
                    (", ca = '/secret.pem'", "/secret.pem.*: Permission denied")):
                found = self.lua(s, f"return httpd.connect({connect(ca)})")
                self.assertEqual(found[0], "nil")
                self.assertRegex(found[1], "(?i)" + words)
