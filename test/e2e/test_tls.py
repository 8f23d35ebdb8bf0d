"""TLS as openssl's client sees it: versions, resumption, server names."""

import concurrent.futures
import itertools
import os
import re
import signal
import socket
import ssl
import subprocess
import tempfile
import unittest

import harness
from harness import Server, script

TOOLS = ("/", script("tools.lua"))


def s_client(port, *args, request="GET / HTTP/1.0\r\n\r\n"):
    """What openssl prints about one connection, and what the server sent."""
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{port}",
         "-ign_eof", *args], input=request, text=True, errors="replace",
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env=harness.environment(), timeout=harness.PATIENCE)
    return done.stdout


def versions():
    """(option of s_client, name of the version) of those that are spoken."""
    spoken = [("-tls1_2", "TLSv1.2")]
    if "tls1.3" in harness.built_in():
        spoken.append(("-tls1_3", "TLSv1.3"))
    return spoken


def session_file(name):
    return os.path.join(harness.directory(), name + ".session")


class Resumption(harness.TestCase):
    def setUp(self):
        harness.need("openssl")

    def test_resumed(self):
        for kind, (option, version) in itertools.product(("rsa", "ec"),
                                                         versions()):
            with (self.subTest(kind=kind, version=version),
                  Server(*TOOLS, tls=(kind,)) as s):
                path = session_file(kind)
                first = s_client(s.port, option, "-sess_out", path)
                self.assertIn("New, " + version, first)
                self.assertIn("hello", first)
                # On whichever worker the client lands.
                for _ in range(6):
                    again = s_client(s.port, option, "-sess_in", path)
                    self.assertIn("Reused, " + version, again)
                    self.assertIn("hello", again)

    def test_unknown_protocol_does_not_crash(self):
        with Server(*TOOLS, tls=("ec",)) as s:
            path = session_file("alpn")
            s_client(s.port, "-sess_out", path, "-alpn", "http/1.1")
            for _ in range(4):
                out = s_client(s.port, "-sess_in", path, "-alpn",
                               "unknown,also-unknown")
                self.assertNotIn("hello", out)
            # The server lives, and the session may still be used rightly.
            self.assertEqual(self.get(s).text, "hello\n")
            self.assertIn("hello", s_client(s.port, "-alpn", "http/1.1"))

    def test_another_name(self):
        """A session is not carried over to another name (RFC 6066, 3): a
        full handshake follows, with the certificate of that name."""
        for option, version in versions():
            with self.subTest(version=version):
                self.go_to_another_name(option, version)

    def go_to_another_name(self, option, version):
        one, two = (harness.certificate("ec", n)
                    for n in ("one.test", "two.test"))
        with Server(*TOOLS, options=["-c", one[0], "-k", one[1], "-c",
                                     two[0], "-k", two[1]]) as s:
            path, other = session_file("name"), session_file("none")
            for out, name in ((path, ["-servername", "one.test"]),
                              (other, ["-noservername"])):
                self.assertIn("hello", s_client(s.port, option, *name,
                                                "-sess_out", out))
            for _ in range(2):
                for way, name, cn, file in (
                        ("New", ["-servername", "two.test"], "two", path),
                        ("New", ["-noservername"], "one", path),
                        ("New", ["-servername", "one.test"], "one", other),
                        ("Reused", ["-noservername"], "one", other),
                        ("Reused", ["-servername", "one.test"], "one", path),
                        ("Reused", ["-servername", "ONE.Test"], "one", path),
                        ("Reused", ["-servername", "one.test."], "one",
                         path)):
                    out = s_client(s.port, option, *name, "-sess_in", file)
                    self.assertIn("hello", out)
                    self.assertIn(f"{way}, {version}", out)
                    self.assertIn(f"subject=CN = {cn}.test", out)

    def test_nginx_resumes_for_another_name(self):
        """nginx keeps one session for an upstream, whatever name it asks
        for next."""
        harness.need("nginx")
        names = ["one.test", "two.test", "ONE.test", "one.test.", "three.test"]
        where = tempfile.mkdtemp(dir=harness.directory())
        paths = "".join(f"{kind}_temp_path {where}/{kind};" for kind in
                        ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        with harness.free_port() as port, Server(*TOOLS, tls=("ec",)) as s:
            with open(where + "/conf", "w") as f:
                f.write(f"""daemon off; master_process off;
pid {where}/pid; error_log {where}/error;
events {{}}
http {{
    access_log off; {paths}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass https://127.0.0.1:{s.port};
            proxy_ssl_server_name on;
            proxy_ssl_name $arg_name;
        }}
    }}
}}
""")
            nginx = subprocess.Popen(["nginx", "-c", where + "/conf"])
            try:
                harness.wait_until(lambda: os.path.exists(where + "/pid"),
                                   "for nginx")
                for name in names * 3:
                    with harness.Client(port) as c:
                        r = c.ask(path=f"/?name={name}")
                        self.assertEqual((r.status, r.text), (200, "hello\n"),
                                         name)
            finally:
                nginx.terminate()
                nginx.wait(harness.PATIENCE)

    def test_hello_in_many_records(self):
        """The name is found in a message that fills several records."""
        one, two = (harness.certificate("ec", n)
                    for n in ("one.test", "two.test"))
        long = ",".join(["http/1.1"] + [f"protocol-{i}" for i in range(90)])
        with Server(*TOOLS, options=["-c", one[0], "-k", one[1], "-c",
                                     two[0], "-k", two[1]]) as s:
            path = session_file("records")
            options = ["-max_send_frag", "512", "-alpn", long]
            for (option, version), (name, more, way) in itertools.product(
                    versions(), (("two", ["-sess_out", path], "New"),
                                 ("two", ["-sess_in", path], "Reused"),
                                 ("one", ["-sess_in", path], "New"))):
                out = s_client(s.port, option, *options, *more,
                               "-servername", name + ".test")
                self.assertIn("hello", out)
                self.assertIn(f"{way}, {version}", out)
                self.assertIn(f"subject=CN = {name}.test", out)

    def test_hello_octet_by_octet(self):
        """Nor does it matter how the network cuts it."""
        with Server(*TOOLS, tls=("ec",)) as s:
            into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
            tls = harness.tls_context().wrap_bio(into, out)
            with socket.create_connection(("127.0.0.1", s.port),
                                          harness.PATIENCE) as c:
                c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.assertRaises(ssl.SSLWantReadError, tls.do_handshake)
                for octet in out.read():
                    c.sendall(bytes([octet]))
                while True:
                    into.write(c.recv(65536))
                    try:
                        tls.do_handshake()
                        break
                    except ssl.SSLWantReadError:
                        c.sendall(out.read())
                self.assertEqual(tls.version(), versions()[-1][1])

    def test_session_of_an_earlier_server(self):
        path = session_file("earlier")
        for option, version in versions():
            with Server(*TOOLS, tls=("ec",)) as s:
                s_client(s.port, option, "-sess_out", path)
            with Server(*TOOLS, tls=("ec",)) as s:
                out = s_client(s.port, option, "-sess_in", path)
                self.assertIn("New, " + version, out)
                self.assertIn("hello", out)


class Handshake(harness.TestCase):
    def setUp(self):
        harness.need("openssl")

    def test_versions(self):
        with Server(*TOOLS, tls=("rsa",)) as s:
            spoken = [option for option, _ in versions()]
            for version in spoken:
                self.assertIn("hello", s_client(s.port, version))
            for version in {"-tls1", "-tls1_1", "-tls1_3"} - set(spoken):
                out = s_client(s.port, version, "-cipher",
                               "ALL:@SECLEVEL=0")
                self.assertNotIn("hello", out, version)
                self.assertIn(":error:", out, version)

    def test_suites(self):
        with Server(*TOOLS, tls=("rsa", "ec")) as s:
            for good in ("ECDHE-RSA-AES128-GCM-SHA256",
                         "ECDHE-ECDSA-AES256-GCM-SHA384",
                         "ECDHE-ECDSA-CHACHA20-POLY1305"):
                out = s_client(s.port, "-tls1_2", "-cipher", good)
                self.assertIn(f"Cipher is {good}", out)
                self.assertIn("hello", out)
            for bad in ("AES128-GCM-SHA256", "ECDHE-RSA-AES128-SHA",
                        "DHE-RSA-AES128-GCM-SHA256"):
                out = s_client(s.port, "-tls1_2", "-cipher",
                               bad + ":@SECLEVEL=0")
                self.assertNotIn("hello", out, bad)

    def test_protocols(self):
        with Server(*TOOLS, tls=("ec",)) as s:
            for offer in ("http/1.1", "spdy/1,http/1.1", "http/1.0"):
                out = s_client(s.port, "-alpn", offer)
                self.assertIn("hello", out, offer)
            self.assertIn("No ALPN negotiated", s_client(s.port))
            self.assertIn("no application protocol",
                          s_client(s.port, "-alpn", "spdy/1"))

    def test_renegotiation_is_refused(self):
        with Server(*TOOLS, tls=("ec",)) as s:
            done = subprocess.run(
                ["openssl", "s_client", "-tls1_2", "-legacy_renegotiation",
                 "-connect", f"127.0.0.1:{s.port}"], input="R\n", text=True,
                errors="replace", stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, timeout=harness.PATIENCE)
            self.assertIn("RENEGOTIATING", done.stdout)
            self.assertNotRegex(done.stdout.split("RENEGOTIATING")[1],
                                "(?i)verify return:1")
            self.assertEqual(self.get(s).text, "hello\n")

    def test_close_notify(self):
        """A client can tell the end from a cut: else this would raise."""
        with Server(*TOOLS, tls=("ec",)) as s, s.client() as c:
            c.socket.suppress_ragged_eofs = False
            r = c.ask(version="HTTP/1.0")
            self.assertEqual(r.text, "hello\n")
            self.assertEqual(c.to_end(), b"")

    def test_small_records(self):
        """A client that wants short records, then one that does not."""
        with Server(*TOOLS, tls=("ec",), workers=1) as s:
            for options in (["-maxfraglen", "512"], [],
                            ["-maxfraglen", "1024"], []):
                out = s_client(s.port, *options,
                               request="GET /download?1 HTTP/1.0\r\n\r\n")
                self.assertEqual(out.count("0123456789abcdef"), 65536)

    def test_garbage(self):
        with Server(*TOOLS, tls=("rsa",),
                    limits={"handshake_timeout_ms": 3600000}) as s:
            for data in (b"\x16\x03\x01\xff\xff" + b"\0" * 100,
                         b"\x80\x2e\x01\0\x02", b"\0" * 10,
                         b"\x15\x03\x03\0\x02\x02\x28"):
                with harness.Client(s.port) as c:
                    c.send(data)
                    c.closed()
            self.assertEqual(self.get(s).text, "hello\n")
            self.assertEqual(ssl.get_server_certificate(
                ("127.0.0.1", s.port)).strip(),
                open(harness.certificate("rsa")[0]).read().strip())

    def test_an_alert_reaches_who_still_sends(self):
        """Closing at once would be a reset, which takes the alert away."""
        context = harness.tls_context()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers("AES128-SHA256")
        out = ssl.MemoryBIO()
        tls = context.wrap_bio(ssl.MemoryBIO(), out)
        self.assertRaises(ssl.SSLWantReadError, tls.do_handshake)
        hello = out.read()
        with Server(*TOOLS, tls=("ec",)) as s:
            for more in (1, 1000, 200_000):
                with harness.Client(s.port) as c:
                    c.send(hello + b"\x17\x03\x03\x40\0" + bytes(more))
                    self.assertEqual(c.socket.recv(7, socket.MSG_WAITALL),
                                     b"\x15\x03\x03\0\x02\x02\x28")
                    self.assertEqual(c.socket.recv(1), b"")
                    c.send(bytes(1000))
                    s.wait_for_log("no cipher suite in common")
            self.assertEqual(self.get(s).text, "hello\n")

    def test_failures_are_logged(self):
        """Who fails, and why, for an operator who asks for it."""
        with Server(*TOOLS, tls=("ec",)) as s:
            with harness.Client(s.port) as c:
                c.send(b"\x16\x03\x01\xff\xff" + b"\0" * 100)
                c.closed()
            s.wait_for_log("TLS handshake failed: ")
            s_client(s.port, "-tls1_2", "-cipher", "AES128-SHA256")
            s.wait_for_log("no cipher suite in common")
            with harness.Client(s.port) as c:
                c.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
                self.assertEqual(c.response().status, 400)
            s.wait_for_log("plain HTTP on a port that speaks TLS")
            self.assertEqual(s.log().count("plain HTTP"), 1)


    def test_the_goodbye_leaves_with_the_answer(self):
        harness.need_built_in("openssl")
        if harness.of_another_processor():
            self.skipTest("its system calls have other names")
        with (Server(*TOOLS, tls=("ec",), workers=1) as s,
              harness.Trace(s, "sendto") as t):
            self.assertEqual(harness.curl("-k", "--tls-max", "1.2", "--http1.0",
                                          s.url + "/"), "hello\n")
        octets = "".join(t.lines)
        self.assertIn('"\\27\\3\\3', octets)  # a record of data begins a packet,
        self.assertNotIn('"\\25\\3\\3', octets)  # and an alert does not

    def test_clients_that_leave_are_no_failure(self):
        """One who resets an open connection is not worth a line."""
        with Server(*TOOLS, tls=("ec",)) as s:
            for i in range(5):
                with harness.Client(s.port, tls=True) as c:
                    c.request(path="/download?32")
                    c.socket.recv(1000)
                    c.reset()
            with harness.Client(s.port) as c:
                c.send(b"\x16\x03\x01\xff\xff" + b"\0" * 100)
                c.closed()
            s.wait_for_log("TLS handshake failed: ")
            self.assertNotIn("TLS connection failed", s.log())


class Threads(harness.TestCase):
    CLIENTS = 40

    def connect(self, port, kind):
        """What one client is answered; a new one, who resumes nothing."""
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        with (socket.create_connection(("127.0.0.1", port),
                                       harness.PATIENCE) as plain,
              context.wrap_socket(plain, server_hostname="localhost") as s):
            s.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return s.makefile("rb").read()

    def test_many_at_once(self):
        """More than helpers take at once, in every order, and a reload."""
        for threads in (0, 1, 3):
            with (self.subTest(threads=threads),
                  Server(*TOOLS, tls=("rsa",), workers=1,
                         limits={"tls_threads": threads,
                                 "handshake_timeout_ms":
                                     harness.PATIENCE * 1000}) as s,
                  concurrent.futures.ThreadPoolExecutor(16) as pool):
                done = [pool.submit(self.connect, s.port, "rsa")
                        for _ in range(self.CLIENTS)]
                s.process.send_signal(signal.SIGHUP)
                for answer in done:
                    self.assertIn(b"hello", answer.result())

    def test_how_many(self):
        """So many more than a worker without TLS has."""
        def count(**options):
            with Server(*TOOLS, workers=1, **options) as s:
                return len(os.listdir(f"/proc/{s.process.pid}/task"))
        if not os.path.isdir("/proc/self/task"):
            self.skipTest("no /proc")
        if os.environ.get("LHTTPD_E2E_PROGRAM"):
            self.skipTest("another program than lhttpd")
        plain = count()
        for threads in (0, 1, 5):
            with self.subTest(threads=threads):
                self.assertEqual(
                    count(tls=("ec",), limits={"tls_threads": threads}),
                    plain + threads)

    def test_a_stop_in_handshakes(self):
        """Who is in one is cut, as who sends nothing; nobody hangs."""
        with Server(*TOOLS, tls=("rsa",), workers=1) as s:
            context = ssl.create_default_context()
            hellos = []
            for _ in range(20):
                out = ssl.MemoryBIO()
                client = context.wrap_bio(ssl.MemoryBIO(), out,
                                          server_hostname="localhost")
                with self.assertRaises(ssl.SSLWantReadError):
                    client.do_handshake()
                hellos.append(socket.create_connection(
                    ("127.0.0.1", s.port), harness.PATIENCE))
                hellos[-1].sendall(out.read())
            for hello in hellos:
                hello.close()


class Staple(harness.TestCase):
    """An OCSP response from the file beside the certificate."""

    def setUp(self):
        harness.need("openssl")
        harness.need_built_in("openssl")
        self.where = tempfile.mkdtemp(dir=harness.directory())
        pem, key = harness.certificate("ec", "staple.test")
        self.pem, self.key = self.where + "/pem", key
        with open(pem) as f, open(self.pem, "w") as out:
            out.write(f.read() * 2)  # its issuer is itself
        self.response = self.pem + ".ocsp"

    def respond(self, status, name="-sha1"):
        """By an authority's list, in which a certificate has this status; it
        is named by a hash of this kind."""
        shown = harness.run("openssl", "x509", "-in", self.pem, "-noout",
                            "-serial").stdout
        serial = shown.strip().split("=")[1]
        revoked = "260101000000Z" if status == "R" else ""
        with open(self.where + "/index", "w") as f:
            f.write(f"{status}\t350101000000Z\t{revoked}\t{serial}\tunknown"
                    "\t/CN=staple.test\n")
        done = harness.run(
            "openssl", "ocsp", "-index", self.where + "/index", "-CA",
            self.pem, "-rsigner", self.pem, "-rkey", self.key, name, "-issuer",
            self.pem, "-cert", self.pem, "-ndays", "3", "-respout",
            self.response)
        self.assertTrue(os.path.exists(self.response), done.stderr)

    def serve(self):
        return Server(*TOOLS, options=["-c", self.pem, "-k", self.key])

    def ask_for_it(self, port, *args):
        return s_client(port, "-status", *args)

    def test_sent(self):
        self.respond("V")
        with self.serve() as s:
            for option, _ in versions():
                out = self.ask_for_it(s.port, option)
                self.assertIn("OCSP Response Status: successful", out)
                self.assertIn("Cert Status: good", out)
                self.assertIn("hello", out)
            self.assertNotIn("OCSP Response Status", s_client(s.port))

    def test_name_by_another_hash(self):
        """SHA-1 is what most ask with, and nobody has to."""
        for name in ("-sha256", "-sha384"):
            self.respond("V", name)
            with self.serve() as s:
                out = self.ask_for_it(s.port)
                self.assertIn("Hash Algorithm: " + name[1:], out)
                self.assertIn("Cert Status: good", out)

    def test_none(self):
        with self.serve() as s:
            self.assertIn("no response sent", self.ask_for_it(s.port))
            self.respond("V")
            s.signal(1)
            s.wait_for_log("reloaded")
            self.assertIn("successful", self.ask_for_it(s.port))

    def test_of_another(self):
        """A certificate was renewed before its response."""
        self.respond("V")
        pem, self.key = harness.certificate("ec", "other.test")
        with open(pem) as f, open(self.pem, "w") as out:
            out.write(f.read() * 2)
        with self.serve() as s:
            out = self.ask_for_it(s.port)
            self.assertIn("no response sent", out)
            self.assertIn("hello", out)

    def test_refused(self):
        self.respond("R")
        for words in ("revoked", "no OCSP response in DER"):
            done = harness.lhttpd("-t", "-c", self.pem, "-k", self.key,
                                  "-l", *TOOLS)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(words, done.stderr)
            with open(self.response, "w") as out:
                out.write("damaged")


class Kernel(harness.TestCase):
    """kernel_tls: what the kernel enciphers, if it can, is as it was."""

    def setUp(self):
        harness.need("openssl")
        self.directory = tempfile.TemporaryDirectory(
            dir=harness.directory())
        self.addCleanup(self.directory.cleanup)
        self.octets = os.urandom(5_000_000)
        with open(os.path.join(self.directory.name, "file"), "wb") as f:
            f.write(self.octets)

    def server(self, *tools, **more):
        return Server(*tools, *TOOLS, tls=("ec",),
                      limits={"kernel_tls": "on"},
                      options=("-s", "/files", self.directory.name), **more)

    def counted(self):
        """Connections of this network that the kernel has enciphered."""
        try:
            with open("/proc/net/tls_stat") as f:
                text = f.read()
        except FileNotFoundError:
            return None
        return int(re.search(r"^TlsTxSw\s+(\d+)", text, re.M).group(1))

    def works(self, server):
        return "kernel_tls is on, but" not in server.log()

    def test_is_used_or_named(self):
        with self.server() as s:
            if not self.works(s):
                s.wait_for_log("kernel_tls is on, but (bearssl does all: "
                               "BearSSL has no TLS 1.3|openssl does all: )")
            before = self.counted()
            for option, _ in versions():
                self.assertIn("hello", s_client(s.port, option))
            if self.works(s):
                self.assertGreater(self.counted(), before)
            self.assertIn("hello", s_client(s.port, "-ciphersuites",
                                            "TLS_CHACHA20_POLY1305_SHA256"))

    def test_bodies(self):
        def curl(*args):
            return subprocess.run(
                ["curl", "-sk", *args], stdout=subprocess.PIPE, check=True,
                env=harness.environment(), timeout=harness.PATIENCE).stdout

        with self.server() as s:
            for version in ("--http1.1", "--http2"):
                self.assertEqual(curl(version, s.url + "/files/file"),
                                 self.octets)
                self.assertEqual(
                    curl(version, "-r", "70000-4000000", s.url + "/files/file"),
                    self.octets[70000:4000001])
                self.assertEqual(len(curl(version, s.url + "/download?4")),
                                 4 << 20)
            for name in ("/files/file", "/"):
                first, again = curl("--http1.1", s.url + name,
                                    s.url + "/"), curl("--http1.1",
                                                       s.url + name)
                self.assertEqual(first, again + b"hello\n")

    def test_a_slow_client(self):
        with self.server() as s, s.client(receive_buffer=4096) as c:
            r = c.ask(path="/files/file", version="HTTP/1.0")
            self.assertEqual(r.body, self.octets)
            self.assertEqual(c.to_end(), b"")

    def test_a_client_that_leaves(self):
        with self.server() as s:
            for _ in range(5):
                with s.client(receive_buffer=4096) as c:
                    c.request(path="/files/file")
                    c.readable(harness.PATIENCE)
            self.assertEqual(self.get(s).text, "hello\n")

    def test_new_keys(self):
        """A client may change its own; asked for ours, the kernel has none."""
        if "tls1.3" not in harness.built_in():
            self.skipTest("there is no TLS 1.3")
        with self.server() as s:
            for word, works in (("k", True), ("K", not self.works(s))):
                with subprocess.Popen(
                        ["timeout", str(harness.PATIENCE), "openssl",
                         "s_client", "-connect",
                         f"127.0.0.1:{s.port}"], stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                        text=True, bufsize=0) as client:
                    client.stdin.write(word + "\n")
                    # What follows must not be read with the letter.
                    for line in client.stdout:
                        if "KEYUPDATE" in line:
                            break
                    client.stdin.write("GET / HTTP/1.0\r\n\r\n")
                    out = client.stdout.read()
                self.assertEqual("hello" in out, works, out)
                if not works:
                    s.wait_for_log("TLS connection failed: the client asks "
                                   "for new keys, as kernel_tls cannot have")


class HalfClose(harness.TestCase):
    """Clients that end their side behind a request and wait for the answer:
    by close_notify, by FIN, by both."""

    WAYS = ((True, False), (False, True), (True, True))

    def converse(self, port, request, notify, fin, later=False):
        """What came back, and whether it ended with close_notify."""
        into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = harness.tls_context().wrap_bio(into, out)
        with socket.create_connection(("127.0.0.1", port),
                                      harness.PATIENCE) as s:
            def step(do, *args):
                while True:
                    try:
                        return do(*args)
                    except ssl.SSLWantReadError:
                        if out.pending:
                            s.sendall(out.read())
                        data = s.recv(65536)
                        into.write(data) if data else into.write_eof()
            step(tls.do_handshake)
            s.sendall(out.read())
            tls.write(request.encode())
            if later:
                s.sendall(out.read())
            if notify:
                self.assertRaises(ssl.SSLWantReadError, tls.unwrap)
            s.sendall(out.read())
            if fin:
                s.shutdown(socket.SHUT_WR)
            got = b""
            try:
                while data := step(tls.read, 65536):
                    got += data
            except ssl.SSLZeroReturnError:
                return got, True
            except ssl.SSLEOFError:
                return got, False
            return got, True

    def test_answered(self):
        """Whole, however long it is."""
        request = "GET /download?3 HTTP/1.0\r\n\r\n"
        with Server(*TOOLS, tls=("ec",)) as s:
            for notify, fin in self.WAYS:
                with self.subTest(notify=notify, fin=fin):
                    got, ended = self.converse(s.port, request, notify, fin)
                    self.assertTrue(got.startswith(b"HTTP/1.1 200 "), got)
                    self.assertEqual(got.count(b"0123456789abcdef"),
                                     3 * 65536)
                    self.assertTrue(ended)

    def test_told_as_on_tcp(self):
        """A handler that waits goes on undisturbed where the request allows
        a half-close, else it learns that the client may have gone; what it
        writes is sent in both cases."""
        for close, words in (("close", "true"), ("te", "closed")):
            # Who is told goes on at once; before that the client has ended.
            seconds = 0.3 if close == "close" else 30
            request = ("GET /sleep?{} HTTP/1.1\r\nhost: x\r\n"
                       f"connection: {close}\r\n\r\n")
            with Server(*TOOLS) as s, s.client() as c:
                c.send(request.format(seconds))
                c.socket.shutdown(socket.SHUT_WR)
                self.assertIn(b"slept", c.to_end())
                s.wait_for_log(f"slept: {words}")
            for notify, fin in self.WAYS:
                for later in (False, True):
                    with (self.subTest(close=close, notify=notify, fin=fin,
                                       later=later),
                          Server(*TOOLS, tls=("ec",)) as s):
                        # A close_notify alone is not looked for while a
                        # handler runs: it might be a further request.
                        late = notify and later and not fin
                        got, ended = self.converse(
                            s.port, request.format(0.3 if late else seconds),
                            notify, fin, later)
                        self.assertIn(b"slept", got)
                        self.assertTrue(ended)
                        s.wait_for_log("slept: " + ("" if late else words))

    def test_a_body_cut_short(self):
        request = "POST /patient HTTP/1.0\r\ncontent-length: 10\r\n\r\nhalf"
        with Server(*TOOLS, tls=("ec",)) as s:
            for notify, fin in self.WAYS:
                with self.subTest(notify=notify, fin=fin):
                    got, _ = self.converse(s.port, request, notify, fin)
                    self.assertEqual(got, b"")
            self.assertEqual(self.get(s).text, "hello\n")


if __name__ == "__main__":
    unittest.main()
