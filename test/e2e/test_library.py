"""What the shared library shows of itself: the header's functions, no locks."""

import os
import re
import unittest

import harness
from harness import BUILD, SOURCE, run

LOCKS = re.compile(r"^(pthread_(mutex|cond|rwlock|spin|barrier)|sem_|mtx_|cnd_|"
                   r"flockfile)")


class Symbols(harness.TestCase):
    def setUp(self):
        harness.need("nm")
        self.library = os.path.join(BUILD, "liblhttpd.so")
        if harness.built_with("asan") or harness.built_with("tsan"):
            self.skipTest("sanitizers add symbols of their own")

    def names(self, option):
        done = run("nm", "-D", option, self.library)
        self.assertEqual(done.returncode, 0, done.stderr)
        return {line.split()[-1].split("@")[0]
                for line in done.stdout.splitlines()}

    def test_exports_the_functions_of_the_header(self):
        with open(os.path.join(SOURCE, "include/lhttpd.h")) as f:
            header = f.read()
        functions = set(re.findall(r"^LHTTPD_API[^;(]*?(\w+)\(", header, re.M))
        self.assertGreater(len(functions), 20)
        self.assertEqual(self.names("--defined-only"), functions)

    def test_uses_no_locks(self):
        needed = self.names("--undefined-only")
        self.assertIn("pthread_create", needed)
        self.assertEqual([n for n in needed if LOCKS.match(n)], [])


if __name__ == "__main__":
    unittest.main()
