"""The examples, the README's code and the quick start, as they stand."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import unittest

import harness
import installed
from harness import BUILD, EXAMPLES, SOURCE, Server, curl, run, wait_until

VARIES = re.compile(r"CLIENT_PORT</th><td>\d+|SERVER_PROTOCOL</th><td>[^<]*|"
                    r"DATE_UTC</th><td>[^<]*|SERVER_PORT</th><td>\d+|"
                    r"127\.0\.0\.1:\d+|HTTP/1\.\d|https?|port \d+|"
                    r"request \d+|GMT|and TLS|TLSv1.2|not encrypted|"
                    r"(?:CLIENT_PORT|SERVER_PORT|SERVER_PROTOCOL|DATE_UTC)=.*")


def example(name):
    return os.path.join(EXAMPLES, name)


def read(path):
    with open(path) as f:
        return f.read()


# By Debian's own Python, which has the package python3-prometheus-client.
PARSER = """
import json, sys
from prometheus_client.parser import text_string_to_metric_families
print(json.dumps([(s.name, f.type, s.labels, s.value)
                  for f in text_string_to_metric_families(sys.stdin.read())
                  for s in f.samples if s.value != float("inf")]))
"""


# What of the statistics is as it is now; all else only grows.  There is one
# more that the parser leaves out: a limit that is infinite.
GAUGES = set("""
    uptime_ms children workers_count workers_stuck workers_present_turn_ms
    workers_longest_turn_ms connections_open connections_idle connections_tcp
    connections_tls connections_unix tasks_running tasks_waiting vms_count
    vms_memory_bytes files_pending files_by_uring
    files_by_threads requests_open channels_open channels_subscribers
    shared_values shared_bytes sockets_open""".split())


def parse_metrics(text):
    parser = subprocess.run(["/usr/bin/python3", "-c", PARSER], input=text,
                            text=True, stdout=subprocess.PIPE, check=True)
    return json.loads(parser.stdout)


class Framing(harness.TestCase):
    """Each answers alike whatever carries the request, twice on a connection."""

    PAGES = [("hello.lua", "/?name=Ada"), ("handler.lua", "/"),
             ("state.lua", "/"), ("main.lua", "/"), ("main.lua", "/script.js"),
             ("main.lua", "/nope"), ("login.lua", "/"), ("events.lua", "/"),
             ("events.lua", "/script.js"), ("demo.lua", "/style.css"),
             ("demo.lua", "/ping"), ("chat.lua", "/"), ("chat.lua", "/chat.js"),
             ("console.lua", "/console.js"), ("upload.lua", "/style.css"),
             ("upload.lua", "/upload.js")]

    def answers(self, server, path, version, method):
        found = []
        body = b"a=b" if method == "POST" else None
        with server.client() as c:
            for _ in range(2):
                r = c.ask(method, path, ["connection: keep-alive"], body,
                          version)
                self.assertIsNotNone(r.get("content-length"))
                # The order of a table's keys is nobody's promise.
                text = sorted(VARIES.sub("", r.text).splitlines())
                found.append((r.status, r.get("content-type"), text))
        self.assertEqual(found[0], found[1])
        return found[0]

    def all_answers(self, name, path, tls=()):
        with Server("/", example(name), workers=1, tls=tls) as s:
            found = {}
            for version in ("HTTP/1.0", "HTTP/1.1"):
                for method in ("GET", "HEAD", "POST"):
                    found[version, method] = self.answers(s, path, version,
                                                          method)
        return found

    def test_same_answers(self):
        for name, path in self.PAGES:
            with self.subTest(name=name, path=path):
                plain = self.all_answers(name, path)
                for method in ("GET", "HEAD", "POST"):
                    self.assertEqual(plain["HTTP/1.0", method],
                                     plain["HTTP/1.1", method])
                self.assertEqual(plain["HTTP/1.1", "HEAD"][2], [])
                self.assertNotEqual(plain["HTTP/1.1", "GET"][2], [])
                self.assertEqual(self.all_answers(name, path, ["ec"]), plain)


class Everywhere(harness.TestCase):
    """Every example, by both protocols, plain and by TLS."""

    # What is asked for, and words that the answer has.
    PAGES = {"acme.lua": ("token", "the token's words"),
             "chat.lua": ("", "</html>"), "console.lua": ("console.js", "const"),
             "demo.lua": ("", "It works."),
             "download.lua": ("file", "Serves one file, in two ways"),
             "events.lua": ("", "</html>"), "handler.lua": ("", "</html>"),
             "hello.lua": ("", "HANDLER_NAME=/"), "hints.lua": ("", "Hinted"),
             "login.lua": ("", "Who are you?"), "main.lua": ("", "</html>"),
             "process.lua": ("", "-- exit 0"),
             "proxy.lua": ("", "HANDLER_NAME=/"), "push.lua": ("", "Pushed"),
             "redis.lua": ("", "redis: "), "state.lua": ("", "request "),
             "status.lua": ("", "</html>"), "upload.lua": ("", "</html>"),
             "webhook.lua": ("", "")}
    # One that the others use, and one that needs its program: see Installed.
    OTHERS = {"style.lua", "appliance.lua"}
    STATUS = {"redis.lua": "502"}  # it has no database here

    def test_none_is_left_out(self):
        scripts = {n for n in os.listdir(EXAMPLES) if n.endswith(".lua")}
        self.assertEqual(scripts, set(self.PAGES) | self.OTHERS)

    def environment(self, upstream):
        where = harness.directory() + "/.well-known/acme-challenge"
        os.makedirs(where, exist_ok=True)
        with open(where + "/token", "w") as f:
            f.write("the token's words")
        for name, value in (("WEBROOT", harness.directory()),
                            ("REDIS", "unix:/nonexistent"),
                            ("UPSTREAM", upstream)):
            os.environ[name] = value
            self.addCleanup(os.environ.pop, name)

    def are_served(self, server, *flags):
        """The protocol is what curl has spoken at the end."""
        for name, (path, words) in self.PAGES.items():
            with self.subTest(name=name, flags=flags):
                text, version, status = curl(
                    *flags, "-k", "-w", "\n%{http_version}\n%{http_code}",
                    f"{server.url}/{name[:-4]}/{path}").rsplit("\n", 2)
                self.assertEqual((version, status),
                                 ("1.1" if "--http1.1" in flags else "2",
                                  self.STATUS.get(name, "200")))
                self.assertIn(words, text)

    def test_all(self):
        for part in ("http2", "files", "tls"):
            harness.need_built_in(part)
        with Server("/proxy", example("hello.lua"), workers=1) as upstream:
            self.environment(upstream.url)
            mappings = [word for name in self.PAGES
                        for word in ("/" + name[:-4], example(name))]
            for tls, new in (((), "--http2-prior-knowledge"),
                             (("ec",), "--http2")):
                with Server(*mappings, tls=tls, workers=1) as s:
                    self.are_served(s, "--http1.1")
                    self.are_served(s, new)


class Scripts(harness.TestCase):
    def test_hello(self):
        with Server("/", example("hello.lua")) as s:
            text = self.get(s, "/?name=A%26B", fields=["x-mine: a"]).text
        lines = text.splitlines()
        for line in ("QUERY_INFO=name=A%26B", "HANDLER_NAME=/", "x-mine: a",
                     ":method: GET", ":path: /?name=A%26B"):
            self.assertIn(line, lines)

    def test_handler_shows_both_tables_and_escapes(self):
        with Server("/", example("handler.lua")) as s:
            page = self.get(s, "/?%3Cb", fields=["x-mine: <i>&"]).text
        self.assertIn("<tr><th>HANDLER_NAME</th><td>/</td></tr>", page)
        self.assertIn("<tr><th>:method</th><td>GET</td></tr>", page)
        self.assertIn("<tr><th>x-mine</th><td>&lt;i&gt;&amp;</td></tr>", page)

    def test_acme(self):
        prefix = "/.well-known/acme-challenge"
        with tempfile.TemporaryDirectory(dir=harness.directory()) as webroot:
            os.chmod(webroot, 0o755)  # for a server of another user
            os.makedirs(webroot + prefix)
            for name in (prefix + "/Tok_en-1", "/.well-known/secret"):
                with open(webroot + name, "w") as f:
                    f.write("Tok_en-1.thumbprint")
            os.environ["WEBROOT"] = webroot
            self.addCleanup(os.environ.pop, "WEBROOT")
            with Server(prefix, example("acme.lua")) as s:
                self.assertEqual(self.get(s, prefix + "/Tok_en-1").text,
                                 "Tok_en-1.thumbprint")
                for path in ("/other", "/", "", "/..%2Fsecret", "/../secret",
                             "/a/b"):
                    status = self.get(s, prefix + path).status
                    self.assertIn(status, (404, 308), path)

    def test_state_counts_by_worker(self):
        with Server("/", example("state.lua"), workers=1) as s:
            found = [self.get(s).text for _ in range(3)]
        self.assertEqual(found, [f"worker 0, request {n}\n" for n in (1, 2, 3)])

    def test_upload_takes_forms(self):
        """As a browser without scripts sends them."""
        harness.need_built_in("files")
        with tempfile.TemporaryDirectory(dir=harness.directory()) as where:
            os.chmod(where, 0o777)  # for a server of another user
            os.environ["UPLOADS"] = where
            self.addCleanup(os.environ.pop, "UPLOADS")
            with Server("/", example("upload.lua")) as s:
                self.assertIn('enctype="multipart/form-data"',
                              self.get(s).text)
                big = os.urandom(1 << 20)
                body = b""
                # The last one has a dot where a name of 100 octets begins.
                for name, data in ((b"a b.bin", big), (b"../../.c", b"two"),
                                   (b"", b""),
                                   (b"x." + b"d" * 99, b"four")):
                    body += (b"--b\r\nContent-Disposition: form-data; "
                             b'name="file"; filename="' + name + b'"\r\n\r\n' +
                             data + b"\r\n")
                form = ["content-type: multipart/form-data; boundary=b"]
                with s.client() as c:
                    r = c.ask("POST", "/", form, body + b"--b--\r\n")
                    self.assertEqual((r.status, r.text),
                                     (200, "a_b.bin: 1048576 bytes\n"
                                           "c: 3 bytes\n" + "d" * 99 +
                                           ": 4 bytes\n"))
                    r = c.ask("POST", "/", form, body[:1 << 19])
                    self.assertEqual(r.status, 400)
                    r = c.ask("POST", "/", form, b"--b--")
                    self.assertEqual(r.text, "no file was sent\n")
                    self.assertEqual(c.ask("POST", "/", (), b"x").status, 415)
            self.assertEqual(sorted(os.listdir(where)),
                             ["a_b.bin", "c", "d" * 99])
            with open(where + "/a_b.bin", "rb") as f:
                self.assertEqual(f.read(), big)

    def test_main_and_its_notfound(self):
        with Server("/", example("main.lua"), "/in/side",
                    example("main.lua")) as s:
            page = self.get(s)
            self.assertEqual(page.status, 200)
            for link in re.findall(r'(?:src|href)="([^"]*\.\w+)"', page.text):
                self.assertEqual(self.get(s, "/" + link).status, 200)
            missing = self.get(s, "/nope?<x>")
            self.assertEqual(missing.status, 404)
            self.assertIn("<code>/nope?&lt;x&gt;</code>", missing.text)
            below = self.get(s, "/in/side/a/b")
            self.assertEqual(below.status, 404)
            self.assertIn('href="/in/side"', below.text)

    def test_status(self):
        workers = 1 if harness.own_loop() else 2
        with Server("/status", example("status.lua"), "/",
                    example("hello.lua"), workers=workers) as s:
            for _ in range(5):
                self.get(s, "/")
            counts = json.loads(self.get(s, "/status/json").text)
            text = self.get(s, "/status/metrics").text
            page = self.get(s, "/status/")
            by_field = self.get(s, "/status/",
                                fields=["accept: application/json"])
        self.assertEqual(counts["requests"]["status_2xx"], 5)
        self.assertEqual(counts["workers"]["count"], workers)
        hello = [h for h in counts["handlers"] if h["prefix"] == "/"][0]
        self.assertEqual(sum(hello["whole"]["counts"]), 5)
        self.assertEqual(json.loads(by_field.text)["workers"]["count"],
                         workers)
        found = {}
        for name, kind, labels, value in parse_metrics(text):
            key = labels.get("prefix"), labels.get("le")
            found[name, key] = kind, value
        self.assertEqual(found["lhttpd_requests_status_2xx_total",
                               (None, None)], ("counter", 6))
        self.assertEqual(found["lhttpd_workers_count", (None, None)],
                         ("gauge", workers))
        kinds = {name.removeprefix("lhttpd_"): kind
                 for (name, _), (kind, _) in found.items()}
        self.assertEqual({name for name in kinds if kinds[name] == "gauge"},
                         GAUGES)
        self.assertEqual(found["lhttpd_handler_whole_seconds_count",
                               ("/", None)], ("histogram", 5))
        self.assertEqual(found["lhttpd_handler_whole_seconds_bucket",
                               ("/", "+Inf")], ("histogram", 5))
        self.assertIn("<h2>connections</h2>", page.text)
        self.assertNotIn("://", page.text)  # nothing from elsewhere

    def test_login(self):
        form = b"user=guest&password=lhttpd"
        with Server("/in", example("login.lua"), workers=3) as s:
            with s.client() as c:
                self.assertIn("Who are you?", c.ask(path="/in/").text)
                wrong = c.ask("POST", "/in/login", body=b"user=guest")
                self.assertEqual(wrong.status, 403)
                done = c.ask("POST", "/in/login", body=form)
                self.assertEqual(done.status, 303)
                self.assertEqual(done.get("location"), "./")
                cookie = re.fullmatch(
                    r"(session=[\w.-]+); Path=/in; Max-Age=3600; "
                    r"HttpOnly; SameSite=Lax", done.get("set-cookie"))
                fields = ["cookie: a=b; " + cookie.group(1)]
                inside = c.ask(path="/in/", fields=fields)
                self.assertIn("Hello, guest", inside.text)
                others = [s.client() for _ in range(12)]
                for other in others:  # some are with another worker
                    inside = other.ask(path="/in/", fields=fields)
                    self.assertIn("Hello, guest", inside.text)
                    other.close()
                for forged in (fields[0][:-1], fields[0].replace(
                        "session=Z3Vlc3Q", "session=YWRtaW4")):
                    self.assertNotEqual(forged, fields[0])
                    self.assertIn("Who are you?",
                                  c.ask(path="/in/", fields=[forged]).text)
                out = c.ask("POST", "/in/logout", fields, b"")
                self.assertIn("Max-Age=0", out.get("set-cookie"))
                again = c.ask(path="/in/", fields=fields)
                self.assertIn("Who are you?", again.text)

    def test_login_is_secure_over_tls(self):
        with Server("/", example("login.lua"), tls=["ec"]) as s:
            with s.client() as c:
                r = c.ask("POST", "/login",
                          body=b"user=guest&password=lhttpd")
        self.assertIn("; Secure", r.get("set-cookie"))

    def test_events_are_seen_as_they_are_sent(self):
        with Server("/", example("events.lua")) as s:
            with s.client() as c:
                c.request(path="/stream?seconds=0.3")
                head = c.head()
                self.assertEqual(head.get("content-type"), "text/event-stream")
                # Not kept back until there is no more: they never end.
                for n in (1, 2, 3):
                    event = c.until(b"\n\n")
                    self.assertIn(f"id: {n}\nevent: tick".encode(), event)

    def test_events_end(self):
        with Server("/", example("events.lua")) as s:
            out = curl("-N", s.url + "/stream?count=3&seconds=0.05")
        self.assertEqual(re.findall(r"id: (\d)", out), ["1", "2", "3"])

    def test_what_one_says_all_see(self):
        with Server("/", example("events.lua")) as s:
            clients = [s.client() for _ in range(8)]
            for c in clients:
                c.request(path="/stream?seconds=60")
                c.until(b"event: tick")
            with s.client() as c:
                r = c.ask("POST", "/say", body=b"text=Hello%0A+there")
                self.assertEqual(r.status, 204)
            for c in clients:
                self.assertIn(b"id: 2\nevent: said\ndata: Hello  ",
                              c.until(b"there\n\n"))
                c.close()

    def test_a_stop_ends_events(self):
        with Server("/", example("events.lua")) as s:
            with s.client() as c:
                c.request(path="/stream")
                c.until(b"id: 1")
                s.signal()
                s.wait()

    def test_demo(self):
        with Server("/", example("demo.lua"), tls=["ec"], workers=1) as s:
            page = self.get(s)
            self.assertIn("<h1>It works.</h1>", page.text)
            self.assertNotIn("$", page.text)
            self.assertIn("default-src 'self'",
                          page.get("content-security-policy"))
            for link in re.findall(r'(?:src|href)="([^"]*)"', page.text):
                self.assertEqual(self.get(s, "/" + link).status, 200)
            with s.client() as c:
                r = c.ask("POST", "/modem", body=b"")
                self.assertEqual(r.text, "+CSQ: 17,0")
                self.assertEqual(c.ask(path="/modem").status, 405)
                form = ["content-type: multipart/form-data; boundary=b"]
                part = (b"--b\r\nContent-Disposition: form-data; name=file; "
                        b"filename=a\r\n\r\n")
                r = c.ask("POST", "/upload", form,
                          part + b"x" * 1500000 + b"\r\n--b--")
                self.assertEqual(r.text, "1.5 MB")
                r = c.ask("POST", "/upload", form, part + b"x")
                self.assertEqual(r.status, 400)
                r = c.ask("POST", "/streams", body=b"")
                self.assertEqual(r.text, "500 more: look at the line")
                self.assertEqual(c.ask(path="/nope").status, 404)
                c.request(path="/events")
                self.assertIn(b"event: past\ndata: ", c.until(b"event: tick"))
                # With the one that tells it, once all have begun.
                while b'"streams":501' not in c.until(b"\n\n"):
                    pass


class Installed(installed.TestCase):
    """Programs built with what was installed, by pkg-config."""

    @classmethod
    def use_musl(cls):
        cls.compiler = "musl-gcc"

    def test_embed(self):
        process, url = self.serve(self.build(example("embed.c")), "0")
        self.assertEqual(curl(url), "Hello from inside a C program.\n")
        self.stops(process)

    def test_appliance(self):
        process, url = self.serve(self.build(example("appliance.c")),
                                  example("appliance.lua"), "0")
        self.assertRegex(curl(url), r">2\d\.\d</b> &deg;C.*>off</b>")
        self.assertRegex(curl("-L", "-d", "on=yes", url + "lamp"), ">on</b>")
        self.assertEqual(curl(url + "power"), "7.5 W\n")
        self.assertEqual(curl(url + "signal"), "+CSQ: 17,0\n")
        self.stops(process)

    def test_appliance_tells_every_browser(self):
        """What it measures, and what one of them does, without being asked."""
        process, url = self.serve(self.build(example("appliance.c")),
                                  example("appliance.lua"), "0")
        self.assertIn('EventSource("live")', curl(url + "script.js"))
        browsers = [harness.Client(int(url.split(":")[2].strip("/")))
                    for _ in range(8)]
        for c in browsers:
            self.addCleanup(c.close)
            c.request(path="/live")
            c.until(b"data: lamp off\n\n")
            c.until(b"data: temperature ")
            self.assertRegex(c.until(b"\n\n"), rb"^2\d\.\d$")
        curl("-d", "on=yes", url + "lamp")
        for c in browsers:
            c.until(b"data: lamp on\n\n")
            c.until(b"data: temperature ")
        self.stops(process)

    def test_appliance_waits_for_many(self):
        """They overlap: one after the other they would take a minute."""
        process, url = self.serve(self.build(example("appliance.c")),
                                  example("appliance.lua"), "0")
        host, port = re.search(r"//(.*):(\d+)/", url).groups()
        clients = [socket.create_connection((host, int(port)),
                                            harness.PATIENCE)
                   for _ in range(200)]
        for c in clients:
            c.sendall(b"GET /power HTTP/1.0\r\n\r\n")
        for c in clients[:50]:
            c.close()
        for c in clients[50:]:
            answer = b""
            while part := c.recv(4096):
                answer += part
            self.assertTrue(answer.endswith(b"0.5 W\n"), answer)
            c.close()
        # Some still wait when it stops.
        with socket.create_connection((host, int(port))) as c:
            c.sendall(b"GET /signal HTTP/1.0\r\n\r\n")
            self.assertIn(">off</b>", curl(url))
            self.stops(process)

    def own_loop(self, name, *packages):
        """One thread from start to stop, and its own work is done too."""
        if harness.over_libkqueue():
            self.skipTest("nobody can wait for libkqueue's descriptor")
        program = self.build(example(name), *packages)
        # The ring's other way is helper threads, the third one has none.
        first = [] if harness.has_io_uring() else ["env", "LHTTPD_AIO=inline"]
        process, url = self.serve(*first, program, "0")
        self.assertRegex(curl(*[url] * 5), "^(Hello from .*\n){5}$")
        tasks = f"/proc/{process.pid}/task"
        names = [read(f"{tasks}/{task}/comm") for task in os.listdir(tasks)]
        # Those of io_uring are the kernel's, and GLib has one of its own.
        self.assertEqual([n for n in names if not n.startswith("iou-")
                          and not n.startswith("gmain")],
                         [os.path.basename(program) + "\n"])
        process.stdin.write("one\ntwo\n")
        process.stdin.flush()
        self.assertEqual(curl(url)[:10], "Hello from")
        process.send_signal(signal.SIGTERM)
        out, errors = process.communicate(timeout=harness.PATIENCE)
        self.assertEqual(process.returncode, 0, errors)
        self.assertNotRegex(errors, harness.REPORTS)
        return out

    def need_package(self, name):
        if run("pkg-config", "--exists", name,
               env=self.environment).returncode != 0:
            self.skipTest(f"there is no {name}")

    def test_loop_poll(self):
        self.assertEqual(self.own_loop("loop_poll.c"), "2 lines\n")

    def test_loop_uv(self):
        self.need_package("libuv")
        self.assertRegex(self.own_loop("loop_uv.c", "libuv"),
                         r"^[1-9]\d* ticks\n$")

    def test_loop_glib(self):
        self.need_package("glib-2.0")
        self.assertRegex(self.own_loop("loop_glib.c", "glib-2.0"),
                         r"^[1-9]\d* ticks\n$")

    def test_an_error_is_told(self):
        done = subprocess.run(
            [self.build(example("appliance.c")), "/nonexistent.lua", "0"],
            env=self.environment, text=True, stderr=subprocess.PIPE,
            timeout=harness.PATIENCE)
        self.assertEqual(done.returncode, 1)
        self.assertIn("/nonexistent.lua", done.stderr)

    def test_program_of_the_readme(self):
        text = re.search(r"```c\n(.*?)```", read(SOURCE + "/README.md"), re.S)
        with harness.free_port() as port:
            self.runs_on(port, text)

    def runs_on(self, port, text):
        source = os.path.join(self.prefix, "program.c")
        with open(source, "w") as f:
            f.write(text.group(1).replace("8080", str(port)))
        process = subprocess.Popen([self.build(source)], text=True,
                                   stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE,
                                   env=self.environment)
        self.addCleanup(self.end, process)
        answer = wait_until(
            lambda: run("curl", "-s", f"http://127.0.0.1:{port}/").stdout,
            "for the README's program")
        self.assertEqual(answer, "Hello from C.\n")
        _, errors = process.communicate("\n", timeout=harness.PATIENCE)
        self.assertEqual(process.returncode, 0, errors)

    def test_manual(self):
        harness.need("man")
        pages = next(d for d, _, files in os.walk(self.prefix)
                     if "liblhttpd.3" in files)
        for name, text in (("lhttpd_server_start", "returns when they serve"),
                           ("lhttpd_config_init", "Makes a server"),
                           ("lhttpd", "-l prefix script"),
                           ("lhttpd-lua", "Registers a handler, while the")):
            out = self.tool("man", "-M", os.path.dirname(pages), name)
            self.assertIn(text, " ".join(re.sub(".\b", "", out).split()))

    def test_documents(self):
        """They lead to each other, where they were installed."""
        top = os.path.join(self.prefix, "share/doc/lhttpd")
        pages = [os.path.join(d, name) for d, _, files in os.walk(top)
                 for name in files if name.endswith(".md")]
        self.assertEqual(sum(p.endswith("/README.md") for p in pages), 1)
        self.assertGreater(len(pages), 10)
        for page in pages:
            for link in re.findall(r"\]\(([\w/.-]+\.md|LICENSE)[#)]", read(page)):
                if link != "CONTRIBUTING.md":  # for who has the sources
                    self.assertTrue(os.path.exists(
                        os.path.join(os.path.dirname(page), link)),
                        f"{page}: {link}")

    def completed(self, *words):
        """What bash proposes for the last word."""
        path = os.path.join(self.prefix,
                            "share/bash-completion/completions/lhttpd")
        return self.tool("bash", "-c", f"""
            . {path}; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
            _lhttpd; printf '%s\\n' "${{COMPREPLY[@]}}" """,
                         "bash", "lhttpd", *words).split()

    def test_completion(self):
        harness.need("bash")
        for option in "lckaprwfdotVh":
            self.assertIn("-" + option, self.completed("-f", "-"))
        self.assertIn("header_bytes=", self.completed("-o", "header_"))
        self.assertEqual(self.completed("-l", "/", example("hel")),
                         [example("hello.lua")])
        self.assertIn("root", self.completed("-u", "roo"))
        self.assertEqual(self.completed("-l", ""), [])


class Definitions(harness.TestCase):
    """share/lhttpd/httpd.lua, which editors read, against the real module."""

    PATH = SOURCE + "/share/lhttpd/httpd.lua"
    SCRIPT = """
httpd.register_handler("/", function(env, header)
    local found = {}
    local function list(prefix, of)
        for name, value in pairs(of) do
            if type(name) == "string" then
                found[#found + 1] = prefix .. name .. " " .. type(value)
                if type(value) == "table" then
                    list(prefix .. name .. ".", value)
                end
            end
        end
    end
    list("httpd.", httpd)
    list("stats.", httpd.stats())
    local news = httpd.subscribe("news")
    list("subscription.", (debug.getmetatable(news) or {}).__index or {})
    for name in header["x-names"]:gmatch("%S+") do
        found[#found + 1] = name .. " " .. type(env[name])
    end
    httpd.write(nil, table.concat(found, "\\n"))
end)
"""

    def answer(self, *names):
        script = os.path.join(harness.directory(), "names.lua")
        with open(script, "w") as f:
            f.write(self.SCRIPT)
        with Server("/", script, tls=["ec"], workers=1) as s:
            text = self.get(s, "/?q", fields=[
                "x-names: " + " ".join(names), "content-type: a/b",
                "content-length: 0"]).text
        return dict(line.split() for line in text.splitlines())

    def test_functions(self):
        found = {name for name, kind in self.answer("").items()
                 if kind == "function"}
        defined = re.findall(r"^function ([\w.:]+)\(", read(self.PATH), re.M)
        self.assertEqual(found, {name.replace(":", ".") for name in defined})

    def fields(self, of):
        """{name: is it optional} of a class, with those that it inherits."""
        text = read(self.PATH)
        own = re.search(rf"^---@class {of}(?:: (\S+))?\n((?:---.*\n)*)", text,
                        re.M)
        found = self.fields(own.group(1)) if own.group(1) else {}
        for name, optional, kind in re.findall(
                r"^---@field (\w+)(\??) (\{.*?\}|\S+)", own.group(2), re.M):
            found[name] = bool(optional)
            if kind.startswith("{"):
                found.update({f"{name}.{inner}": bool(may)
                              for inner, may in re.findall(r"(\w+)(\??):",
                                                           kind)})
            elif f"@class {kind}" in text:
                found.update({f"{name}.{inner}": may for inner, may in
                              self.fields(kind).items()})
        return found

    def test_statistics(self):
        found = {name[6:] for name in self.answer("")
                 if name.startswith("stats.")}
        listed = self.fields("httpd.stats")
        self.assertEqual(found - set(listed), set())
        self.assertEqual({name for name, optional in listed.items()
                          if not optional} - found, set())

    def test_environment(self):
        listed = re.findall(r"^---@field ([A-Z][A-Z_]+)(\??)\s+(\S+)",
                            read(self.PATH), re.M)
        fields = {name: kind for name, _, kind in listed}
        found = self.answer(*fields)
        for name, kind in fields.items():
            number = kind in ("integer", "1")
            self.assertIn(found[name], ("number" if number else "string",
                                        "nil"), name)
        self.assertNotIn("nil", [found[name] for name, optional, _ in listed
                                 if not optional])

    def test_it_is_lua(self):
        done = harness.lhttpd("-t", "-l", "/", self.PATH)
        self.assertEqual(done.returncode, 0, done.stderr)


class Documents(harness.TestCase):
    def test_handler_of_the_readme(self):
        text = read(SOURCE + "/README.md")
        lua = re.search(r"```lua\n(.*?)```", text, re.S).group(1)
        self.assertEqual(lua, read(example("hello.lua")))
        shown = re.search(r"```console\n\$ curl -s '\S*?(/\?\S*)' \| .*?\n"
                          r"(.*?)```", text, re.S)
        with Server("/", example("hello.lua")) as s:
            answer = self.get(s, shown.group(1), fields=[
                "user-agent: curl/7.88.1", "accept: */*"]).text
        varies = re.compile(r"(PORT=|DATE_UTC=|authority: |"
                            r"SCRIPT_FILENAME=).*")
        self.assertEqual(*(sorted(varies.sub(r"\1", both).splitlines())
                           for both in (answer, shown.group(2))))


class QuickStart(harness.TestCase):
    SCRIPT = example("quickstart.sh")
    alone = True  # it has a port and a build directory of its own

    def setUp(self):
        if os.path.basename(BUILD) != "release":
            self.skipTest("it builds the release")
        harness.need("dpkg-query")

    def test_check(self):
        done = run(self.SCRIPT, "--check", timeout=300)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertRegex(done.stdout, r"https://127\.0\.0\.1:\d+/ answers")

    def test_serves_until_it_is_told_to_stop(self):
        process = subprocess.Popen(
            [self.SCRIPT], text=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True,  # a group, of which nothing is left behind
            # A shell cannot trap what is ignored, as it is in the background.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        try:
            told = ""
            while "ctrl-C" not in told:
                line = process.stdout.readline()
                self.assertTrue(line, told)
                told += line
            command = re.search(r"^ *curl (--cacert .*)$", told, re.M).group(1)
            self.assertIn("It works.", curl(*command.split()))
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=harness.PATIENCE)
            self.assertEqual(process.returncode, 0)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate(timeout=harness.PATIENCE)
        self.assertNotEqual(run("curl", *command.split()).returncode, 0)

    def test_port_in_use(self):
        """What an earlier server has said is not taken for this one's."""
        log = os.path.join(BUILD, "..", "quickstart", "log")
        ours = None
        try:
            ours = socket.create_server(("127.0.0.1", 8443))
        except OSError:
            pass  # somebody else's: all the same
        with ours or contextlib.nullcontext():
            for _ in range(10):
                os.makedirs(os.path.dirname(log), exist_ok=True)
                with open(log, "w") as f:
                    f.write("listening on 127.0.0.1:8443\n")
                done = run(self.SCRIPT, "--check", timeout=300)
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.assertNotIn(":8443/", done.stdout)

    def test_wrong_argument(self):
        done = run(self.SCRIPT, "--nope")
        self.assertEqual(done.returncode, 2)
        self.assertIn("Usage", done.stdout)


if __name__ == "__main__":
    unittest.main()
