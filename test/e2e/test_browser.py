"""The examples in a browser: what a visitor sees, clicks and gets told.

Screenshots are kept in the build directory, below screenshots/.
"""

import os
import re
import tempfile
import unittest

import browser
import harness
from harness import EXAMPLES, Server

WAYS = {"h1": ((), ()), "tls": (("ec",), ("--disable-http2",)),
        "h2": (("ec",), ())}


def example(name):
    return os.path.join(EXAMPLES, name)


class Browsers(harness.TestCase):
    """Each starts a browser, which takes the machine."""
    alone = True

    @classmethod
    def setUpClass(cls):
        if os.environ.get("LHTTPD_BROWSER") == "no":
            raise unittest.SkipTest("LHTTPD_BROWSER says no")
        if harness.of_another_processor():
            raise unittest.SkipTest("the pages are the same there")
        cls.driver = browser.Driver()
        cls.addClassCleanup(cls.driver.stop)

    def ways(self):
        for name, (tls, arguments) in WAYS.items():
            if not tls or "tls" in harness.built_in():
                yield name, tls, arguments

    def assert_calm(self, b):
        self.assertEqual(b.complaints(), [])

    def check_demo(self, b, s, files):
        b.go(s.url)
        b.wait_for_text("#state", "^live$")
        # Filled from the start: several points before many ticks can come.
        harness.wait_until(lambda: b.run(
            "return document.querySelector('#late').points.length > 1"),
            "for the chart", browser.PATIENCE)
        before = int(b.wait_for_text("#streams", r"^(\d+)$").group(1))
        b.click("#open")
        b.wait_for_text("#opened", "500 more|enough")
        harness.wait_until(
            lambda: int(b.text("#streams")) >= before + 500,
            "for 500 streams", browser.PATIENCE)
        b.click("#call")
        b.click("#call")
        took = b.wait_for_text("#called", r"CSQ: 17,0 after (\d+) ms").group(1)
        self.assertGreaterEqual(int(took), 300)
        if files:
            b.type("#file", files)
            b.wait_for_text("#uploaded", r"^2\.\d MB in [\d.]+ s$")
        for figure in ("#now", "#trip"):
            b.wait_for_text(figure, r"^[\d.]+ ms$")
        b.wait_for_text("#memory", r"^[\d.]+ MB$")
        b.wait_for_text("#connections", r"^[1-9]\d*$")
        self.assert_calm(b)

    def upload_file(self):
        made = tempfile.NamedTemporaryFile(dir=harness.directory())
        self.addCleanup(made.close)
        made.write(os.urandom(2000000))
        made.flush()
        return made.name

    def test_demo(self):
        for name, tls, arguments in self.ways():
            with self.subTest(name), Server("/", example("demo.lua"),
                                            tls=tls) as s:
                with browser.Browser(self.driver, *arguments) as b:
                    b.look("light")
                    self.check_demo(b, s, self.upload_file())
                    b.screenshot(f"demo-{name}-light")
                    b.look("dark")
                    b.screenshot(f"demo-{name}-dark")
                    # All that sells it is seen at once.
                    low = b.run("return document.querySelector('#uploaded')"
                                ".getBoundingClientRect().bottom")
                    self.assertLess(low, 900)
                    protocol = b.text(".pills span")
                    self.assertEqual(protocol, "HTTP/2" if name == "h2"
                                     else "HTTP/1.1")

    def sockets(self, name, s, log):
        """How each websocket was asked for, from the access log."""
        with open(log) as f:
            found = re.findall(r'"(\w+) /socket[^"]* (HTTP/[\d.]+)" (\d+)',
                               f.read())
        self.assertTrue(found)
        for line in found:
            self.assertEqual(line, ("CONNECT", "HTTP/2.0", "200")
                             if name == "h2" else ("GET", "HTTP/1.1", "101"))

    def with_log(self, script, tls):
        log = tempfile.mktemp(dir=harness.directory())
        s = Server("/", example(script), tls=tls, limits={"access_log": log})
        return s, log

    def test_chat(self):
        for name, tls, arguments in self.ways():
            with self.subTest(name):
                s, log = self.with_log("chat.lua", tls)
                with s:
                    with browser.Browser(self.driver, *arguments) as b:
                        b.look("light")
                        b.go(s.url)
                        b.wait_for_text("#state", "^connected$")
                        b.type("input", "hello there\u00e4\ue007")
                        b.wait_for_text("#said", "hello there\u00e4")
                        b.screenshot(f"chat-{name}")
                        self.assert_calm(b)
                self.sockets(name, s, log)

    def test_console(self):
        for name, tls, arguments in self.ways():
            with self.subTest(name):
                s, log = self.with_log("console.lua", tls)
                with s:
                    with browser.Browser(self.driver, *arguments) as b:
                        b.look("dark")
                        token = s.wait_for_log(r"the console is at /\?(\w+)")
                        b.go(f"{s.url}/?{token.group(1)}")
                        self.check_console(b)
                        b.screenshot(f"console-{name}")
                        self.assert_calm(b)
                self.sockets(name, s, log)

    def check_console(self, b):
        b.wait_for_text("#directory", r"\$$")
        b.type("input", "echo $((6*7)); printf '\u00e4\\n'\ue007")
        b.wait_for_text("#output", "42\n\u00e4\n")
        b.wait_for_text("#directory", r"\$$")
        # One that does not end is stopped.
        b.type("input", "echo begin; sleep 1000\ue007")
        b.wait_for_text("#output", "begin\n")
        b.click("#stop")
        harness.wait_until(lambda: b.run("return !document.querySelector("
                                         "'input').disabled"),
                           "for the next line", browser.PATIENCE)

    def test_pages_are_calm(self):
        """No page of an example makes the console complain."""
        for name, path in (("upload.lua", "/"), ("main.lua", "/"),
                           ("handler.lua", "/"), ("login.lua", "/"),
                           ("events.lua", "/"), ("push.lua", "/"),
                           ("hints.lua", "/"), ("status.lua", "/")):
            with self.subTest(name), Server("/", example(name)) as s:
                with browser.Browser(self.driver) as b:
                    b.look("light")
                    b.go(s.url + path)
                    self.assertNotEqual(b.text("title"), "")
                    b.screenshot(name[:-4])
                    self.assert_calm(b)
                    self.check_style(b)
                    b.screenshot(name[:-4] + "-dark")

    def check_style(self, b):
        """All have the icon and, in the dark, the colours of style.lua."""
        self.assertEqual(b.run("return document.querySelector('[rel=icon]')"
                               ".href.slice(0, 15)"), "data:image/svg+")
        b.look("dark")
        self.assertEqual(b.run("return getComputedStyle(document.body)"
                               ".backgroundColor"), "rgb(14, 19, 27)")

    def test_upload(self):
        with tempfile.TemporaryDirectory(dir=harness.directory()) as where:
            os.chmod(where, 0o777)  # for a server of another user
            os.environ["UPLOADS"] = where
            self.addCleanup(os.environ.pop, "UPLOADS")
            paths = [self.upload_file(), self.upload_file()]
            with Server("/", example("upload.lua")) as s:
                with browser.Browser(self.driver) as b:
                    b.look("light")
                    b.go(s.url)
                    b.type("input", "\n".join(paths))
                    b.click("button")
                    b.wait_for_text("#answer", r"(\S+: 2000000 bytes\n){2}")
                    b.screenshot("upload-done")
                    self.assert_calm(b)
            for path in paths:
                with open(path, "rb") as a, \
                        open(os.path.join(where, os.path.basename(path)),
                             "rb") as b:
                    self.assertEqual(a.read(), b.read())
