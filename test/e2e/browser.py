"""Chromium without a window, by chromedriver (WebDriver, W3C).

Both are Debian's packages chromium and chromium-driver; where one is missing
the tests are skipped.  Nothing but 127.0.0.1 is ever asked for.
"""

import base64
import json
import os
import re
import subprocess
import tempfile
import time
import urllib.request

import harness

# Names are not looked up, nothing is fetched on its own.
ARGUMENTS = ["--headless=new", "--no-sandbox", "--disable-gpu",
             "--disable-dev-shm-usage", "--no-first-run", "--disable-sync",
             "--disable-background-networking", "--disable-component-update",
             "--disable-default-apps", "--disable-extensions",
             "--ignore-certificate-errors", "--hide-scrollbars",
             "--force-device-scale-factor=1", "--window-size=1200,900",
             "--no-proxy-server", "--lang=en",
             "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
PATIENCE = 3 * harness.PATIENCE  # a browser takes its time to start
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


class Driver:
    """chromedriver, whose sessions are browsers."""

    def __init__(self):
        harness.need("chromium")
        harness.need("chromedriver")
        self.home = tempfile.TemporaryDirectory(dir=harness.directory())
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            ["chromedriver", "--port=0"], stdin=subprocess.DEVNULL,
            stdout=self.log, stderr=self.log,
            env=dict(os.environ, HOME=self.home.name, LC_ALL="C",
                     TMPDIR=self.home.name))
        found = harness.wait_until(
            lambda: re.search(rb"successfully on port (\d+)",
                              os.pread(self.log.fileno(), 10000, 0)),
            "for chromedriver", PATIENCE)
        self.url = f"http://127.0.0.1:{int(found.group(1))}"
        self.open = urllib.request.build_opener(
            urllib.request.ProxyHandler({})).open

    def command(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.url + path, data, {"content-type": "application/json"},
            method=method)
        try:
            with self.open(request, timeout=PATIENCE) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode()) from None

    def stop(self):
        self.process.terminate()
        self.process.wait(PATIENCE)
        self.log.close()
        self.home.cleanup()


class Browser:
    """A page of 1200 x 900 points.  with Browser(driver) as b: ..."""

    def __init__(self, driver, *arguments):
        self.driver = driver
        self.path = f"/session/{self._start(arguments)['sessionId']}"

    def _start(self, arguments):
        """Tried again, since chromedriver waits a minute and no longer for a
        browser, which may take more on a busy machine."""
        wanted = {"goog:chromeOptions": {"args": [*ARGUMENTS, *arguments]},
                  "goog:loggingPrefs": {"browser": "ALL"}}
        for tries_left in (2, 1, 0):
            try:
                return self.driver.command(
                    "POST", "/session",
                    {"capabilities": {"alwaysMatch": wanted}})
            except AssertionError as error:
                if not tries_left or "session not created" not in str(error):
                    raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.driver.command("DELETE", self.path)

    def _post(self, path, **body):
        return self.driver.command("POST", self.path + path, body)

    def devtools(self, command, **parameters):
        return self._post("/goog/cdp/execute", cmd=command, params=parameters)

    def look(self, scheme):
        """As the user likes it: light or dark."""
        self.devtools("Emulation.setDeviceMetricsOverride", width=1200,
                      height=900, deviceScaleFactor=1, mobile=False)
        self.devtools("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": scheme}])

    def go(self, url):
        self._post("/url", url=url)

    def run(self, script, *arguments):
        return self._post("/execute/sync", script=script, args=arguments)

    def _element(self, selector):
        found = self._post("/element", using="css selector", value=selector)
        return f"/element/{found[ELEMENT]}"

    def click(self, selector):
        self._post(self._element(selector) + "/click")

    def type(self, selector, text):
        """Also: chooses a file, by its path."""
        self._post(self._element(selector) + "/value", text=text)

    def text(self, selector):
        return self.run("return document.querySelector(arguments[0])"
                        ".textContent", selector)

    def wait_for_text(self, selector, pattern):
        return harness.wait_until(
            lambda: re.search(pattern, self.text(selector)),
            f"for {pattern} in {selector}", PATIENCE)

    def screenshot(self, name):
        """Kept in the build directory, for somebody to look at."""
        where = os.path.join(harness.BUILD, "screenshots")
        os.makedirs(where, exist_ok=True)
        data = self.driver.command("GET", self.path + "/screenshot")
        with open(os.path.join(where, name + ".png"), "wb") as f:
            f.write(base64.b64decode(data))

    def complaints(self):
        """What the console has said since the last time."""
        time.sleep(0.1)
        lines = self._post("/se/log", type="browser")
        return [line["message"] for line in lines
                if line["level"] in ("WARNING", "SEVERE")]
