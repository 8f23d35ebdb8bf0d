"""Reloads: new scripts and certificates while requests are served."""

import os
import re
import shutil
import signal
import ssl
import subprocess
import tempfile
import threading
import time

import harness
from harness import Server, need, wait_until
from test_client_certs import Authority

DONE = "reloaded: scripts and certificates"
FAILED = "reload: nothing has changed: "


class Reload(harness.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="lhttpd-reload-")
        self.addCleanup(directory.cleanup)
        self.directory = directory.name
        os.chmod(self.directory, 0o755)

    def path(self, name):
        return os.path.join(self.directory, name)

    def write(self, name, text):
        with open(self.path(name), "w") as f:
            f.write(text)
        return self.path(name)

    def script(self, word, more=""):
        return self.write("script.lua", f"local word = '{word}'\n{more}\n"
                          "httpd.register_handler('/', function()\n"
                          "  httpd.header{['content-type'] = 'text/plain'}\n"
                          "  httpd.write(nil, word) end)")

    def count(self, server, words):
        return len(re.findall(words, server.log()))

    def reload(self, server, words=DONE):
        before = self.count(server, words)
        server.signal(signal.SIGHUP)
        wait_until(lambda: self.count(server, words) > before,
                   f"for '{words}' in the log")

    def is_freed(self, path, times):
        """Whether the last finalizer has run so often."""
        return wait_until(lambda: os.path.exists(path) and
                          len(open(path).read()) >= times, "the old VMs' end")


class Scripts(Reload):
    def test_open_connections_meet_the_new_script(self):
        with Server("/", self.script("one")) as s, s.client() as c:
            self.assertEqual(c.ask().text, "one")
            self.script("two")
            self.assertEqual(c.ask().text, "one")
            self.reload(s)
            self.assertEqual(c.ask().text, "two")
            self.assertEqual(self.get(s).text, "two")

    def test_what_runs_beside_handlers_ends(self):
        """It is told of a reload and of a stop, and does not count twice."""
        name = self.script("one", """
httpd.every(0.05, function() httpd.log("tick of " .. word) end)
httpd.register_handler("/spawn", function()
    for i = 1, 3 do
        httpd.spawn(function(n)
            local _, why = httpd.sleep(1000)
            httpd.log(word .. " " .. n .. ": " .. why)
        end, i)
    end
    httpd.write(nil, "begun")
end)""")
        with Server("/", name, workers=2) as s:
            self.assertEqual(self.get(s, "/spawn").text, "begun")
            s.wait_for_log("tick of one")
            with open(name) as f:
                text = f.read()
            self.write("script.lua", text.replace("'one'", "'two'"))
            self.reload(s)
            for n in (1, 2, 3):
                s.wait_for_log(f"one {n}: stopping")
            s.wait_for_log("tick of two")
            self.assertEqual(self.get(s, "/spawn").text, "begun")
            # By the same worker, whoever says first that it was reloaded.
            log = s.log()
            self.assertNotIn("tick of one", log[log.index("tick of two"):])
            s.signal()
            self.assertEqual(s.wait(), 0)
            for n in (1, 2, 3):
                self.assertIn(f"two {n}: stopping", s.log())
            self.assertIn("every request was answered", s.log())

    def test_http2_streams_meet_the_new_script(self):
        need("curl")
        slow = ("httpd.register_handler('/slow', function()\n"
                "  httpd.log('slow begins')\n"
                "  httpd.sleep(60) httpd.write(nil, word) end)")
        with Server("/", self.script("one", slow), tls=("ec",)) as s:
            curl = subprocess.Popen(
                ["curl", "-sSk", "--http2", "-w", " %{num_connects} ",
                 s.url + "/slow", s.url + "/"],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
            s.wait_for_log("slow begins")
            self.script("two", slow)
            self.reload(s)
            out = curl.communicate(timeout=harness.PATIENCE)[0]
            self.assertEqual(out, "one 1 two 0 ")

    def test_a_broken_script_changes_nothing(self):
        with Server("/", self.script("one")) as s:
            self.write("script.lua", "httpd.register_handler(\n\n+)")
            self.reload(s, FAILED + ".*script.lua:3: ")
            self.assertEqual(self.get(s).text, "one")
            self.script("two", "error('not today')")
            self.reload(s, FAILED + ".*script.lua:2: not today")
            os.remove(self.path("script.lua"))
            self.reload(s, FAILED + "script.*script.lua.*[Nn]o such file")
            self.assertEqual(self.get(s).text, "one")
            self.script("two")
            self.reload(s)
            self.assertEqual(self.get(s).text, "two")

    def test_all_scripts_or_none(self):
        with Server("/", self.script("one"), "/x",
                    self.write("x.lua", "httpd.register_handler('/',\n"
                               "  function() httpd.write(nil, 'x1') end)")) as s:
            self.script("two")
            self.write("x.lua", "x(")
            self.reload(s, FAILED + ".*x.lua:1: ")
            self.assertEqual(self.get(s).text, "one")
            self.assertEqual(self.get(s, "/x/").text, "x1")

    LONG = """
httpd.register_handler('/long', function()
    httpd.write(nil, 'begun,')
    httpd.write(nil, httpd.stopping() and 'no,' or 'yes,')
    local ok, why = httpd.sleep(60)
    httpd.write(nil, tostring(why) .. ',')
    httpd.write(nil, tostring(httpd.stopping()) .. ',' .. word)
end)
local mark = io.open('%s', 'a')
-- Lua 5.4 finalizes only what had a __gc when it got its metatable.
word_of_end = newproxy and newproxy(true) or setmetatable({}, {__gc = true})
getmetatable(word_of_end).__gc = function() mark:write('x') mark:close() end
"""

    def test_a_handler_ends_where_it_has_begun(self):
        ends = self.path("ends")
        with Server("/", self.script("one", self.LONG % ends), workers=1) as s:
            with s.client() as c:
                c.request(path="/long")
                c.until(b"yes,")
                self.script("two", self.LONG % ends)
                self.reload(s)
                self.assertIn(b"stopping,true,one", c.until(b"one") + b"one")
            self.assertEqual(self.get(s).text, "two")
            self.is_freed(ends, 1)

    def test_the_grace_is_over(self):
        more = ("httpd.register_handler('/quiet', function()\n"
                "  repeat until httpd.closed() or\n"
                "    select(2, httpd.sleep(60)) == 'closed' end)\n"
                "httpd.register_handler('/begun', function()\n"
                "  httpd.write(nil, 'begun')\n"
                "  repeat until select(2, httpd.sleep(60)) == 'closed'\n"
                "  httpd.write(nil, 'more') end)\n")
        with Server("/", self.script("one", more), workers=1,
                    limits={"reload_grace_ms": 300}) as s:
            with s.client() as quiet, s.client() as begun:
                quiet.request(path="/quiet")
                begun.request(path="/begun")
                begun.until(b"begun")
                self.script("two", more)
                self.reload(s)
                self.assertEqual(quiet.response().status, 503)
                self.assertNotIn(b"0\r\n\r\n", begun.closed())
                self.assertEqual(quiet.ask().text, "two")

    def test_a_script_asks(self):
        more = ("httpd.register_handler('/reload', function()\n"
                "  httpd.write(nil, tostring(httpd.reload())) end)\n"
                "print(select(2, pcall(httpd.reload)))")
        with Server("/", self.script("one", more)) as s:
            for i in range(5):
                self.script(f"new{i}", more)
                before = self.count(s, DONE)
                self.assertEqual(self.get(s, "/reload").text, "true")
                wait_until(lambda: self.count(s, DONE) > before, "the reload")
                self.assertEqual(self.get(s).text, f"new{i}")
            self.write("script.lua", "x(")
            self.get(s, "/reload")
            s.wait_for_log(FAILED + ".*script.lua:1: ")
            self.assertEqual(self.get(s).text, "new4")

    def test_a_child_that_a_loading_script_starts(self):
        more = ("child = httpd.popen({'/bin/sh', '-c',\n"
                "  'echo ready; exec sleep 1000'})\n"
                "local line = child:read('*l')\n"
                "httpd.register_handler('/child', function()\n"
                "  httpd.write(nil, line .. tostring(\n"
                "    select(2, httpd.close(child, 0.01)))) end)\n"
                "io.popen('exit 0')\n")
        with Server("/", self.script("one", more), workers=1) as s:
            for i in range(3):
                self.script(f"new{i}", more)
                self.reload(s)
                self.assertEqual(self.get(s, "/child").text, "readytimeout")

    def is_closed(self, port):
        try:
            harness.Client(port).close()
        except ConnectionRefusedError:
            return True
        return False

    def test_a_stop_during_a_reload(self):
        if harness.own_loop():
            self.skipTest("its only thread loads, and closes nothing meanwhile")
        fifo = self.path("fifo")
        os.mkfifo(fifo)
        with Server("/", self.script("one"), workers=1) as s:
            with s.client() as c:
                self.assertEqual(c.ask().text, "one")
                self.script("two", f"io.open('{fifo}'):read('*a')")
                s.signal(signal.SIGHUP)
                with open(fifo, "w"):  # the script loads
                    s.signal()
                    wait_until(lambda: self.is_closed(s.port), "the stop")
                    self.assertEqual(c.ask().get("connection"), "close")
            self.assertEqual(s.wait(), 0)
            self.assertIn(FAILED + "the server stops", s.log())


class Certificates(Reload):
    def install(self, kind, *names):
        for path, name in zip(harness.certificate(kind, *names),
                              ("c.pem", "k.pem")):
            shutil.copy(path, self.path(name + ".new"))
            os.rename(self.path(name + ".new"), self.path(name))

    def options(self):
        return ("-c", self.path("c.pem"), "-k", self.path("k.pem"))

    def server(self, *options, **more):
        s = Server("/", self.script("one"), options=(*self.options(), *options),
                   **more)
        s.tls = True
        return s

    def name(self, server):
        """The name in the certificate that a new handshake gets."""
        pem = ssl.get_server_certificate(("127.0.0.1", server.port))
        done = subprocess.run(["openssl", "x509", "-noout", "-subject"],
                              input=pem, text=True, stdout=subprocess.PIPE)
        return done.stdout.strip().split()[-1].split("=")[-1]

    def test_new_handshakes_get_the_new_certificate(self):
        self.install("ec", "one.example.org")
        with self.server() as s, s.client() as c:
            self.assertEqual(self.name(s), "one.example.org")
            self.install("rsa", "two.example.org")
            self.reload(s)
            self.assertEqual(self.name(s), "two.example.org")
            self.assertEqual(c.ask().text, "one")

    def test_sessions_are_resumed(self):
        self.install("ec", "one.example.org")
        with self.server() as s:
            context = harness.tls_context()

            def shake(session):
                c = harness.Client(s.port)
                c.socket = context.wrap_socket(c.socket, session=session)
                with c:
                    self.assertEqual(c.ask().text, "one")
                    return c.socket.session, c.socket.session_reused
            session, reused = shake(None)
            self.assertFalse(reused)
            self.reload(s)
            self.assertTrue(shake(session)[1])

    def test_a_broken_certificate_changes_nothing(self):
        self.install("ec", "one.example.org")
        with self.server() as s:
            self.script("two")
            self.write("k.pem", "no key")
            self.reload(s, FAILED + "key.*k.pem")
            self.install("rsa", "two.example.org")
            os.remove(self.path("c.pem"))
            self.reload(s, FAILED + "certificate.*c.pem.*no such file")
            self.assertEqual(self.name(s), "one.example.org")
            self.assertEqual(self.get(s).text, "one")

    def test_of_another_time(self):
        """It is used, and said: at the start, by -t and at each reload."""
        ca = Authority("clock")
        said = r"warning: certificate '\S+/c.pem': "
        for name, begin, end, words in (
                ("old", -9, -2, "it has expired at "),
                ("early", 2, 9, "it is not valid before ")):
            with self.subTest(name=name):
                self.install("ec", "one.example.org")
                with self.server() as s:
                    self.reload(s)
                    self.assertEqual(self.count(s, said), 0)
                    pair = ca.client(name, begin=begin, end=end)
                    shutil.copy(pair[0], self.path("c.pem"))
                    shutil.copy(pair[1], self.path("k.pem"))
                    self.reload(s)
                    s.wait_for_log(said + words + r"\d{4}-\d\d-\d\dT\S+Z, ")
                    self.assertEqual(self.name(s), name)
                done = harness.lhttpd("-t", *self.options(), "-l", "/",
                                      self.script("one"))
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertRegex(done.stderr, said + words)

    def test_one_that_expires_meanwhile(self):
        """A server that has begun before says it, once."""
        ca = Authority("clock")
        said = r"warning: certificate '\S+/c.pem': it has expired at "
        for seconds in (5, 10, 20, 40):
            end = time.time() + seconds
            pair = ca.client(f"in{seconds}", end=seconds / 86400)
            shutil.copy(pair[0], self.path("c.pem"))
            shutil.copy(pair[1], self.path("k.pem"))
            self.script("one")
            with self.server() as s:
                if time.time() > end - 2:
                    continue  # on a busy machine it takes longer to begin
                s.wait_for_log(said)
                self.assertEqual(self.name(s), f"in{seconds}")
                self.assertEqual(self.count(s, said), 1)
                return
        self.fail("no server has begun in time")

    def test_a_key_that_only_root_may_read(self):
        harness.need_root()
        self.install("ec", "one.example.org")
        os.chmod(self.path("k.pem"), 0o600)
        with self.server("-u", "65534:65534") as s:
            s.wait_for_log("k.pem will not be read again by a reload")
            self.install("rsa", "two.example.org")
            os.chmod(self.path("k.pem"), 0o600)
            self.script("two")
            self.reload(s, "reloaded: scripts are as they are now; "
                           "1 certificate could not be read")
            s.wait_for_log("k.pem is not read again")
            self.assertEqual(self.name(s), "one.example.org")
            self.assertEqual(self.get(s).text, "two")


class Load(Reload):
    ROUNDS = 20

    def under(self, server, *command):
        """Reloads while the command runs; its output."""
        client = subprocess.Popen(command, stdin=subprocess.DEVNULL, text=True,
                                  stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT)
        out = []
        reader = threading.Thread(target=lambda: out.append(
            client.communicate()[0]))
        reader.start()
        rounds, end = 0, time.monotonic() + 2 * harness.PATIENCE
        while reader.is_alive() or rounds < 3:
            self.script(f"round{rounds}")
            self.reload(server)
            rounds += 1
            if time.monotonic() > end:
                client.kill()
        reader.join()
        self.assertEqual(client.returncode, 0, out)
        return out[0]

    def check(self, tls, scheme):
        need("h2load")
        options = dict(tls=("ec",)) if tls else {}
        with Server("/", self.script("one"), **options) as s:
            def threads():
                return len(os.listdir(f"/proc/{s.pid}/task"))
            at_start = threads()
            self.reload(s)
            # The thread that has reloaded ends a little after its words.
            wait_until(lambda: threads() == at_start, f"{at_start} threads")
            before = s.descriptors(), at_start
            out = self.under(s, "h2load", "-n", "6000", "-c", "8", "-m", "8",
                             *scheme, s.url + "/")
            self.assertIn("6000 succeeded, 0 failed, 0 errored, 0 timeout", out)
            wait_until(lambda: (s.descriptors(), threads()) == before,
                       f"{before} descriptors and threads")

    def test_http2(self):
        self.check(False, ())

    def test_http1(self):
        self.check(False, ("--h1",))

    def test_tls(self):
        self.check(True, ())

    def test_new_connections(self):
        need("curl")
        with Server("/", self.script("one"), tls=("ec",)) as s:
            out = self.under(
                s, "curl", "-sSk", "-H", "connection: close", "-w", "\n",
                *[f"{s.url}/?{i}" for i in range(100)])
            self.assertEqual(len(out.split()), 100)

    def test_memory(self):
        big = "local t = {} for i = 1, 50000 do t[i] = {} end"
        with Server("/", self.script("one", big)) as s:
            for _ in range(10):
                self.reload(s)
            s.reset_peak()
            first = s.peak_kib()
            for _ in range(20):
                self.reload(s)
                self.assertEqual(self.get(s).text, "one")
            self.assertLess(s.peak_kib(), first + 40 * 1024)
