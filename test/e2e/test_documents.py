"""Every block of code in the documents is what its language says."""

import glob
import os
import re
import tempfile
import unittest

import harness
from harness import SOURCE, run

BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.M | re.S)
KNOWN = {"c", "lua", "sh", "console", "cmake", "md", ""}

# What a piece of C that is no whole file stands in.
AROUND = """#include <lauxlib.h>
#include <lhttpd.h>
#include <lua.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
"""

LOAD = """
local load = loadstring or load
for line in io.lines("%s") do
    local file = assert(io.open(line))
    assert(load(file:read("*a"), "@" .. line))
    file:close()
end
"""


def blocks(*languages):
    """[("docs/limits.md, block 2", text)] in these languages."""
    found = []
    for path in sorted(glob.glob(SOURCE + "/*.md") +
                       glob.glob(SOURCE + "/docs/*.md")):
        with open(path) as f:
            text = f.read()
        name = os.path.relpath(path, SOURCE)
        for i, (indent, language, code) in enumerate(BLOCK.findall(text)):
            if language in languages:
                lines = [line.removeprefix(indent)
                         for line in code.splitlines(True)]
                found.append((f"{name}, block {i + 1}", "".join(lines)))
    return found


class Blocks(harness.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(dir=harness.directory())

    def file(self, text, name):
        path = os.path.join(self.directory, name)
        with open(path, "w") as f:
            f.write(text)
        return path

    def test_languages_are_known(self):
        self.assertGreater(len(blocks(*KNOWN)), 30)
        for path in glob.glob(SOURCE + "/*.md") + glob.glob(SOURCE +
                                                            "/docs/*.md"):
            with open(path) as f:
                text = f.read()
            fences = re.findall(r"^ *```(\w*)$", text, re.M)
            self.assertEqual(len(fences) % 2, 0, path)
            self.assertEqual(set(fences) - KNOWN, set(), path)

    def test_lua_is_loaded(self):
        harness.need_built_in("files")
        found = blocks("lua")
        self.assertGreater(len(found), 8)
        paths = [self.file(code, re.sub(r"\W+", "-", name) + ".lua")
                 for name, code in found]
        done = self.load(paths)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotEqual(self.load([self.file("x = = 1", "wrong")]).returncode,
                            0)

    def load(self, paths):
        listed = self.file("\n".join(paths) + "\n", "list")
        return harness.lhttpd("-t", "-l", "/",
                              self.file(LOAD % listed, "load.lua"))

    def test_shell_is_parsed(self):
        found = blocks("sh")
        for name, code in blocks("console"):
            lines = re.findall(r"^\$ (.*)$", code, re.M)
            self.assertTrue(lines, name)
            found.append((name, "\n".join(lines)))
        self.assertGreater(len(found), 10)
        for name, code in found:
            done = run("sh", "-n", self.file(code, "block.sh"))
            self.assertEqual(done.returncode, 0, f"{name}: {done.stderr}")

    def test_c_is_compiled(self):
        """What is inside of lhttpd (CONTRIBUTING.md) is not a program's."""
        found = [(name, code) for name, code in blocks("c")
                 if not name.startswith("CONTRIBUTING")]
        self.assertGreater(len(found), 2)
        for name, code in found:
            self.assertTrue(self.compiles(code) or
                            self.compiles("void f(lhttpd_server_t *server)\n{\n" + code +
                                          "}\n"),
                            f"{name}: {self.said}")
        self.assertFalse(self.compiles("int f(void) { return lhttpd_(; }"))
        self.assertFalse(self.compiles("int i = lhttpd_no_such;"))

    def compiles(self, code):
        """Functions of the reader's own program need no declaration."""
        flags = run("pkg-config", "--cflags", harness.vm_module()).stdout.split()
        done = run(os.environ.get("CC", "cc"), "-std=gnu11", "-fsyntax-only",
                   "-Wall", "-Werror", "-Wno-unused", "-Wno-int-conversion",
                   "-Wno-implicit-function-declaration", "-I",
                   SOURCE + "/include", *flags,
                   self.file(AROUND + code, "block.c"))
        self.said = done.stderr
        return done.returncode == 0

    def test_examples_of_the_pages_are_parsed(self):
        """lhttpd(8)'s commands; programs of section 3 test/manual.sh compiles."""
        with open(SOURCE + "/docs/lhttpd.8") as f:
            found = re.findall(r"^\.Bd -literal.*?\n(.*?)^\.Ed$", f.read(),
                               re.M | re.S)
        self.assertTrue(found)
        for code in found:
            code = code.replace("\\e", "\\").replace("\\&", "")
            done = run("sh", "-n", self.file(code, "block.sh"))
            self.assertEqual(done.returncode, 0, done.stderr)


class Recipes(harness.TestCase):
    """Of systems that are not here: as far as their files can be tried."""

    WHERE = SOURCE + "/share/packaging/"
    SYSTEM = """
config_load() { :; }
config_get_bool() { eval "$1=$ENABLED"; }
config_get() {
    case "$2.$3" in
    main.certificate) eval "$1=/etc/lhttpd/chain.pem" ;;
    main.key) eval "$1=/etc/lhttpd/key.pem" ;;
    main.user) eval "$1=lhttpd" ;;
    second.prefix) eval "$1=/shop" ;;
    first.path | second.path) eval "$1=/etc/lhttpd/$2.lua" ;;
    *) eval "$1=\${4:-}" ;;
    esac
}
config_list_foreach() {
    case $2 in
    address) $3 0.0.0.0 $4; $3 :: $4 ;;
    port) $3 443s $4 ;;
    set) $3 idle_timeout_ms=30000 $4 ;;
    esac
}
config_foreach() { $1 first; $1 second; }
procd_open_instance() { echo open; }
procd_set_param() { [ $1 != command ] || { shift; printf %s "$*"; }; }
procd_append_param() { shift; printf ' %s' "$@"; }
procd_close_instance() { echo; }
logger() { echo "logger $*"; }
"""

    def run_init(self, enabled):
        path = self.WHERE + "openwrt/lhttpd/files/lhttpd.init"
        done = run("sh", "-ec", f"ENABLED={enabled}\n{self.SYSTEM}\n"
                   f". {path}\nstart_service")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def test_openwrt_starts_what_its_configuration_says(self):
        self.assertEqual(self.run_init(0), "")
        self.assertEqual(
            self.run_init(1),
            "open\n/usr/sbin/lhttpd -f -a 0.0.0.0 -a :: -p 443s -o "
            "idle_timeout_ms=30000 -c /etc/lhttpd/chain.pem -k "
            "/etc/lhttpd/key.pem -u lhttpd -l / /etc/lhttpd/first.lua -l "
            "/shop /etc/lhttpd/second.lua\n")

    def test_openwrt_makefile_is_read(self):
        harness.need("make")
        top = tempfile.mkdtemp(dir=harness.directory())
        for name in ("package.mk", "cmake.mk"):
            open(os.path.join(top, name), "w").close()
        with open(top + "/rules.mk", "w") as f:
            f.write("all:\n\t@echo $(CMAKE_OPTIONS)\n"
                    "define BuildPackage\n$(call Package/$(1))\nendef\n")
        done = run("make", "-f", self.WHERE + "openwrt/lhttpd/Makefile",
                   "TOPDIR=" + top, "INCLUDE_DIR=" + top, "CONFIG_LHTTPD_HTTP2=y")
        self.assertEqual(done.returncode, 0, done.stderr)
        for option in ("TLS=none", "HTTP2=ON", "FILES=OFF"):
            self.assertIn("-DLHTTPD_" + option, done.stdout)

    def test_scripts_are_parsed(self):
        for name in ("alpine/APKBUILD", "alpine/lhttpd.pre-install",
                     "debian/finish.sh", "debian/postinst", "debian/prerm",
                     "debian/postrm"):
            done = run("sh", "-n", self.WHERE + name)
            self.assertEqual(done.returncode, 0, f"{name}: {done.stderr}")


if __name__ == "__main__":
    unittest.main()
