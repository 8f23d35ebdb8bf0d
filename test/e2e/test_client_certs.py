"""Client certificates as curl and openssl's client show them."""

import os
import subprocess
import tempfile
import time

import harness
from harness import Server, script

SCRIPT = ("/", script("certificate.lua"))


def openssl(*args):
    done = harness.run("openssl", *args)
    if done.returncode != 0:
        raise AssertionError(done.stderr)
    return done.stdout


def date(days):
    return time.strftime("%y%m%d%H%M%SZ", time.gmtime(time.time() +
                                                      days * 86400))


def new_key(path, kind):
    options = (["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]
               if kind == "rsa" else
               ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:" + kind])
    openssl("genpkey", *options, "-out", path)


class Authority:
    """An authority that openssl plays, in a directory of its own."""

    def __init__(self, name, issuer=None):
        self.directory = tempfile.mkdtemp(dir=harness.directory())
        self.pem, self.key = self.path("pem"), self.path("key")
        new_key(self.key, "P-256")
        for file in ("index", "index.attr"):
            open(self.path(file), "w").close()
        with open(self.path("serial"), "w") as f:
            f.write("01\n")
        with open(self.path("conf"), "w") as f:
            f.write(f"""[ca]
default_ca = own
[own]
database = {self.path("index")}
serial = {self.path("serial")}
new_certs_dir = {self.directory}
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = optional
organizationName = optional
countryName = optional
[authority]
basicConstraints = critical,CA:true
keyUsage = critical,keyCertSign,cRLSign
[client]
extendedKeyUsage = clientAuth
[server]
extendedKeyUsage = serverAuth
[plain]
basicConstraints = CA:false
""")
        if issuer:
            self._request(self.key, f"/O=lhttpd/CN={name}")
            issuer._sign(self.path("csr"), self.pem, "authority", -1, 7)
        else:
            self._sign_itself(f"/O=lhttpd/CN={name}")

    def path(self, name):
        return os.path.join(self.directory, name)

    def _request(self, key, subject):
        openssl("req", "-new", "-utf8", "-key", key, "-subj", subject,
                "-out", self.path("csr"))

    def _sign_itself(self, subject):
        self._request(self.key, subject)
        openssl("ca", "-batch", "-config", self.path("conf"), "-selfsign",
                "-in", self.path("csr"), "-keyfile", self.key, "-out",
                self.pem, "-extensions", "authority", "-startdate", date(-1),
                "-enddate", date(7), "-notext", "-utf8")

    def _sign(self, csr, out, extensions, begin, end):
        openssl("ca", "-batch", "-config", self.path("conf"), "-in", csr,
                "-cert", self.pem, "-keyfile", self.key, "-out", out,
                "-extensions", extensions, "-startdate", date(begin),
                "-enddate", date(end), "-notext", "-preserveDN", "-utf8")

    def client(self, name, subject=None, kind="P-256", begin=-1, end=7,
               extensions="client", chain=()):
        """Paths of a certificate, with its chain behind it, and its key."""
        pem, key = self.path(name + ".pem"), self.path(name + ".key")
        new_key(key, kind)
        self._request(key, subject or "/CN=" + name)
        self._sign(self.path("csr"), pem, extensions, begin, end)
        with open(pem, "a") as out:
            for further in chain:
                with open(further) as f:
                    out.write(f.read())
        return pem, key


def fingerprint(pem):
    text = openssl("x509", "-in", pem, "-noout", "-fingerprint", "-sha256")
    return text.split("=")[1].strip().replace(":", "").lower()


def ask(server, pair=None, *args):
    """curl's status, and what the script has seen."""
    more = ["--cert", pair[0], "--key", pair[1]] if pair else []
    done = harness.run("curl", "-sS", "-k", "-m", str(harness.PATIENCE), *more,
                       *args, server.url)
    return done, dict(line.split("=", 1) for line in done.stdout.splitlines())


def s_client(port, *args):
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-ign_eof",
         "-tls1_2", *args], input="GET / HTTP/1.0\r\n\r\n", text=True,
        errors="replace", stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env=harness.environment(), timeout=harness.PATIENCE)
    return done.stdout


def limits(*authorities, verify=None):
    """Options: the authorities' files, and how they are meant."""
    options = []
    for authority in authorities:
        options += ["-o", "client_ca=" + authority.pem]
    if verify:
        options += ["-o", "client_verify=" + verify]
    return options


class Certificates(harness.TestCase):
    @classmethod
    def setUpClass(cls):
        harness.need("openssl")
        harness.need("curl")
        cls.ca, cls.other = Authority("ca"), Authority("other")
        cls.middle = Authority("middle", cls.ca)
        cls.good = cls.ca.client("good", "/C=DE/O=A, B/CN=Ada \\+ \"1\"")
        cls.bad = {
            "unknown issuer": cls.other.client("stranger"),
            "expired": cls.ca.client("old", begin=-9, end=-2),
            "not yet valid": cls.ca.client("early", begin=2, end=5),
            "its usage does not allow it for clients":
                cls.ca.client("server", extensions="server"),
        }

    def server(self, *args, tls=("ec",), **more):
        return Server(*SCRIPT, tls=tls, options=limits(self.ca, **more),
                      limits=dict(args))

    def check_good(self, seen, pair, subject, protocol=None):
        self.assertEqual(seen.get("verify"), "SUCCESS")
        self.assertEqual(seen["subject"], subject)
        self.assertEqual(seen["fingerprint"], fingerprint(pair[0]))
        if protocol:
            self.assertEqual(seen["protocol"], protocol)

    def test_required(self):
        with self.server() as s:
            for way, protocol in (("--http1.1", "HTTP/1.1"),
                                  ("--http2", "HTTP/2")):
                _, seen = ask(s, self.good, way)
                self.check_good(seen, self.good,
                                "CN=Ada \\+ \\\"1\\\",O=A\\, B,C=DE", protocol)
            done, seen = ask(s)
            self.assertNotEqual(done.returncode, 0)
            self.assertEqual(seen, {})
            self.assertRegex(done.stderr,
                             "handshake failure|certificate required")
            s.wait_for_log("the client has sent no certificate")
            alerts = {"unknown issuer": 48, "expired": 45, "not yet valid": 45}
            for why, pair in self.bad.items():
                with self.subTest(why):
                    done, seen = ask(s, pair)
                    self.assertNotEqual(done.returncode, 0)
                    self.assertEqual(seen, {})
                    out = s_client(s.port, "-cert", pair[0], "-key", pair[1])
                    self.assertIn(f"SSL alert number {alerts.get(why, 43)}\n",
                                  out)
                    s.wait_for_log("the client's certificate: " + why)

    def test_optional(self):
        with self.server(verify="optional") as s:
            for way in ("--http1.1", "--http2"):
                _, seen = ask(s, self.good, way)
                self.assertEqual(seen["verify"], "SUCCESS")
                _, seen = ask(s, None, way)
                self.assertEqual(seen["verify"], "NONE")
                self.assertEqual(seen["subject"], "nil")
                self.assertEqual(seen["fingerprint"], "nil")
                for why, pair in self.bad.items():
                    with self.subTest(why + way):
                        done, seen = ask(s, pair, way)
                        self.assertEqual(done.returncode, 0, done.stderr)
                        self.assertEqual(seen["verify"], "FAILED:" + why)
                        self.assertEqual(seen["fingerprint"],
                                         fingerprint(pair[0]))

    def test_keys(self):
        """Of both types, on a server with keys of both."""
        with self.server(tls=("ec", "rsa")) as s:
            for kind in ("P-256", "P-384", "P-521", "rsa"):
                pair = self.ca.client("key-" + kind, kind=kind)
                with self.subTest(kind):
                    _, seen = ask(s, pair)
                    self.check_good(seen, pair, "CN=key-" + kind)

    def test_kinds_of_keys_that_bearssl_does_not_know(self):
        key = self.ca.path("ed.key")
        openssl("genpkey", "-algorithm", "ED25519", "-out", key)
        self.ca._request(key, "/CN=ed")
        pem = self.ca.path("ed.pem")
        self.ca._sign(self.ca.path("csr"), pem, "client", -1, 7)
        for verify in ("required", "optional"):
            with self.subTest(verify), self.server(verify=verify) as s:
                done, seen = ask(s, (pem, key))
                if "openssl" in harness.built_in():
                    self.assertEqual(seen["verify"], "SUCCESS")
                elif seen:  # curl may not even show it
                    self.assertEqual(verify, "optional")
                    self.assertNotEqual(seen["verify"], "SUCCESS")
                else:
                    self.assertNotEqual(done.returncode, 0)

    def test_intermediate(self):
        whole = self.middle.client("whole", chain=(self.middle.pem,))
        short = self.middle.client("short")
        with self.server() as s:
            _, seen = ask(s, whole)
            self.check_good(seen, whole, "CN=whole")
            done, seen = ask(s, short)
            self.assertEqual(seen, {})
            s.wait_for_log("the client's certificate: unknown issuer")
        with Server(*SCRIPT, tls=("ec",),
                    options=limits(self.other, self.middle)) as s:
            _, seen = ask(s, short)
            self.check_good(seen, short, "CN=short")

    def test_pinned(self):
        """A certificate that is no authority's is trusted itself."""
        with Server(*SCRIPT, tls=("ec",), options=[
                "-o", "client_ca=" + self.good[0]]) as s:
            _, seen = ask(s, self.good)
            self.assertEqual(seen["verify"], "SUCCESS")
            done, seen = ask(s, self.bad["unknown issuer"])
            self.assertEqual(seen, {})

    def test_resumption(self):
        """What was verified goes along with the session."""
        path = os.path.join(harness.directory(), "session")
        for verify in ("required", "optional"):
            with self.subTest(verify), self.server(verify=verify) as s:
                cert = ["-cert", self.good[0], "-key", self.good[1]]
                first = s_client(s.port, *cert, "-sess_out", path)
                self.assertIn("New, TLSv1.2", first)
                self.assertIn("verify=SUCCESS", first)
                for _ in range(4):
                    again = s_client(s.port, "-sess_in", path)
                    self.assertIn("Reused, TLSv1.2", again)
                    self.assertIn("verify=SUCCESS", again)
                    self.assertIn("subject=CN=Ada", again)
                    self.assertIn(fingerprint(self.good[0]), again)

    def test_resumption_without_a_certificate(self):
        path = os.path.join(harness.directory(), "none")
        old = self.bad["expired"]
        with self.server(verify="optional") as s:
            for args, verify in (([], "NONE"), (
                    ["-cert", old[0], "-key", old[1]], "FAILED:expired")):
                self.assertIn("verify=" + verify,
                              s_client(s.port, *args, "-sess_out", path))
                if verify != "NONE" and "openssl" in harness.built_in():
                    # OpenSSL has it shown and judged each time.
                    self.assertFalse(os.path.exists(path))
                    continue
                again = s_client(s.port, "-sess_in", path)
                self.assertIn("Reused, TLSv1.", again)
                self.assertIn("verify=" + verify, again)
                os.unlink(path)

    def test_reload(self):
        """Other authorities: their clients, and no session of the others'."""
        file = os.path.join(harness.directory(), "clients.pem")
        path = os.path.join(harness.directory(), "before")
        stranger = self.bad["unknown issuer"]

        def trust(authority):
            with open(authority.pem) as f, open(file + ".new", "w") as out:
                out.write(f.read())
            os.rename(file + ".new", file)

        def reload(pattern):
            before = s.log().count("reload")
            s.signal(1)
            harness.wait_until(lambda: s.log().count("reload") > before,
                               "for the reload")
            s.wait_for_log(pattern)

        trust(self.ca)
        with Server(*SCRIPT, tls=("ec",),
                    options=["-o", "client_ca=" + file]) as s:
            cert = ["-cert", self.good[0], "-key", self.good[1]]
            s_client(s.port, *cert, "-sess_out", path)
            reload("reloaded")
            self.assertIn("Reused", s_client(s.port, "-sess_in", path))
            with open(file, "w") as out:
                out.write("-----BEGIN CERTIFICATE-----\nAAAA\n")
            reload("nothing has changed")
            self.assertEqual(ask(s, self.good)[1]["verify"], "SUCCESS")
            trust(self.other)
            reload("reloaded")
            self.assertEqual(ask(s, stranger)[1]["verify"], "SUCCESS")
            self.assertEqual(ask(s, self.good)[1], {})
            self.assertNotIn("verify=", s_client(s.port, "-sess_in", path))

    def test_authorities_that_only_root_may_read(self):
        """They stay as they were where privileges were given up."""
        harness.need_root()
        file = os.path.join(harness.directory(), "roots.pem")
        with open(self.ca.pem) as f, open(file, "w") as out:
            out.write(f.read())
        os.chmod(file, 0o600)
        with Server(*SCRIPT, tls=("ec",), options=[
                "-o", "client_ca=" + file, "-u", "65534:65534"]) as s:
            s.wait_for_log("roots.pem will not be read again by a reload")
            with open(self.other.pem) as f, open(file, "w") as out:
                out.write(f.read())
            s.signal(1)
            s.wait_for_log("roots.pem is not read again")
            s.wait_for_log("reloaded: .*could not be read")
            self.assertEqual(ask(s, self.good)[1]["verify"], "SUCCESS")

    def test_renegotiation_is_refused(self):
        with self.server() as s:
            done = subprocess.run(
                ["openssl", "s_client", "-connect", f"127.0.0.1:{s.port}",
                 "-tls1_2", "-cert", self.good[0], "-key", self.good[1]],
                input="R\n", text=True, errors="replace",
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                env=harness.environment(), timeout=harness.PATIENCE)
            self.assertIn("no renegotiation", done.stdout)

    def test_start(self):
        ca = "client_ca=" + self.ca.pem
        for options, words in (
                (["-o", ca], "no listener speaks TLS"),
                ([*harness.certificate_options("ec"), "-o",
                  "client_verify=optional"], "there is no client_ca"),
                (["-o", "client_ca=/nowhere"],
                 "client_ca=/nowhere: client CA '/nowhere'"),
                (["-o", "client_ca=" + self.good[1]],
                 "it holds no certificate"),
                (["-o", "client_verify=maybe"], "not required or optional")):
            with self.subTest(options):
                done = harness.lhttpd("-f", "-a", "127.0.0.1", "-p", "0",
                                      *options, "-l", *SCRIPT)
                self.assertNotEqual(done.returncode, 0)
                self.assertIn(words, done.stderr)
