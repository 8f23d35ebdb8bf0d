"""What is left out of a build: said by -V, refused where it is asked for, and
the rest works.  It runs on every build; each class says what it is about."""

import json
import os
import re
import socket
import unittest

import harness
from harness import Server, lhttpd


class Parts(harness.TestCase):
    """Of the binary that is tested."""

    SCRIPT = """
httpd.register_handler("/", function()
    local named = {"io", "popen", "open", "sendfile", "execute", "remove"}
    local there = {}
    for i = 1, #named do
        local name = named[i]
        if _G[name] or httpd[name] or os[name] then there[#there + 1] = name end
    end
    httpd.write(nil, #there > 0 and table.concat(there, " ") or "nothing")
end)
httpd.register_handler("/wait", function()
    local s = httpd.subscribe("news")
    httpd.publish("news", "fresh")
    httpd.write(nil, httpd.read((httpd.wait({s}, 10))))
end)
httpd.register_handler("/require", function()
    httpd.write(nil, tostring(pcall(require, "io")))
end)
"""

    @classmethod
    def setUpClass(cls):
        cls.parts = harness.built_in()
        cls.script = harness.directory() + "/parts.lua"
        with open(cls.script, "w") as f:
            f.write(cls.SCRIPT)

    def answer(self, path, **how):
        with Server("/", self.script, **how) as s:
            with s.client() as c:
                r = c.ask("GET", path)
                self.assertEqual(r.status, 200)
                return r.text

    def refused(self, words, *options):
        done = lhttpd("-f", "-a", "127.0.0.1", *options, "-l", "/", self.script)
        self.assertEqual(done.returncode, 2, done)
        self.assertIn(words, done.stderr)

    def test_files(self):
        every = "io popen open sendfile execute remove"
        has = "files" in self.parts
        self.assertEqual(self.answer("/"), every if has else "nothing")
        self.assertEqual(self.answer("/require"), "true" if has else "false")

    def test_static_library(self):
        """Any linker finds functions in it, not only the compiler's own."""
        harness.need("readelf")
        library = os.path.join(harness.BUILD, "liblhttpd.a")
        symbols = harness.run("readelf", "-sW", library).stdout
        self.assertTrue(re.search(
            r"FUNC +GLOBAL .* lhttpd_server_create\n", symbols))

    def test_waiting(self):
        self.assertEqual(self.answer("/wait"), "fresh")

    def test_tls(self):
        libraries = self.parts & {"bearssl", "openssl"}
        self.assertEqual(len(libraries), "tls" in self.parts)
        if libraries:
            self.answer("/", tls=["ec"])
            return
        pair = ["-c", *harness.certificate("ec")]
        pair.insert(2, "-k")
        self.refused("TLS is not built in", *pair, "-p", "0s")
        self.refused("TLS is not built in", *pair, "-t")
        done = lhttpd("-o", f"client_ca={pair[1]}", "-l", "/", self.script)
        self.assertEqual(done.returncode, 2)
        self.assertIn(f"client CA '{pair[1]}': TLS is not built in",
                      done.stderr)

    def test_sbom(self):
        """It names what the build is made of, with pkg-config's versions."""
        with open(harness.BUILD + "/lhttpd.spdx.json") as f:
            sbom = json.load(f)
        versions = {p["name"]: p.get("versionInfo") for p in sbom["packages"]}
        vm = versions.get("LuaJIT") or versions.get("Lua")
        self.assertEqual(vm, self.version_of(harness.vm_module()))
        self.assertEqual(versions["liburing"], self.version_of("liburing"))
        self.assertEqual("BearSSL" in versions, "bearssl" in self.parts)
        self.assertEqual("OpenSSL" in versions, "openssl" in self.parts)
        if "openssl" in self.parts:
            self.assertEqual(versions["OpenSSL"], self.version_of("openssl"))
        self.assertEqual("nghttp2" in versions, "http2" in self.parts)
        self.assertEqual(versions["lhttpd"],
                         lhttpd("-V").stdout.splitlines()[0])
        known = {p["SPDXID"] for p in sbom["packages"]} | {"SPDXRef-DOCUMENT"}
        for r in sbom["relationships"]:
            self.assertLessEqual({r["spdxElementId"], r["relatedSpdxElement"]},
                                 known)
        self.assertEqual(len(sbom["relationships"]), len(versions))

    def version_of(self, module):
        """With libraries of our own it is another pkg-config's."""
        if harness.built_of_sources():
            self.skipTest("pkg-config knew other libraries")
        return harness.run("pkg-config", "--modversion", module).stdout.strip()

    def test_http2(self):
        preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"
        with Server("/", self.script) as s:
            with socket.create_connection(("127.0.0.1", s.port),
                                          harness.PATIENCE) as c:
                c.sendall(preface)
                begins = c.recv(9)
        self.assertEqual(begins[3:4], b"\4" if "http2" in self.parts else b"",
                         begins)  # SETTINGS, or the end


if __name__ == "__main__":
    unittest.main()
