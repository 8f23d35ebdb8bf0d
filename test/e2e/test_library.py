"""What the shared library shows of itself, the header's functions and no locks,
and the ways in which a program gets the library."""

import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import harness
import installed
from harness import BUILD, EXAMPLES, HERE, SOURCE, curl, run

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
        if harness.built_of_sources():
            self.skipTest("the libraries in it are static, and have names too")
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
        if harness.of_another_processor():
            self.skipTest("Python is not of the library's processor")
        if harness.built_by_musl():
            self.skipTest("Python has another C library")
        done = run(sys.executable, "-c", FOREIGN, self.library)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("hello from python", done.stdout)

    def test_uses_no_locks(self):
        needed = self.names("--undefined-only")
        self.assertIn("pthread_create", needed)
        self.assertEqual([n for n in needed if LOCKS.match(n)], [])


CONSUMERS = os.path.join(HERE, "consumers")
EMBED = os.path.join(EXAMPLES, "embed.c")


class Consumer(installed.TestCase):
    def answers(self, program, text, shared, *args):
        """It serves, and needs the shared library or does not."""
        needed = self.tool("ldd", program)
        self.assertEqual("liblhttpd.so" in needed, shared, needed)
        process, url = self.serve(program, *args)
        self.assertEqual(curl(url), text + "\n")
        if args:
            return self.stops(process)
        _, errors = process.communicate("\n", timeout=harness.PATIENCE)
        self.assertEqual(process.returncode, 0, errors)
        self.assertNotRegex(errors, harness.REPORTS)

    def project(self, way, out, **settings):
        """The directory where the project was built, as these settings say."""
        out = os.path.join(self.prefix, out)
        settings = {"WAY": way, "CMAKE_CXX_FLAGS": " ".join(self.sanitizers()),
                    "CMAKE_PREFIX_PATH": self.prefix, **settings}
        self.tool("cmake", "-G", "Ninja", "-S", CONSUMERS, "-B", out,
                  *(f"-D{name}={value}" for name, value in settings.items()))
        self.tool("cmake", "--build", out)
        return out

    def without_shared(self):
        """The installation, somewhere else and without its shared library."""
        prefix = os.path.join(self.prefix, "moved")
        if not os.path.exists(prefix):
            shutil.copytree(self.prefix, prefix, symlinks=True)
            for path in glob.glob(prefix + "/**/liblhttpd.so*", recursive=True):
                os.unlink(path)
        return prefix


class PkgConfig(Consumer):
    def flags(self, prefix, *options, **variables):
        pc = glob.glob(prefix + "/**/lhttpd.pc", recursive=True)[0]
        variables.setdefault("PKG_CONFIG_PATH", os.path.dirname(pc))
        return subprocess.run(
            ["pkg-config", "--cflags", "--libs", *options, "lhttpd"],
            env={**self.environment, **variables}, text=True, check=True,
            stdout=subprocess.PIPE).stdout.split()

    def compiled(self, name, *args):
        program = os.path.join(self.prefix, name)
        self.tool("cc", "-Wall", "-Wextra", "-Werror", *args, "-o", program)
        return program

    def test_shared(self):
        program = self.compiled("shared", *self.sanitizers(), EMBED,
                                *self.flags(self.prefix))
        self.answers(program, "Hello from inside a C program.", True, "0")

    def test_static(self):
        """Where there is nothing but the static library."""
        program = self.compiled(
            "static", *self.sanitizers(), EMBED,
            *self.flags(self.without_shared(), "--static"))
        self.answers(program, "Hello from inside a C program.", False, "0")

    def test_wholly_static(self):
        """A program that needs no library at all."""
        if self.sanitizers():
            self.skipTest("there are no static sanitizers")
        program = os.path.join(self.prefix, "whole")
        self.tool("cc", "-static", EMBED, *self.flags(self.prefix, "--static"),
                  "-o", program)
        self.assertNotIn("NEEDED", self.tool("readelf", "-d", program))
        process, url = self.serve(program, "0")
        self.assertIn("Hello from", curl(url))
        self.stops(process)

    def test_examples_find_the_modules_that_are_installed(self):
        examples = os.path.join(self.prefix, "share/doc/lhttpd/examples")
        for name in ("proxy.lua", "webhook.lua"):
            done = harness.lhttpd("-t", "-l", "/", os.path.join(examples, name))
            self.assertEqual(done.returncode, 0, done.stderr)

    def test_services(self):
        """What starts the binary names it where it was installed, also where
        another root is in front of that."""
        root = tempfile.mkdtemp(dir=harness.directory())
        self.tool("env", "DESTDIR=" + root, "cmake", "--install", BUILD,
                  "--prefix", "/opt/web")
        for top, prefix in (("", self.prefix), (root, "/opt/web")):
            where = top + prefix
            binary = where + "/sbin/lhttpd"
            self.assertTrue(os.path.exists(binary))
            found = (where + "/lib/systemd/system/lhttpd.service",
                     where + "/share/lhttpd/service/lhttpd.openrc",
                     where + "/share/lhttpd/service/lhttpd.procd")
            for name in found:
                with open(name) as f:
                    words = [w for line in f if line[0] != "#"
                             for w in re.findall(r"[^\s=]*/sbin/lhttpd", line)]
                self.assertEqual(words, [binary[len(top):]], name)

    def test_sysroot(self):
        """Paths are those of the sysroot, and have it once."""
        root = os.path.join(self.prefix, "root")
        done = subprocess.run(
            ["cmake", "--install", BUILD, "--prefix", "/usr"], text=True,
            env=dict(os.environ, DESTDIR=root), stdout=subprocess.PIPE)
        self.assertEqual(done.returncode, 0, done.stdout)
        pc = os.path.dirname(
            glob.glob(root + "/**/lhttpd.pc", recursive=True)[0])
        # What it requires is in the sysroot too, with the system's paths.
        system = run("pkg-config", "--variable", "pc_path", "pkg-config").stdout
        requires = run("pkg-config", "--print-requires",
                       "--print-requires-private", pc + "/lhttpd.pc").stdout
        for name in requires.split():
            found = [os.path.join(d, name + ".pc")
                     for d in system.strip().split(":")]
            shutil.copy(next(filter(os.path.exists, found)), pc)
        flags = self.flags(root, "--static", PKG_CONFIG_PATH="",
                           PKG_CONFIG_LIBDIR=pc, PKG_CONFIG_SYSROOT_DIR=root)
        paths = [os.path.normpath(f[2:]) for f in flags if f[:2] in ("-I", "-L")]
        self.assertIn(root + "/usr/include", paths)
        self.assertIn(os.path.dirname(pc), paths)
        for path in paths:
            self.assertTrue(path.startswith(root + "/usr"), path)
            self.assertEqual(path.count(root), 1, path)

    def test_plugin(self):
        """The library is opened while the program runs."""
        program = self.compiled("plugin", *self.sanitizers(),
                                "-I" + os.path.join(SOURCE, "include"),
                                os.path.join(CONSUMERS, "plugin.c"), "-ldl")
        self.assertNotIn("liblhttpd.so", self.tool("ldd", program))
        library = glob.glob(self.prefix + "/lib/**/liblhttpd.so",
                            recursive=True)[0]
        process, url = self.serve(program, library)
        self.assertEqual(curl(url), "Hello, plugin.\n")
        _, errors = process.communicate("\n", timeout=harness.PATIENCE)
        self.assertEqual(process.returncode, 0, errors)
        self.assertNotRegex(errors, "plugin:|" + harness.REPORTS.pattern)


class CMake(Consumer):
    """Its project knows C++ only."""

    HELLO = "Hello from C++."

    def test_shared(self):
        out = self.project("find_package", "shared", VERSION="0.1")
        self.answers(out + "/program", self.HELLO, True)

    def test_static(self):
        out = self.project("find_package", "static", COMPONENTS="static")
        self.answers(out + "/program", self.HELLO, False)

    def test_both_by_name(self):
        for kind in ("shared", "static"):
            out = self.project("find_package", "by-" + kind,
                               LINK="lhttpd::lhttpd_" + kind)
            self.answers(out + "/program", self.HELLO, kind == "shared")

    def test_build_shared_libs(self):
        out = self.project("find_package", "off", BUILD_SHARED_LIBS="OFF")
        self.answers(out + "/program", self.HELLO, False)

    def test_only_the_static_one_is_installed(self):
        out = self.project("find_package", "only",
                           CMAKE_PREFIX_PATH=self.without_shared())
        self.answers(out + "/program", self.HELLO, False)

    def refused(self, **settings):
        out = os.path.join(self.prefix, "refused")
        shutil.rmtree(out, ignore_errors=True)
        done = subprocess.run(
            ["cmake", "-G", "Ninja", "-S", CONSUMERS, "-B", out,
             "-DWAY=find_package", "-DCMAKE_PREFIX_PATH=" + self.prefix,
             *(f"-D{name}={value}" for name, value in settings.items())],
            env=self.environment, text=True, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT)
        self.assertNotEqual(done.returncode, 0, done.stdout)
        return " ".join(done.stdout.split())

    def test_what_is_missing_is_told(self):
        self.assertIn('compatible with requested version "0.2"',
                      self.refused(VERSION="0.2"))
        self.assertIn("needs liblhttpd.so", self.refused(
            COMPONENTS="shared", CMAKE_PREFIX_PATH=self.without_shared()))
        if "bearssl" in harness.built_in():  # which pkg-config does not know
            self.assertIn("-lbearssl", self.refused(
                COMPONENTS="static", LHTTPD_TLS_LIBRARY="OFF"))


class OtherNames(harness.TestCase):
    """What Debian calls otherwise than other systems."""

    def found(self, vm):
        """What cmake says where pkg-config knows Lua 5.1 as "lua"."""
        harness.need("cmake")
        known = os.path.join(harness.directory(), "known")
        os.makedirs(known, exist_ok=True)
        for module in ("lua5.1", "liburing"):
            where = run("pkg-config", "--variable=pcfiledir", module).stdout
            if not where:
                self.skipTest(f"{module} is not installed")
            shutil.copy(f"{where.strip()}/{module}.pc", known)
        os.rename(known + "/lua5.1.pc", known + "/lua.pc")
        out = os.path.join(harness.directory(), "configured-" + vm)
        done = run("cmake", "-G", "Ninja", "-S", SOURCE, "-B", out,
                   "-DLHTTPD_TLS=none", "-DLHTTPD_HTTP2=OFF", "-DLHTTPD_LUA=" + vm,
                   env={**os.environ, "PKG_CONFIG_LIBDIR": known})
        return done.returncode, done.stdout + done.stderr

    def test_lua_without_its_version(self):
        for vm in ("auto", "lua5.1"):
            with self.subTest(vm=vm):
                status, said = self.found(vm)
                self.assertIn("-- Lua: lua5.1 5.1.5\n", said)
                self.assertEqual(status, 0, said)
        status, said = self.found("lua5.4")
        self.assertNotEqual(status, 0)
        self.assertIn("lua5.1 is there: -DLHTTPD_LUA=lua5.1\n", said)


class Subproject(Consumer):
    """The library's sources inside another project; built with the release
    only, since it is compiled anew each time."""

    OURS = re.compile(r"CMAKE_|LHTTPD_|lhttpd_|consumer_|FETCHCONTENT_|"
                      r"pkgcfg_lib_LHTTPD_|__pkg_config_\w+_LHTTPD_|PKG_CONFIG_|"
                      r"FIND_PACKAGE_MESSAGE_|_CMAKE|"
                      r"(WAY|LIBRARY_SOURCE|BUILD_SHARED_LIBS|prefix_result)$")

    def setUp(self):
        if self.sanitizers():
            self.skipTest("the library is compiled once, with the release")

    def check(self, way, shared, **settings):
        with open(os.path.join(BUILD, "CMakeCache.txt")) as f:
            vm = re.search(r"^LHTTPD_LUA:STRING=(.*)$", f.read(), re.M).group(1)
        out = self.project(way, way, LIBRARY_SOURCE=SOURCE, LHTTPD_LUA=vm,
                           CMAKE_EXPORT_COMPILE_COMMANDS="ON",
                           CMAKE_PREFIX_PATH="", **settings)
        self.answers(out + "/program", "Hello from C++.", shared)
        # Nothing is built but what the program needs.
        made = {os.path.basename(path) for path in
                glob.glob(out + "/**/*", recursive=True)
                if os.access(path, os.X_OK) and os.path.isfile(path)
                and "/CMakeFiles/" not in path}
        self.assertEqual({name for name in made if ".so" not in name},
                         {"program"})
        self.assertEqual(bool(glob.glob(out + "/**/liblhttpd.a",
                                        recursive=True)), not shared)
        # Nothing is installed but the parent's own.
        to = os.path.join(out, "installed")
        self.tool("cmake", "--install", out, "--prefix", to)
        self.assertEqual([path for path in glob.glob(to + "/**/*",
                                                     recursive=True)
                          if os.path.isfile(path)], [to + "/bin/program"])
        with open(out + "/CMakeCache.txt") as f:
            names = re.findall(r"^([A-Za-z_]\w*)[\w.-]*:\w+=", f.read(), re.M)
        self.assertEqual([n for n in names if not self.OURS.match(n)], [])
        return out

    def test_add_subdirectory(self):
        out = self.check("add_subdirectory", False)
        with open(out + "/compile_commands.json") as f:
            commands = f.read()
        # The parent said nothing of how to compile.
        self.assertIn("boot.c", commands)
        for option in ("-O2", "-Wconversion", "-g "):
            self.assertNotIn(option, commands)

    def test_fetch_content(self):
        self.check("FetchContent", True, BUILD_SHARED_LIBS="ON")

    def test_alone_one_kind_is_made_and_installed(self):
        for on, file, other in (("ON", "liblhttpd.so", "liblhttpd.a"),
                                ("OFF", "liblhttpd.a", "liblhttpd.so")):
            out = os.path.join(self.prefix, "alone" + on)
            self.tool("cmake", "-G", "Ninja", "-S", SOURCE, "-B", out,
                      "-DBUILD_SHARED_LIBS=" + on)
            with open(out + "/cmake_install.cmake") as f:
                installs = re.findall(r"/(liblhttpd\.\w+)\b(?!\.in)", f.read())
            self.assertIn(file, installs)
            self.assertNotIn(other, installs)


if __name__ == "__main__":
    unittest.main()
