"""Logs: each request that has ended is a line, and no log holds up a server."""

import json
import os
import pwd
import re
import resource
import signal
import subprocess
import tempfile

import harness
from harness import Server, curl, need, need_root, run, wait_until

# Fields of "combined", as any tool splits them.
COMBINED = re.compile(r'(\S+) - - \[([^]]+)\] "([^"]*)" (\d{3}) (\d+) '
                      r'"([^"]*)" "([^"]*)"')

HELLO = """
httpd.register_handler('/', function(env)
  httpd.header{['content-type'] = 'text/plain'}
  httpd.write(nil, 'hello\\n')
end)
httpd.register_handler('/late', function(env)
  httpd.header{['content-type'] = 'text/plain'}
  httpd.write(nil, 'part')
  httpd.flush()
  error('late')
end)
httpd.register_handler('/id', function(env)
  httpd.header{['content-type'] = 'text/plain'}
  httpd.write(nil, env.REQUEST_ID)
  assert(env.REQUEST_ID == env.REQUEST_ID)
end)
httpd.register_handler('/lost', function()
  httpd.header{['content-type'] = 'text/plain'}
  httpd.write(nil, ('%d'):format(httpd.stats().log.access_lost))
end)
httpd.register_handler('/oops', function() error('oops') end)
httpd.register_handler('/busy', function(env)
  repeat until os.rename(env.QUERY_STRING, env.QUERY_STRING)
end)
httpd.register_handler('/wait', function(env)
  httpd.sleep(60)
end)
"""


class Log(harness.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="lhttpd-log-")
        self.addCleanup(directory.cleanup)
        self.directory = directory.name
        os.chmod(self.directory, 0o755)
        self.script = self.path("hello.lua")
        with open(self.script, "w") as f:
            f.write(HELLO)
        self.log = self.path("access.log")

    def path(self, name):
        return os.path.join(self.directory, name)

    def server(self, log=None, **more):
        limits = {"access_log": log or self.log, **more.pop("limits", {})}
        return Server("/", self.script, limits=limits, **more)

    def lines(self, path=None):
        if not os.path.exists(path or self.log):
            return []
        with open(path or self.log, errors="surrogateescape") as f:
            return f.read().splitlines()

    def lost(self, server):
        """Lines that the disk did not take for long, as the log tells."""
        return sum(int(x) for x in re.findall(
            r"access log \S+: (\d+) lines were lost", server.log()))

    def wait_for_lines(self, n, path=None):
        return wait_until(lambda: len(self.lines(path)) >= n and
                          self.lines(path), f"for {n} lines")


class Access(Log):
    def test_every_end_is_a_line(self):
        with self.server(limits={"access_format": "json"}) as s:
            for path in ("/", "/nothing/here", "/late"):
                with s.client() as c:
                    c.send(f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
                    c.until(b"\r\n\r\n")
            with s.client() as c:
                c.send(b"GET / HTTP/7\r\nhost: x\r\n\r\n")
                c.to_end()
            with s.client() as c:
                c.send(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n"
                       b"\r\nhel")
                c.until(b"hello\n")
            with s.client() as c:
                c.send(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
                       b"GET /wait HTTP/1.1\r\nhost: x\r\n\r\n")
                c.until(b"hello\n")
                c.reset()
            self.wait_for_lines(7)
        entries = [json.loads(line) for line in self.lines()]
        ends = sorted((e.get("target", ""), e["status"], e["ending"])
                      for e in entries)
        self.assertEqual(ends, [
            ("", 400, "complete"), ("/", 200, "complete"),
            ("/", 200, "complete"), ("/", 200, "complete"),
            ("/late", 200, "cut"),
            ("/nothing/here", 404, "complete"), ("/wait", 0, "gone")])

    def test_a_client_writes_no_line_of_its_own(self):
        for form in ("combined", "json"):
            with self.server(limits={"access_format": form}) as s, \
                    s.client() as c:
                c.send(("GET /?\"%22'\\ HTTP/1.1\r\nhost: x\r\n"
                        "user-agent: a\" 200 1\\\xff\r\nreferer: x\ty\r\n\r\n"
                        ).encode("latin-1"))
                c.response()
        first, second = self.lines()
        got = COMBINED.fullmatch(first)
        self.assertTrue(got, first)
        self.assertEqual(got.group(3), "GET /?\\x22%22'\\x5c HTTP/1.1")
        self.assertEqual(got.group(6), "x\\x09y")
        self.assertEqual(got.group(7), "a\\x22 200 1\\x5c\\xff")
        entry = json.loads(second)
        self.assertEqual(entry["target"], "/?\"%22'\\")
        self.assertEqual(entry["user_agent"], 'a" 200 1\\\ufffd')
        self.assertEqual(entry["referrer"], "x\ty")

    def test_counts_agree_with_a_clients(self):
        need("h2load")
        n = 20000
        for h1 in ([], ["--h1"]):
            with self.server() as s:
                before = len(self.lines())
                p = run("h2load", "-n", str(n), "-c", "20", "-m", "10", *h1,
                        s.url + "/")
                self.assertIn(f"{n} succeeded", p.stdout)
                s.signal()
                s.wait()
                lost = self.lost(s)
            lines = self.lines()[before:]
            self.assertEqual(len(lines) + lost, n)
            self.assertEqual(len(set(len(x) for x in lines)), 1)

    def test_goaccess_reads_it(self):
        need("goaccess")
        forms = {"common": "COMMON", "combined": "COMBINED"}
        for form, name in forms.items():
            path = self.path(form)
            with self.server(path, limits={"access_format": form}) as s:
                for _ in range(3):
                    curl(s.url + "/a?b=\"c")
                curl("--http2-prior-knowledge", s.url + "/")
            p = run("goaccess", path, "--log-format=" + name, "-o",
                    self.path("report.json"), "--no-progress")
            self.assertEqual(p.returncode, 0, p.stdout + p.stderr)
            with open(self.path("report.json")) as f:
                general = json.load(f)["general"]
            self.assertEqual(general["valid_requests"], 4)
            self.assertEqual(general["failed_requests"], 0)

    def test_a_stop_writes_what_has_ended(self):
        with self.server(workers=1) as s:
            with s.client() as c:
                c.ask()
            s.signal()
            s.wait()
            self.assertEqual(len(self.lines()), 1)

    def test_to_standard_output(self):
        with self.server("-") as s:
            curl(s.url + "/")
            s.wait_for_log(r'"GET / HTTP/1\.1" 200 6')

    def test_bad_values(self):
        for status, name, value, words in (
                (2, "access_format", "xml", "common, combined or json"),
                (2, "access_log", "", "not a file's path"),
                (1, "access_log", "/nowhere/x", "/nowhere/x: No such file"),
                (1, "access_log", "/", "/: Is a directory")):
            p = harness.lhttpd("-t", "-o", f"{name}={value}",
                               "-l", "/", self.script)
            self.assertEqual(p.returncode, status)
            self.assertIn(words, p.stderr)


class Ids(Log):
    """A request has one name, in the script, the log and the access log."""

    def ids(self, trust):
        limits = {"access_format": "json", "trust_request_id": trust}
        with self.server(limits=limits) as s, s.client() as c:
            fields = ["x-request-id: client-1",
                      "traceparent: 00-" + "a" * 32 + "-" + "b" * 16 +
                      "-01"]
            asked = [c.ask(path="/id", fields=fields).text for _ in "12"]
            c.ask(path="/oops", fields=fields)
            c.ask(path="/", fields=fields)
            logged = s.wait_for_log(r"oops.* \[id (\S+)\]").group(1)
            self.wait_for_lines(4)
        entries = [json.loads(line) for line in self.lines()]
        self.assertEqual(set(e["traceparent"] for e in entries),
                         {"00-" + "a" * 32 + "-" + "b" * 16 + "-01"})
        return asked, logged, [e.get("request_id") for e in entries]

    def test_made_when_asked_for(self):
        asked, logged, entries = self.ids("off")
        self.assertRegex(asked[0], "^[0-9a-f]{32}$")
        self.assertNotEqual(asked[0], asked[1])
        self.assertEqual(entries, [*asked, logged, None])

    def test_the_clients_where_it_is_believed(self):
        asked, logged, entries = self.ids("on")
        self.assertEqual(set([*asked, logged, *entries]), {"client-1"})

    def test_one_that_holds_its_worker_is_named_by_it(self):
        if harness.own_loop():
            self.skipTest("nobody can watch a program's own loop")
        flag = self.path("flag")
        limits = {"access_format": "json", "handler_run_ms": 100}
        with self.server(limits=limits) as s:
            p = subprocess.Popen(["curl", "-s", f"{s.url}/busy?{flag}"])
            named = s.wait_for_log(r"has been in handler /busy .*"
                                   r"\[id ([0-9a-f]{32})\]").group(1)
            open(flag, "w").close()
            p.wait()
            s.wait_for_log(r"goes on: handler /busy .*\[id " + named)
            self.wait_for_lines(1)
        self.assertEqual(json.loads(self.lines()[0])["request_id"], named)

    def test_refused_requests_have_one(self):
        with self.server(limits={"access_format": "json"}) as s, \
                s.client() as c:
            c.send(b"GET / HTTP/1.1\r\nhost : x\r\n\r\n")
            c.to_end()
            found = s.wait_for_log(r"HTTP/1: 400, .* \[id ([0-9a-f]{32})\]")
            self.wait_for_lines(1)
        self.assertEqual(json.loads(self.lines()[0])["request_id"],
                         found.group(1))


class Reopened(Log):
    def test_no_line_is_lost_unnoticed_under_load(self):
        need("h2load")
        n = 20000
        with self.server() as s:
            p = subprocess.Popen(["h2load", "-n", str(n), "-c", "8", "-m", "4",
                                  s.url + "/"], stdout=subprocess.PIPE,
                                 text=True)
            moved = 0
            while p.poll() is None:
                moved += 1
                os.rename(self.log, f"{self.log}.{moved}")
                s.signal(signal.SIGUSR1)
                wait_until(lambda: os.path.exists(self.log), "for a new file")
            self.assertIn(f"{n} succeeded", p.stdout.read())
            p.stdout.close()
            s.signal()
            s.wait()
            lost = self.lost(s)
        files = [self.log] + [f"{self.log}.{i + 1}" for i in range(moved)]
        written = sum(len(self.lines(f)) for f in files)
        self.assertEqual(written + lost, n)


class Trouble(Log):
    """A log that cannot be written costs lines, and nobody a request."""

    def test_full_disk(self):
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        with self.server(workers=1) as s:
            url = s.url + "/?" + "x" * 4000
            curl(url)
            self.wait_for_lines(1)
            resource.prlimit(s.pid, resource.RLIMIT_FSIZE, (9000, before[1]))
            for _ in range(5):
                self.assertEqual(curl(url), "hello\n")
            s.wait_for_log(r"access log \S+: \d+ lines were lost: File too")
            self.assertGreater(int(curl(s.url + "/lost")), 0)
            resource.prlimit(s.pid, resource.RLIMIT_FSIZE, before)
            curl(s.url + "/after")
            wait_until(lambda: "/after" in self.lines()[-1],
                       "for a line after the trouble")
            cut = [x for x in self.lines() if not x.endswith('" 200 6') and
                   "/after" not in x and "/lost" not in x]
            self.assertEqual(len(cut), 1)

    def test_a_reader_that_stalls(self):
        os.mkfifo(self.log)
        reader = os.open(self.log, os.O_RDONLY | os.O_NONBLOCK)
        with self.server(workers=1) as s:
            path = "/?" + "x" * 8000
            with s.client() as c:
                for _ in range(200):
                    self.assertEqual(c.ask(path=path).text, "hello\n")
            s.wait_for_log(r"lines were lost: it does not take them in time")
            os.close(reader)  # or the stop would give it the whole grace

    def test_moved_away_it_is_written_to(self):
        with self.server() as s:
            curl(s.url + "/")
            self.wait_for_lines(1)
            os.rename(self.log, self.log + ".1")
            curl(s.url + "/")
            self.wait_for_lines(2, self.log + ".1")

    def test_rotated(self):
        """Lines go on in a new file, and none is lost."""
        with self.server() as s:
            for n in range(1, 6):
                curl(s.url + "/")
                self.wait_for_lines(1)
                os.rename(self.log, f"{self.log}.{n}")
                s.signal(signal.SIGUSR1)
                wait_until(lambda: os.path.exists(self.log), "for the file")
            curl(s.url + "/")
            self.wait_for_lines(1)

    def test_it_cannot_be_opened_again(self):
        with self.server() as s:
            curl(s.url + "/")
            self.wait_for_lines(1)
            os.rename(self.log, self.log + ".1")
            os.mkdir(self.log)
            s.signal(signal.SIGUSR1)
            s.wait_for_log("error: .*Is a directory")
            curl(s.url + "/")
            self.wait_for_lines(2, self.log + ".1")

    def test_a_user_opens_what_root_has_made(self):
        """The file is root's, the directory that of the user of -u."""
        need_root()
        self.log = self.path("logs")
        os.mkdir(self.log, 0o755)
        os.chown(self.log, pwd.getpwnam("nobody").pw_uid, -1)
        self.log += "/access.log"
        with self.server(options=("-u", "nobody")) as s:
            curl(s.url + "/")
            self.wait_for_lines(1)
            s.signal(signal.SIGUSR1)  # nothing was moved
            s.wait_for_log("opened again")
            os.rename(self.log, self.log + ".1")
            s.signal(signal.SIGUSR1)
            wait_until(lambda: os.path.exists(self.log), "for the file")
            curl(s.url + "/")
            self.wait_for_lines(1)
            self.assertNotIn("warning: a log", s.log())

    def test_out_of_reach_is_said_at_start(self):
        need_root()
        self.log = self.path("deep")
        os.mkdir(self.log, 0o755)
        self.log += "/access.log"
        with self.server(options=("-u", "nobody")) as s:
            s.wait_for_log("a log cannot be opened again once it was moved "
                           "away, .*access.log: Permission denied")
            self.assertEqual(curl(s.url + "/"), "hello\n")
            self.wait_for_lines(1)


if __name__ == "__main__":
    harness.main()
