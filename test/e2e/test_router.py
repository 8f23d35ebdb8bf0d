"""share/lhttpd/router.lua: methods, parameters, JSON."""

import json
import os

import harness
from harness import Server, script


class Router(harness.TestCase):
    def serve(self, kind=None):
        if kind:
            os.environ["ROUTER_JSON"] = kind
            self.addCleanup(os.environ.pop, "ROUTER_JSON", None)
        return Server("/", script("router.lua"), workers=1)

    def test_patterns(self):
        with self.serve() as s:
            for path, status, text in (
                    ("/", 200, "root\n"),
                    ("/items/new", 200, "the form\n"),
                    ("/files/a/b%20c", 200, "a/b c\n"),
                    ("/files/", 200, "\n"),
                    ("/a/1/b/%C3%A4", 200, "1,ä\n"),
                    ("/both?q=1+2", 200, "GET 1 2\n"),
                    ("/below/x", 200, "x"),
                    ("/below/x/y", 404, "no /x/y"),
                    ("/files", 404, "there is nothing at /files\n"),
                    ("/items/", 404, None), ("/items/a/", 404, None),
                    ("/a/1/b/", 404, None), ("/a/1/c/2", 404, None),
                    ("/ITEMS/new", 404, None)):
                with self.subTest(path=path):
                    r = self.get(s, path)
                    self.assertEqual(r.status, status)
                    if text is not None:
                        self.assertEqual(r.text, text)
                        if not path.startswith("/both"):
                            self.assertEqual(r.get("content-type"),
                                             "text/plain; charset=utf-8")

    def test_methods(self):
        with self.serve() as s, s.client() as c:
            r = c.ask("POST", "/items/new", body=b"")
            self.assertEqual(r.status, 405)
            self.assertEqual(r.get("allow"),
                             "DELETE, GET, HEAD, OPTIONS, PUT")
            r = c.ask("OPTIONS", "/both")
            self.assertEqual((r.status, r.text), (204, ""))
            self.assertEqual(r.get("allow"), "GET, HEAD, OPTIONS, POST")
            r = c.ask("HEAD", "/")
            self.assertEqual((r.status, r.get("content-length")), (200, "5"))
            r = c.ask("HEAD", "/both")
            self.assertEqual(r.get("x-method"), "HEAD")
            self.assertEqual(c.ask("POST", "/both", body=b"").text, "POST \n")
            self.assertEqual(c.ask("BREW", "/any").text, "BREW\n")
            self.assertEqual(c.ask("OPTIONS", "/any").text, "OPTIONS\n")
            self.assertEqual(c.ask("OPTIONS", "/nothing").status, 404)
            r = c.ask("DELETE", "/items/1")
            self.assertEqual((r.status, r.text), (204, ""))
            # The less exact pattern has the method that the other one lacks.
            self.assertEqual(c.ask("DELETE", "/items/new").status, 204)

    def check_json(self, s):
        with s.client() as c:
            r = c.ask(path="/items/a1")
            self.assertEqual(r.get("content-type"), "application/json")
            self.assertEqual(json.loads(r.text), {"id": "a1"})
            r = c.ask("PUT", "/items/1", body=b'{"id":"b"}')
            self.assertEqual((r.status, r.get("location")), (201, "/items/b"))
            self.assertEqual(json.loads(r.text), {"id": "b"})
            self.assertEqual(c.ask("PUT", "/items/1", body=b"null").text,
                             "null\n")
            for body in (b"", b"{", b'{"id":"b"}x', b"\xff", b"[" * 1000000):
                r = c.ask("PUT", "/items/1", body=body)
                self.assertEqual(r.status, 400, body[:20])
                self.assertTrue(r.text.startswith("not JSON: "))
            r = c.ask("PUT", "/items/1", body=b"[" * 2000000)
            self.assertEqual((r.status, r.text), (400,
                                                  "not JSON: too large\n"))

    def test_dkjson(self):
        with self.serve("dkjson") as s:
            self.check_json(s)

    def test_what_is_installed(self):
        with self.serve() as s:
            with s.client() as c:
                if c.ask(path="/items/a1").status == 500:
                    self.skipTest("no JSON module is installed")
            self.check_json(s)
            r = self.get(s, "/null")
            self.assertEqual((r.text, r.get("content-type")),
                             ("null", "application/json"))
            self.assertEqual(self.get(s, "/fails").status, 500)

    def test_without_json(self):
        with self.serve("none") as s:
            self.assertEqual(self.get(s, "/").status, 200)
            self.assertEqual(self.get(s, "/items/1").status, 500)
            s.wait_for_log("JSON needs lua-cjson or dkjson")

    def test_fields_are_a_table(self):
        with self.serve() as s:
            self.assertEqual(self.get(s, "/no-fields").status, 500)
            s.wait_for_log("a handler's fields are a table, not a string")

    def test_mistakes_have_their_line(self):
        with self.serve() as s:
            lines = self.get(s, "/mistakes").text.splitlines()
        for line, words in zip(lines, (
                "router: a pattern begins with '/'",
                "router: 'a' is twice in /{a}/{a}",
                "router: {a*} is the last part",
                "router: 'a{b}' is neither text nor {name}",
                "router: the handler of / is no function",
                "router: GET / is there already",
                "router: methods are a string in capitals, as 'GET POST'",
                "router: methods are a string in capitals, as 'GET POST'",
                "router: methods are a string in capitals, as 'GET POST'",
                "router: methods are a string in capitals, as 'GET POST'",
                "router: what answers otherwise is no function",
                "router: a prefix is a string, not a number"),
                strict=True):
            self.assertRegex(line, r"^router\.lua:\d+: ")
            self.assertTrue(line.endswith(words), line)
        self.assertEqual(len({line.split(":")[1] for line in lines}), 12)
