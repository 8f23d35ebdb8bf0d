"""Behind a real HAProxy and a real nginx: whom scripts believe to serve."""

import contextlib
import os

import subprocess
import tempfile

import harness
from harness import Server, script

PEER = ("/", script("peer.lua"))
FORWARDED = {"proxy_from": "127.0.0.1", "forwarded": "x-forwarded-for"}


def words(text):
    return dict(line.split("=", 1) for line in text.splitlines())


def ask(port, *args, scheme="http", source="127.0.0.2"):
    """What the script sees of a client at 127.0.0.2."""
    return words(harness.curl("-k", "--interface", source, *args,
                              f"{scheme}://127.0.0.1:{port}/"))


@contextlib.contextmanager
def process(command, config, ready):
    """A proxy until the end of the block."""
    path = tempfile.mktemp(dir=harness.directory())
    with open(path, "w") as f:
        f.write(config)
    with open(path + ".log", "w+") as log:
        proxy = subprocess.Popen([*command, path], stdin=subprocess.DEVNULL,
                                 stdout=log, stderr=log)
        try:
            harness.wait_until(ready, "for the proxy")
            yield
        finally:
            proxy.terminate()
            proxy.wait(harness.PATIENCE)


def takes_clients(port):
    def look():
        try:
            harness.Client(port).close()
            return True
        except OSError:
            return False
    return look


@contextlib.contextmanager
def haproxy(server, mode="http", bind="", more=""):
    """In front of a server, which is said as in HAProxy's configuration."""
    harness.need("haproxy")
    with harness.free_port() as port:
        config = f"""global
    maxconn 100
defaults
    mode {mode}
    timeout connect 10s
    timeout client 60s
    timeout server 60s
listen one
    bind 127.0.0.1:{port} {bind}
    {more}
    server s {server}
"""
        with process(["haproxy", "-db", "-f"], config, takes_clients(port)):
            yield port


@contextlib.contextmanager
def nginx(proxy_pass, fields):
    harness.need("nginx")
    where = tempfile.mkdtemp(dir=harness.directory())
    paths = "".join(f"{kind}_temp_path {where}/{kind};" for kind in
                    ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    with harness.free_port() as port:
        config = f"""daemon off; master_process off;
pid {where}/pid; error_log {where}/error;
events {{}}
http {{
    access_log off; {paths}
    server {{
        listen 127.0.0.1:{port};
        location / {{ proxy_pass {proxy_pass}; {fields} }}
    }}
}}
"""
        with process(["nginx", "-c"], config, takes_clients(port)):
            yield port


def both_in_one(kind):
    """A certificate and its key in one file, as HAProxy wants them."""
    path = os.path.join(harness.directory(), kind + ".both")
    with open(path, "w") as out:
        for part in harness.certificate(kind):
            with open(part) as f:
                out.write(f.read())
    return path


class Forwarded(harness.TestCase):
    def check(self, seen, client="127.0.0.2", scheme="http"):
        self.assertEqual(seen["CLIENT_ADDR"], client)
        self.assertEqual(seen["REMOTE_ADDR"], client)
        self.assertEqual(seen["PEER_ADDR"], "127.0.0.1")
        self.assertEqual(seen["scheme"], scheme)
        self.assertEqual(seen["HTTPS"], "on" if scheme == "https" else "nil")

    def test_haproxy(self):
        ways = (("", {}), ("proto h2", {}), ("ssl verify none", {"tls": ("ec",)}),
                ("ssl verify none alpn h2", {"tls": ("ec",)}))
        for way, more in ways:
            with self.subTest(way=way), \
                    Server(*PEER, limits=FORWARDED, **more) as s, \
                    haproxy(f"127.0.0.1:{s.port} {way}",
                            more="option forwardfor\n"
                            "    http-request set-header x-forwarded-proto "
                            "http") as port:
                self.check(ask(port))
                spoofed = ("-H", "x-forwarded-for: 6.6.6.6", "-H",
                           "x-forwarded-proto: https", "-H",
                           "forwarded: for=6.6.6.6")
                self.check(ask(port, *spoofed))
                for junk in ("\"", "unknown", "127.0.0.1, 127.0.0.1", ",,"):
                    self.check(ask(port, "-H", "x-forwarded-for: " + junk))

    def test_haproxy_with_tls_for_the_client(self):
        with Server(*PEER, limits=FORWARDED) as s, \
                haproxy(f"127.0.0.1:{s.port}",
                        bind=f"ssl crt {both_in_one('ec')} alpn h2,http/1.1",
                        more="option forwardfor\n    http-request set-header "
                        "x-forwarded-proto https if { ssl_fc }") as port:
            seen = ask(port, scheme="https")
            self.check(seen, scheme="https")
            self.assertEqual(seen["SSL_PROTOCOL"], "nil")

    def test_haproxy_sets_rfc_7239(self):
        with Server(*PEER, limits={**FORWARDED, "forwarded": "forwarded"}) \
                as s, haproxy(f"127.0.0.1:{s.port}",
                              more="http-request add-header forwarded "
                              "\"for=%[src];proto=http\"") as port:
            self.check(ask(port))
            self.check(ask(port, "-H", "forwarded: for=6.6.6.6;proto=https",
                           "-H", "x-forwarded-for: 6.6.6.6"))
            self.check(ask(port, "-H", "forwarded: for=\""))

    def test_nginx(self):
        fields = ("proxy_set_header x-forwarded-for "
                  "$proxy_add_x_forwarded_for; "
                  "proxy_set_header x-forwarded-proto $scheme;")
        for kinds in ((), ("ec",)):
            with self.subTest(tls=kinds), \
                    Server(*PEER, limits=FORWARDED, tls=kinds) as s, \
                    nginx(s.url, fields) as port:
                self.check(ask(port))
                self.check(ask(port, "-H", "x-forwarded-for: 6.6.6.6", "-H",
                               "x-forwarded-proto: https"))
                self.check(ask(port, "-H", "x-forwarded-for: \", x"))

    def test_two_proxies(self):
        """Both are trusted, so the client is behind the first."""
        with Server(*PEER, limits=FORWARDED) as s, \
                haproxy(f"127.0.0.1:{s.port}",
                        more="option forwardfor") as inner, \
                nginx(f"http://127.0.0.1:{inner}",
                      "proxy_set_header x-forwarded-for "
                      "$proxy_add_x_forwarded_for;") as outer:
            self.check(ask(outer))
            self.check(ask(outer, "-H", "x-forwarded-for: 6.6.6.6"))

    def test_strangers(self):
        """Who is not trusted speaks for nobody but itself."""
        limits = {**FORWARDED, "proxy_from": "192.0.2.1"}
        with Server(*PEER, limits=limits) as s:
            seen = ask(s.port, "-H", "x-forwarded-for: 6.6.6.6", "-H",
                       "x-forwarded-proto: https")
            self.assertEqual(seen["CLIENT_ADDR"], "127.0.0.2")
            self.assertEqual(seen["PEER_ADDR"], "127.0.0.2")
            self.assertEqual(seen["scheme"], "http")

    def test_the_log_has_the_client(self):
        with Server(*PEER, limits=FORWARDED) as s, \
                haproxy(f"127.0.0.1:{s.port}",
                        more="option forwardfor") as port:
            harness.run("curl", "-s", "--interface", "127.0.0.2",
                        f"http://127.0.0.1:{port}/raise")
            s.wait_for_log(r"on purpose.*\[127\.0\.0\.2\]")


PORT = r"listening on 127\.0\.0\.1:(\d+){} \(PROXY\)"


class ProxyProtocol(harness.TestCase):
    """Connections that HAProxy passes on with a header."""

    def server(self, port, kinds=(), proxy_from="127.0.0.1"):
        """A server with one listener more, and that one's port."""
        s = Server(*PEER, options=[
            *harness.certificate_options(*kinds), "-p", port, "-o",
            "proxy_from=" + proxy_from])
        tls = r" \(TLS\)" if "s" in port else ""
        return s, int(s.wait_for_log(PORT.format(tls)).group(1))

    def check(self, seen, front, scheme="http"):
        self.assertEqual(seen["CLIENT_ADDR"], "127.0.0.2")
        self.assertNotEqual(seen["CLIENT_PORT"], "0")
        self.assertEqual(seen["SERVER_ADDR"], "127.0.0.1")
        self.assertEqual(seen["SERVER_PORT"], str(front))
        self.assertEqual(seen["PEER_ADDR"], "127.0.0.1")
        self.assertEqual(seen["scheme"], scheme)

    def test_plain(self):
        server, port = self.server("0p")
        with server:
            for mode in ("tcp", "http"):
                for way in ("send-proxy", "send-proxy-v2",
                            "send-proxy-v2 proxy-v2-options crc32c,authority,"
                            "unique-id check check-send-proxy inter 100ms"):
                    with self.subTest(mode=mode, way=way), \
                            haproxy(f"127.0.0.1:{port} {way}", mode) as front:
                        self.check(ask(front), front)
            with haproxy(f"127.0.0.1:{port} proto h2 send-proxy-v2") as front:
                # HAProxy 2.6 calls everything https in HTTP/2
                seen = ask(front, "-H", "x-forwarded-for: 6.6.6.6")
                self.check(seen, front, seen["scheme"])
                self.assertEqual(seen["HTTPS"], "nil")

    def test_tls_behind_it(self):
        """The header comes before TLS, which the client speaks to us."""
        server, port = self.server("0sp", ("ec",))
        newest = "TLSv1.3" if "tls1.3" in harness.built_in() else "TLSv1.2"
        with server:
            for way in ("send-proxy", "send-proxy-v2"):
                for version in ("--http1.1", "--http2"):
                    with self.subTest(way=way, version=version), \
                            haproxy(f"127.0.0.1:{port} {way}", "tcp") as front:
                        seen = ask(front, version, scheme="https")
                        self.check(seen, front, "https")
                        self.assertEqual(seen["SSL_PROTOCOL"], newest)

    def test_tls_before_it(self):
        """HAProxy speaks TLS with the client, and says so."""
        server, port = self.server("0p")
        with server, haproxy(
                f"127.0.0.1:{port} send-proxy-v2-ssl proxy-v2-options "
                "ssl,cert-cn,authority,crc32c",
                bind=f"ssl crt {both_in_one('ec')}") as front:
            seen = ask(front, scheme="https")
            self.check(seen, front, "https")
            self.assertEqual(seen["HTTPS"], "on")
            self.assertEqual(seen["SSL_PROTOCOL"], "TLSv1.3")

    def test_strangers_are_closed(self):
        server, port = self.server("0p", proxy_from="127.0.0.1/32,::1")
        with server:
            done = harness.run(
                "curl", "-sS", "--interface", "127.0.0.2", "--haproxy-protocol",
                f"http://127.0.0.1:{port}/")
            self.assertNotEqual(done.returncode, 0)
            self.assertEqual(done.stdout, "")
            server.wait_for_log(r"proxy_from does not name it \[127\.0\.0\.2\]")
            seen = words(harness.curl("--haproxy-protocol",
                                      f"http://127.0.0.1:{port}/"))
            self.assertEqual(seen["CLIENT_ADDR"], "127.0.0.1")

    def test_clients_that_send_none_are_closed(self):
        server, port = self.server("0p")
        with server:
            done = harness.run("curl", "-sS", f"http://127.0.0.1:{port}/")
            self.assertNotEqual(done.returncode, 0)
            server.wait_for_log("what came first is no PROXY header")
