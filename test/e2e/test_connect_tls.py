"""httpd.connect with TLS: whose certificate is believed, and who is refused in
which words.  The servers are openssl's and Python's."""

import contextlib
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import unittest.mock

import harness
import records
from harness import PATIENCE, Server, script
from test_client_certs import Authority, new_key
from test_connect import Peer, echo


class Issuer(Authority):
    """Signs for servers."""

    def server(self, name, alternatives, begin=-1, end=7, kind="P-256",
               usage="serverAuth"):
        """The paths of a certificate and its key."""
        pem, key = self.path(name + ".pem"), self.path(name + ".key")
        with open(self.path("conf"), "a") as f:
            f.write(f"[{name}]\nextendedKeyUsage = {usage}\n")
            if alternatives:
                f.write(f"subjectAltName = {alternatives}\n")
        new_key(key, kind)
        self._request(key, f"/CN={name}")
        self._sign(self.path("csr"), pem, name, begin, end)
        return pem, key


class TlsPeer(Peer):
    def __init__(self, certificate, serve=echo,
                 version=ssl.TLSVersion.TLSv1_2):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = context.maximum_version = version
        context.load_cert_chain(*certificate)

        def wrapped(client):
            try:
                with context.wrap_socket(client, server_side=True,
                                         suppress_ragged_eofs=False) as tls:
                    self.clients.append(tls)
                    serve(tls)
            except ssl.SSLError:
                pass  # those who refuse us are looked at from their side
        super().__init__(wrapped)


@contextlib.contextmanager
def s_server(*options):
    """openssl's, for what Python's cannot be made to do; its port."""
    with harness.free_port() as port:
        process = subprocess.Popen(
            ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-quiet",
             *options], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE)
        try:
            def listens():
                assert process.poll() is None, process.stderr.read()
                with socket.socket() as s:
                    return s.connect_ex(("127.0.0.1", port)) == 0
            harness.wait_until(listens, "for s_server")
            yield port
        finally:
            process.kill()
            process.communicate()


class Certificates(harness.TestCase):
    parts = "tls"
    version = ssl.TLSVersion.TLSv1_2

    @classmethod
    def setUpClass(cls):
        harness.need_built_in(cls.parts)
        cls.ca, cls.other = Issuer("good"), Issuer("other")
        cls.good = cls.ca.server("good", "DNS:a.test,DNS:*.wild.test,"
                                         "IP:127.0.0.1,IP:::1")
        cls.server = Server("/", script("run.lua"), workers=1)

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def lua(self, code, server=None):
        with (server or self.server).client() as c:
            r = c.ask("POST", "/", body=code.encode())
        self.assertEqual(r.status, 200, (server or self.server).log()[-2000:])
        return r.text.split("\n")

    def peer(self, certificate, serve=echo):
        return TlsPeer(certificate, serve, self.version)

    def connect(self, port, name="a.test", server=None):
        name = f"server_name = '{name}'," if name else ""
        return self.lua(f"""
            local s, why = httpd.connect("127.0.0.1", {port},
                {{tls = true, ca = "{self.ca.pem}", {name} timeout = 60}})
            return s, why""", server)

    def refused(self, certificate, name="a.test"):
        with self.peer(certificate) as p:
            found = self.connect(p.port, name)
        self.assertEqual(found[0], "nil")
        return found[1]

    def test_octets_there_and_back(self):
        n = 3000000
        for kind in ("P-256", "P-384", "rsa"):
            with self.subTest(kind=kind), self.peer(self.ca.server(
                    "kind" + kind.replace("-", ""), "DNS:a.test",
                    kind=kind)) as p:
                self.assertEqual(self.lua(f"""
                    local s = assert(httpd.connect("127.0.0.1", {p.port}, {{
                        tls = true, ca = "{self.ca.pem}",
                        server_name = "a.test"}}))
                    httpd.write(s, "line\\n")
                    assert(httpd.read(s, "l") == "line")
                    httpd.spawn(function()
                        httpd.write(s, ("x"):rep({n}))
                    end)
                    local got = httpd.read(s, {n})
                    local ok, why = httpd.close(s, "write")
                    httpd.close(s)
                    return #got, got == ("x"):rep({n}), ok, why"""),
                    [str(n), "true", "nil",
                     "with TLS both sides end at once"])

    def test_names_and_addresses(self):
        with self.peer(self.good) as p:
            for name in ("a.test", "A.Test", "a.test.", "b.wild.test", None):
                self.assertEqual(self.connect(p.port, name)[0],
                                 "socket (open)", name)
            for name in ("b.test", "wild.test", "c.b.wild.test", "127.0.0.2",
                         "::2", "xa.test", ".wild.test"):
                self.assertEqual(self.connect(p.port, name)[:2],
                                 ["nil", "127.0.0.1: certificate: it is for "
                                         "another name"], name)

    def test_the_common_name_is_not_enough(self):
        self.assertIn("it is for another name",
                      self.refused(self.ca.server("a.test", "")))

    def test_who_is_refused_and_why(self):
        for why, certificate in (
                ("expired", self.ca.server("old", "DNS:a.test", -9, -2)),
                ("not yet valid", self.ca.server("young", "DNS:a.test", 2, 9)),
                ("unknown issuer", self.other.server("o", "DNS:a.test")),
                ("its usage does not allow it for servers",
                 self.ca.server("c", "DNS:a.test", usage="clientAuth"))):
            self.assertEqual(self.refused(certificate),
                             "127.0.0.1: certificate: " + why)

    def test_a_self_signed_one_is_nobodys(self):
        self.assertIn("unknown issuer", self.refused(
            harness.certificate("ec", "a.test")))

    def test_old_protocols(self):
        for version in ("-tls1", "-tls1_1"):
            with s_server("-cert", self.good[0], "-key", self.good[1], version,
                          "-cipher", "ALL:@SECLEVEL=0") as port:
                found = self.connect(port)
            self.assertEqual(found[0], "nil")
            self.assertRegex(found[1], "older than TLS 1.2|not speak TLS 1.2")

    def test_no_suite_in_common(self):
        with s_server("-cert", self.good[0], "-key", self.good[1], "-tls1_2",
                      "-cipher", "ECDHE-ECDSA-AES256-SHA") as port:
            self.assertEqual(self.connect(port)[1],
                             "127.0.0.1: handshake failure (alert 40) from the "
                             "server")

    def test_what_is_not_tls(self):
        def http(client):
            client.recv(1000)
            client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        with Peer(http) as p:
            self.assertEqual(self.connect(p.port)[1],
                             "127.0.0.1: what the server sent is not TLS")
        with Peer(lambda client: client.recv(1000)) as p:
            self.assertEqual(self.connect(p.port)[1],
                             "127.0.0.1: the server closed the connection")
        with Peer(lambda client: client.recv(1) and client.recv(100000) and
                  client.sendall(b"\x16\x03\x03\x00\x04\x02\x00\x00\xff")) as p:
            self.assertEqual(self.connect(p.port)[0], "nil")

    def test_one_that_is_silent_is_timed_out(self):
        with Peer(lambda client: client.recv(100000) and
                  client.recv(100000)) as p:
            self.assertEqual(self.lua(f"""
                return httpd.connect("127.0.0.1", {p.port}, {{tls = true,
                    ca = "{self.ca.pem}", timeout = 0.3}})""")[:2],
                ["nil", "timeout"])

    def test_an_end_without_a_goodbye_is_none(self):
        def cut(tls):
            tls.sendall(b"half of it")
            tls.recv(1)
            tls.shutdown(socket.SHUT_RDWR)

        def goodbye(tls):
            tls.sendall(b"half of it")
            tls.unwrap()
        for serve, end in ((cut, "closed"), (goodbye, "nil")):
            with self.peer(self.good, serve) as p:
                self.assertEqual(self.lua(f"""
                    local s = assert(httpd.connect("127.0.0.1", {p.port}, {{
                        tls = true, ca = "{self.ca.pem}",
                        server_name = "a.test"}}))
                    local half = httpd.read(s, 10)
                    if "{end}" == "closed" then httpd.write(s, "x") end
                    local rest, why = httpd.read(s)
                    return half, rest, why""")[:3],
                    ["half of it", "nil", end])

    def test_authorities(self):
        with self.peer(self.good) as p:
            code = f"""
                local s, why = httpd.connect("127.0.0.1", {p.port}, {{
                    tls = true, timeout = 60}})
                return s, why"""
            os.environ["SSL_CERT_FILE"] = self.ca.pem
            try:
                with Server("/", script("run.lua"), workers=1) as s:
                    self.assertEqual(self.lua(code, s)[0], "socket (open)")
            finally:
                del os.environ["SSL_CERT_FILE"]
            if os.path.exists("/etc/ssl/certs/ca-certificates.crt"):
                self.assertIn("unknown issuer", self.lua(code)[1])
            for ca in ("/nonexistent.pem", script("run.lua")):
                found = self.lua(code.replace("tls = true",
                                              f"tls = true, ca = '{ca}'"))
                self.assertEqual(found[0], "nil")
                self.assertIn(f"ca '{ca}': ", found[1])
                self.assertNotIn("client", found[1])

    def test_a_variable_that_names_no_file_is_named(self):
        with unittest.mock.patch.dict(os.environ,
                                      SSL_CERT_FILE="/nonexistent.pem"):
            with Server("/", script("run.lua"), workers=1) as s:
                found = self.lua("""
                    return httpd.connect("127.0.0.1", 1, {tls = true})""", s)
        self.assertEqual(found[0], "nil")
        self.assertIn("SSL_CERT_FILE '/nonexistent.pem': ", found[1])

    def test_files_of_authorities_have_a_bound(self):
        """Each is kept by its name, and read once."""
        with tempfile.TemporaryDirectory() as d, self.peer(self.good) as p, \
                Server("/", script("run.lua"), workers=1) as s:
            for i in range(65):
                shutil.copy(self.ca.pem, f"{d}/{i}.pem")
            code = f"""
                local answers = {{}}
                for i = 0, 65 do
                    local s, why = httpd.connect("127.0.0.1", {p.port}, {{
                        tls = true, ca = "{d}/" .. i % 65 .. ".pem"}})
                    answers[i] = s and "open" or why
                    if s then httpd.close(s) end
                end
                return answers[0], answers[63], answers[65], answers[64]"""
            found = self.lua(code, s)
        self.assertEqual(found[:3], ["open"] * 3)
        self.assertIn(f"ca '{d}/64.pem': 64 other files", found[3])

    def test_mistakes_raise(self):
        for call, words in (
                ('"a", 1, {ca = "x"}', "are for tls = true"),
                ('"a", 1, {tls = true, ca = 1}', "ca is a string"),
                ('"a", 1, {tls = true, server_name = ""}', "is a string"),
                ('"unix:/a", {tls = true}', "needs a server_name")):
            self.assertIn(words, self.lua(
                "return select(2, pcall(function() "
                f"httpd.connect({call}) end))")[0])


class Newest(Certificates):
    """Servers that speak TLS 1.3 alone, where they are not openssl's."""
    parts = "tls1.3"
    version = ssl.TLSVersion.TLSv1_3


class Parts(harness.TestCase):
    """A server sends a part of a message, and the rest when it is told to."""

    def serve(self, client, begin, rest):
        tls = records.Server(client, self.certificate)
        self.assertEqual(tls.read(1), b"x")
        client.sendall(tls.record(records.DATA, b"y") +
                       tls.record(records.HANDSHAKE, begin))
        self.assertTrue(self.wanted.wait(PATIENCE))
        client.sendall(tls.record(records.HANDSHAKE, rest))
        while client.recv(65536):
            pass

    def converse(self, begin, rest, code):
        """What a handler returns that has got the first part."""
        with Peer(lambda client: self.serve(client, begin, rest)) as p, \
                Peer(lambda client: self.wanted.set()) as bell, \
                Server("/", script("run.lua"), workers=1) as s, \
                s.client() as c:
            r = c.ask("POST", "/", body=f"""
                local s = assert(httpd.connect("127.0.0.1", {p.port}, {{
                    tls = true, ca = "{self.ca.pem}",
                    server_name = "a.test"}}))
                local function ring()
                    assert(httpd.connect("127.0.0.1", {bell.port}))
                end
                assert(httpd.write(s, "x"))
                assert(httpd.read(s, 1) == "y")
                {code}""".encode())
            self.assertIsNone(p.failure)
            return r.text.split("\n")

    def setUp(self):
        harness.need_built_in("tls")
        self.ca = Issuer("parts")
        self.certificate = self.ca.server("parts", "DNS:a.test")
        self.wanted = threading.Event()

    def test_who_writes_waits_for_the_rest(self):
        """BearSSL writes nothing meanwhile; OpenSSL waits with TLS 1.3 only."""
        found = self.converse(b"\0", b"\0\0\0", """
            local none, why = httpd.read(s, 1, 0.1)
            local n, full = httpd.write(s, "z", 0.1)
            ring()
            return why, n or full, httpd.write(s, "zz", 60)""")
        self.assertEqual(found[0], "timeout")
        self.assertIn(found[1], ("timeout", "1"))
        self.assertEqual(found[2], "2")

    def test_while_another_reads(self):
        found = self.converse(b"\0", b"\0\0\0", """
            local reads
            httpd.spawn(function()
                reads = true
                httpd.read(s, 1, 60)
            end)
            while not reads do httpd.sleep(0.01) end
            httpd.spawn(ring)
            return httpd.write(s, "zz", 60)""")
        self.assertEqual(found[0], "2")

    def test_who_writes_learns_that_it_is_wrong(self):
        found = self.converse(b"\x0b\0", b"\0\0", """
            local none, why = httpd.read(s, 1, 0.1)
            local n, full = httpd.write(s, "z", 0.1)
            ring()
            httpd.read(s, 1, 60)
            return why, n or full, httpd.write(s, "zz", 60)""")
        self.assertEqual(found[0], "timeout")
        self.assertIn(found[1], ("timeout", "1"))
        self.assertEqual(found[2:4], ["nil", "closed"])


class Without(harness.TestCase):
    def test_a_build_without_it_says_so(self):
        if "tls" in harness.built_in():
            self.skipTest("it is built in")
        with Server("/", script("run.lua"), workers=1) as s, s.client() as c:
            r = c.ask("POST", "/", body=b'return httpd.connect("127.0.0.1", 1,'
                                        b'{tls = true})')
            self.assertEqual(r.text.split("\n")[:2],
                             ["nil", "TLS for sockets is not in this build"])
