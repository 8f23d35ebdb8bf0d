"""The statistics against real clients, to the last request and handshake."""

import json
import os
import time
import unittest

import harness
from harness import EXAMPLES, Server, need, run, wait_until

REQUESTS = 2000


def h2load(*args):
    need("h2load")
    done = run("h2load", "-n", str(REQUESTS), "-c", "8", *args, timeout=600)
    assert f"{REQUESTS} succeeded" in done.stdout, done.stdout


class Agreement(harness.TestCase):
    asked = 0  # how often we have asked for statistics, on a connection each

    def server(self, **more):
        return Server("/status", os.path.join(EXAMPLES, "status.lua"), "/",
                      os.path.join(EXAMPLES, "hello.lua"), **more)

    def stats(self, s):
        self.asked += 1
        return json.loads(self.get(s, "/status/json").text)

    def handler(self, stats, prefix):
        return [h for h in stats["handlers"]
                if (h["prefix"], h["name"]) == (prefix, "/")][0]

    def after_all(self, s):
        """A client may have its answer a moment before that is counted."""
        end = time.monotonic() + harness.PATIENCE
        while True:
            stats = self.stats(s)
            complete = self.handler(stats, "/")["complete"]
            if complete >= REQUESTS or time.monotonic() > end:
                return stats

    def check(self, protocol, *args, **more):
        with self.server(**more) as s:
            before = self.stats(s)
            self.asked = 0
            h2load(*args, s.url + "/")
            after = self.after_all(s)
        counted = self.handler(after, "/")
        self.assertEqual(counted["status_2xx"], REQUESTS)
        self.assertEqual(counted["complete"], REQUESTS)
        self.assertEqual(sum(counted["whole"]["counts"]), REQUESTS)
        self.assertEqual(sum(counted["head"]["counts"]), REQUESTS)
        more = after["protocols"][protocol] - before["protocols"][protocol]
        self.assertIn(more, range(REQUESTS, REQUESTS + self.asked + 1))
        kind = "tls" if s.url.startswith("https") else "tcp"
        self.assertEqual(after["accepted"][kind] - before["accepted"][kind],
                         8 + self.asked)
        return before, after

    def test_h1(self):
        self.check("http11", "--h1")

    def test_h2(self):
        self.check("http2")

    def test_h2_over_tls(self):
        before, after = self.check("http2", tls=["ec"])
        made = (after["tls"]["full"] + after["tls"]["resumed"] -
                before["tls"]["full"] - before["tls"]["resumed"])
        self.assertEqual(made, 8 + self.asked)
        self.assertEqual(after["tls"]["failed"], 0)


LOOP = """
httpd.register_handler("/loop", function() while true do end end)
httpd.register_handler("/catch", function()
    while true do pcall(function() while true do end end) end
end)
httpd.register_handler("/vm", function()
    httpd.write(nil, jit and "luajit" or "lua")
end)
httpd.register_handler("/", function()
    local workers = httpd.stats().workers
    httpd.write(nil, workers.stuck .. " " .. workers.scripts_ended)
end)
"""


class Scripts(harness.TestCase):
    """What does not stop is ended, or seen where it cannot be."""

    # An emulator takes seconds to load a script.
    KILL_MS = 10000 if harness.emulated() else 1000

    def setUp(self):
        if harness.own_loop():
            self.skipTest("nobody can watch a program's own loop")

    def loop(self, first, path):
        name = os.path.join(harness.directory(), "loop.lua")
        with open(name, "w") as f:
            f.write(first + LOOP)
        s = Server("/", name, workers=2, limits={"script_kill_ms": self.KILL_MS})
        self.addCleanup(s.kill)
        vm = self.get(s, "/vm").text
        client = s.client()
        self.addCleanup(client.close)
        client.request(path=path)
        return s, client, vm

    def test_interpreted_loops_are_ended(self):
        for path in ("/loop", "/catch"):
            s, client, _ = self.loop("if jit then jit.off() end\n", path)
            self.assertEqual(client.response().status, 500)
            self.assertRegex(s.log(), r"loop\.lua:\d+: it ran for longer than "
                                      f"script_kill_ms={self.KILL_MS}")
            self.assertEqual(self.get(s).text, "0 1")
            s.stop()

    def test_compiled_loops_are_seen(self):
        s, client, vm = self.loop("", "/loop")
        if vm == "lua":
            self.assertEqual(client.response().status, 500)
            return
        s.wait_for_log(r"error: worker \d is stuck in handler /loop \(line 2\)")
        wait_until(lambda: self.get(s).text == "1 0", "a worker that is stuck")


if __name__ == "__main__":
    unittest.main()
