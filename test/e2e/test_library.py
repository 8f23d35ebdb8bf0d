"""What the shared library shows of itself: the header's functions, no locks."""

import os
import re
import sys
import unittest

import harness
from harness import BUILD, SOURCE, run

LOCKS = re.compile(r"^(pthread_(mutex|cond|rwlock|spin|barrier)|sem_|mtx_|cnd_|"
                   r"flockfile)")


FOREIGN = r"""
import ctypes, sys, urllib.request
C = ctypes
library = C.CDLL(sys.argv[1])

class Config(C.Structure):
    _fields_ = [("size", C.c_size_t), ("workers", C.c_uint),
                ("limits", C.c_void_p), ("log", C.c_void_p),
                ("log_context", C.c_void_p), ("log_level", C.c_int)]

LOG = C.CFUNCTYPE(None, C.c_void_p, C.c_void_p)(lambda context, entry: None)
config, server = Config(), C.c_void_p()
library.lhttpd_struct_init(C.byref(config), C.c_size_t(C.sizeof(config)))
assert config.size == C.sizeof(config) and not config.workers
config.workers, config.log = 1, C.cast(LOG, C.c_void_p)
source = b"httpd.register_handler('/', function() " \
         b"httpd.write(nil, 'hello from python') end)"
assert library.lhttpd_server_create(C.byref(server), C.byref(config)) == 0
assert library.lhttpd_server_listen(server, b"127.0.0.1", 0, 0) == 0
assert library.lhttpd_server_map_source(server, b"/", b"x.lua", source,
                                        C.c_size_t(len(source))) == 0
assert library.lhttpd_server_start(server) == 0
port = library.lhttpd_server_port(server, 0)
print(urllib.request.urlopen(f"http://127.0.0.1:{port}/").read().decode())
assert library.lhttpd_server_stop(server, 1000) == 0
library.lhttpd_server_destroy(server)
"""


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

    def test_other_languages_need_no_inline_function(self):
        """ctypes makes structs of the size that it knows of, here an older
        one's: what ends before server_name."""
        done = run(sys.executable, "-c", FOREIGN, self.library)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("hello from python", done.stdout)

    def test_uses_no_locks(self):
        needed = self.names("--undefined-only")
        self.assertIn("pthread_create", needed)
        self.assertEqual([n for n in needed if LOCKS.match(n)], [])


if __name__ == "__main__":
    unittest.main()
