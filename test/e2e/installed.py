"""Programs that are built with the library as it is installed, and serve."""

import os
import signal
import subprocess
import tempfile
import unittest

import harness
from harness import BUILD, run


class TestCase(harness.TestCase):
    """Each class has an installation of its own."""

    compiler = "cc"

    @classmethod
    def setUpClass(cls):
        if harness.of_another_processor():
            raise unittest.SkipTest("the system's compiler makes programs of "
                                    "another processor")
        if harness.built_by_musl():
            cls.use_musl()
        cls.temporary = tempfile.TemporaryDirectory(prefix="lhttpd-install-")
        cls.prefix = cls.temporary.name
        done = run("cmake", "--install", BUILD, "--prefix", cls.prefix)
        if done.returncode != 0:
            raise AssertionError(done.stdout + done.stderr)
        pc = [d for d, _, files in os.walk(cls.prefix) if "lhttpd.pc" in files]
        library = [d for d, _, files in os.walk(cls.prefix)
                   if "liblhttpd.so" in files]
        cls.environment = dict(harness.environment(),
                               PKG_CONFIG_PATH=pc[0],
                               LD_LIBRARY_PATH=library[0])
        if harness.built_by_musl():
            cls.environment["PKG_CONFIG_LIBDIR"] = os.path.join(
                harness.SOURCE, "build/musl-root/lib/pkgconfig")

    @classmethod
    def use_musl(cls):
        """Where a class builds by self.compiler alone, this can be left out."""
        raise unittest.SkipTest("CMake's and the system's compiler is for glibc")

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def tool(self, *args):
        done = subprocess.run(args, stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              env=self.environment,
                              timeout=4 * harness.PATIENCE)
        self.assertEqual(done.returncode, 0, done.stdout)
        return done.stdout

    def sanitizers(self):
        """A sanitized library wants a program of its kind."""
        if harness.built_with("asan"):
            return ["-fsanitize=address,undefined"]
        return ["-fsanitize=thread"] if harness.built_with("tsan") else []

    def build(self, source, *packages):
        program = os.path.join(self.prefix, os.path.basename(source)[:-2])
        flags = self.tool("pkg-config", "--cflags", "--libs", "lhttpd",
                          *packages)
        self.tool(self.compiler, "-Wall", "-Wextra", "-Werror", *self.sanitizers(),
                  source, *flags.split(), "-o", program)
        return program

    def serve(self, *command):
        """Starts it; the URL that it prints."""
        process = subprocess.Popen(command, stdin=subprocess.PIPE, text=True,
                                   stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE,
                                   env=self.environment)
        self.addCleanup(self.end, process)
        return process, process.stdout.readline().strip()

    def end(self, process):
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=harness.PATIENCE)

    def stops(self, process):
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=harness.PATIENCE)
        self.assertEqual(process.returncode, 0, errors)
        self.assertNotRegex(errors, harness.REPORTS)
