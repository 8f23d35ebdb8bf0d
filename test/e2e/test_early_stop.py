"""A stop that comes while the server starts, or the moment that it serves."""

import os
import signal
import subprocess
import tempfile
import unittest

import harness
from harness import BINARY, EXAMPLES, PATIENCE, Server

LATE = """
local began = os.time()
while os.time() < began + 2 do end
httpd.register_handler("/", function() end)
"""


class EarlyStop(harness.TestCase):
    def test_right_after_the_start(self):
        for _ in range(40):
            with Server("/", os.path.join(EXAMPLES, "hello.lua")):
                pass  # its end sends SIGTERM and wants an orderly stop

    def start(self, text):
        source = tempfile.NamedTemporaryFile("w", suffix=".lua")
        self.addCleanup(source.close)
        source.write('httpd.log("notice", "it loads")\n' + text)
        source.flush()
        self.source = source.name
        self.socket = os.path.join(harness.directory(), "early")
        self.log = tempfile.TemporaryFile("w+")
        self.addCleanup(self.log.close)
        process = subprocess.Popen([BINARY, "-f", "-w", "1", "-a", "127.0.0.1",
                                    "-a", "unix:" + self.socket,
                                    "-p", "0", "-l", "/", source.name],
                                   stderr=self.log,
                                   env=harness.environment())
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        # By then SIGTERM is caught.
        harness.wait_until(lambda: "it loads" in self.logged(),
                           "for the script to be loaded")
        return process

    def logged(self):
        return os.pread(self.log.fileno(), 1 << 20, 0).decode()

    def load_for_ever(self):
        if harness.own_loop():
            self.skipTest("a program's own loop loads scripts in its only "
                          "thread, which a script that never ends keeps")
        return self.start("while true do end")

    def test_while_a_script_loads(self):
        process = self.start(LATE)
        process.terminate()
        self.assertEqual(process.wait(PATIENCE), 0)

    def test_once_while_a_script_loads_for_ever(self):
        process = self.load_for_ever()
        self.assertTrue(os.path.exists(self.socket))
        process.terminate()
        self.assertEqual(process.wait(PATIENCE), 1)
        self.assertRegex(self.logged(), "error: .*stopped during the start: "
                         f"the loading of script {self.source} has not")
        self.assertFalse(os.path.exists(self.socket))

    def test_twice_while_a_script_loads_for_ever(self):
        process = self.load_for_ever()
        process.send_signal(signal.SIGINT)
        with self.assertRaises(subprocess.TimeoutExpired):
            process.wait(0.3)
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(PATIENCE), 1)


if __name__ == "__main__":
    unittest.main()
