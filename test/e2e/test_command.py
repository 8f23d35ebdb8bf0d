"""The command line: what is wrong is said in one line, with its name."""

import os
import re
import socket
import tempfile
import unittest

import harness
from harness import script, lhttpd

TOOLS = ("-l", "/", script("tools.lua"))


def says(words, name):
    """Of an option getopt() says "'x'", or in musl "x" at a line's end."""
    bare = name.strip("'").lstrip("-")
    return name in words or (name.startswith("'") and
                             words.endswith(": " + bare + "\n"))


class BadInput(harness.TestCase):
    def refused(self, status, names, *args):
        """Ends with the status and one line that has every name in it."""
        done = lhttpd(*args)
        what = f"lhttpd {' '.join(args)}: {done.stderr!r}"
        self.assertEqual(done.returncode, status, what)
        self.assertEqual(done.stdout, "", what)
        self.assertEqual(len(done.stderr.splitlines()), 1, what)
        self.assertRegex(done.stderr, r"^\S*lhttpd: ", what)
        for name in names:
            self.assertTrue(says(done.stderr, name), what)

    def test_options(self):
        for names, args in (
                (["'x'"], ("-x",)),
                (["'l'"], ("-l",)),
                (["-l prefix script"], ("-f",)),
                (["extra"], ("-f", *TOOLS, "extra")),
                (["-p", "'eighty'"], ("-f", "-p", "eighty", *TOOLS)),
                (["-p", "'65536'"], ("-f", "-p", "65536", *TOOLS)),
                (["-p", "'-1'"], ("-f", "-p", "-1", *TOOLS)),
                (["-p", "''"], ("-f", "-p", "", *TOOLS)),
                (["-p", "80"], ("-f", "-p", "80 ", *TOOLS)),
                (["-p", "'80x'"], ("-f", "-p", "80x", *TOOLS)),
                (["-p", "'80rs'"], ("-f", "-p", "80rs", *TOOLS)),
                (["-p", "'80ps'"], ("-f", "-p", "80ps", *TOOLS)),
                (["-p", "'80pp'"], ("-f", "-p", "80pp", *TOOLS)),
                (["-p", "'s'"], ("-f", "-p", "s", *TOOLS)),
                (["-p", "'65536s'"], ("-f", "-p", "65536s", *TOOLS)),
                (["-p", "443s", "-c"], ("-f", "-p", "443s", *TOOLS)),
                (["-p", "443sp", "-c"], ("-t", "-p", "443sp", *TOOLS)),
                (["-p", "80r", "-c"], ("-t", "-p", "80r", *TOOLS)),
                (["-w", "'0'"], ("-f", "-w", "0", *TOOLS)),
                (["-w", "'many'"], ("-f", "-w", "many", *TOOLS)),
                (["-d", "'9'"], ("-f", "-d", "9", *TOOLS)),
                (["-l", "prefix and path", "/,x.lua"],
                 ("-f", "-l", "/,x.lua")),
                (["-l", "prefix and path"], ("-f", "-l", "/", "-f")),
                (["-s", "prefix and path"], ("-f", "-s", "/")),
                (["-l", "prefix and path", "'-t'"],
                 ("-f", "-a", "127.0.0.1", "-p", "0", "-l", "-t", TOOLS[2])),
                (["no_such_limit"], ("-f", "-o", "no_such_limit=1", *TOOLS)),
                (["idle_timeout_ms"],
                 ("-f", "-o", "idle_timeout_ms=soon", *TOOLS)),
                (["-w", "twice"], ("-f", "-w", "1", "-w", "2", *TOOLS)),
                (["-u", "twice"], ("-f", "-u", "a", "-u", "b", *TOOLS)),
                (["-r", "twice"], ("-f", "-r", "a", "-r", "b", *TOOLS)),
                (["-d", "twice"], ("-f", "-d", "-d", "1", *TOOLS)),
                (["'--nothing'"], ("-f", "--nothing", *TOOLS)),
                (["idle_timeout_ms"],
                 ("-f", "-o", "idle_timeout_ms", *TOOLS)),
                (["body_bytes=3M", "decimal"],
                 ("-f", "-o", "body_bytes=3M", *TOOLS)),
                (["no_such_limit"], ("-o", "no_such_limit=1", *TOOLS)),
                (["tls_threads=x", "0 to 16"],
                 ("-f", "-o", "tls_threads=x", *TOOLS)),
                (["tls_threads=17", "0 to 16"],
                 ("-f", "-o", "tls_threads=17", *TOOLS)),
                (["unix_mode=9", "octal"],
                 ("-f", "-o", "unix_mode=9", *TOOLS)),
                (["-c", "-k"], ("-f", "-c", "x.pem", *TOOLS)),
                (["-c", "-k"], ("-f", "-k", "x.key", *TOOLS))):
            with self.subTest(args=args):
                self.refused(2, names, *args)

    def test_address(self):
        start = ("-f", "-p", "0", *TOOLS)
        for status, names, args in (
                (2, ["localhost.example"], ("-a", "localhost.example")),
                (2, ["1.2.3"], ("-a", "1.2.3")),
                (2, ["unix socket"], ("-a", "unix:")),
                (1, ["203.0.113.1"], ("-a", "203.0.113.1")),
                (1, ["/no/such/directory"],
                 ("-a", "unix:/no/such/directory/s"))):
            with self.subTest(args=args):
                self.refused(status, names, *args, *start)

    def test_what_only_another_command_line_mends(self):
        """Start and -t refuse it with the same words and status."""
        tls = harness.certificate_options("ec")
        authority = harness.certificate("ec", "authority")[0]
        path = "unix:" + harness.directory() + "/twice.sock"
        for names, args in (
                (["127.0.0.1:0", "proxy_from"], ("-p", "0p")),
                (["127.0.0.1:0", "redirect"], ("-p", "0r", "-p", "0h", *tls)),
                (["forwarded", "proxy_from"], ("-o", "forwarded=forwarded")),
                (["client_ca", "TLS"], ("-o", f"client_ca={authority}")),
                (["client_verify", "client_ca"],
                 ("-o", "client_verify=optional", *tls)),
                (["64 listeners"], ("-p", "0") * 66),
                ([path, "once"], ("-a", path) * 2),
                (["numeric"], ("-a", "here")),
                (["octets"], ("-a", "unix:" + "x" * 200)),
                (["/a/../b"], ("-l", "/a/../b", TOOLS[2])),
                (["12:x"], ("-u", "12:x"))):
            with self.subTest(args=args):
                port = () if "-p" in args else ("-p", "0")
                given = ("-a", "127.0.0.1", *port, *args, *TOOLS)
                started = lhttpd("-f", *given)
                tested = lhttpd("-t", *given)
                self.refused(2, [], "-t", *given)
                port = re.compile(r"(127\.0\.0\.1|\]):\d+")
                self.assertEqual((tested.returncode, tested.stderr),
                                 (2, port.sub(r"\1:0", started.stderr)))
                for name in names:
                    self.assertIn(name, tested.stderr)

    def test_a_port_that_is_given_twice(self):
        """As where it should speak two protocols."""
        for args in (("-p", "80h", "-p", "80"), ("-p", "080", "-p", "80"),
                     ("-a", "::1", "-a", "0::1", "-p", "80")):
            self.refused(2, [":80: ", "once"], "-t", *args, *TOOLS)

    def test_what_may_come(self):
        """What is outside of the command line may be mended there, so a
        service manager tries again."""
        pem = harness.certificate_options("ec")
        for names, args in (
                (["/no/such/a.log"], ("-o", "access_log=/no/such/a.log")),
                (["/no/such/e.log"], ("-o", "log_file=/no/such/e.log")),
                (["/no/such.pem"], ("-o", "client_ca=/no/such.pem", *pem)),
                (["/no/such.types"], ("-o", "mime_types=/no/such.types")),
                (["no-such-user"], ("-o", "unix_owner=no-such-user")),
                (["no-such-group"], ("-o", "unix_group=no-such-group")),
                (["no-such-user"], ("-u", "no-such-user")),
                (["/no/such.lua"], ("-l", "/x", "/no/such.lua")),
                (["/no/such.d"], ("-s", "/x", "/no/such.d"))):
            with self.subTest(args=args):
                self.refused(1, names, "-f", "-a", "127.0.0.1", "-p", "0",
                             *args, *TOOLS)
                self.refused(1, names, "-t", *args, *TOOLS)

    def test_port_in_use(self):
        with socket.create_server(("127.0.0.1", 0)) as s:
            port = str(s.getsockname()[1])
            self.refused(1, ["127.0.0.1:" + port, "in use", "another port"],
                         "-f", "-a", "127.0.0.1", "-p", port, *TOOLS)

    def test_script(self):
        start = ("-f", "-a", "127.0.0.1", "-p", "0")
        for names, name in (
                (["missing.lua", "No such file"], "missing.lua"),
                (["broken.lua:4:"], "broken.lua"),
                (["raises.lua:2:", "not today"], "raises.lua"),
                (["scripts"], "")):
            with self.subTest(name=name):
                self.refused(1, names, *start, "-l", "/", script(name))
                self.refused(1, names, "-t", "-l", "/", script(name))

    def test_what_a_script_says_is_one_clean_line(self):
        with tempfile.NamedTemporaryFile("w", suffix=".lua") as f:
            f.write("error('a\\0b\\nc\\27[31m')")
            f.flush()
            self.refused(1, ["a\\x00b; c\\x1b[31m"], "-t", "-l", "/", f.name)

    def test_prefix(self):
        start = ("-f", "-a", "127.0.0.1", "-p", "0")
        self.refused(2, ["/a/../b"], *start, "-l", "/a/../b",
                     script("tools.lua"))
        self.refused(2, ["/a?b"], *start, "-l", "/a?b", script("tools.lua"))
        # With and without the leading slash it is the same prefix.
        self.refused(2, ["'ui'", "tools.lua"], *start, "-l", "/ui",
                     script("tools.lua"), "-l", "ui", script("ui.lua"))
        self.refused(2, ["'/'", "script", "tools.lua"], *start, *TOOLS,
                     "-s", "/", "/tmp")

    def test_certificate(self):
        harness.need_built_in("tls")
        rsa, rsa_key = harness.certificate("rsa")
        ec, ec_key = harness.certificate("ec")
        text = script("tools.lua")
        for names, pem, key in (
                ([ec, "does not match"], ec, rsa_key),
                ([rsa, "does not match"], rsa, ec_key),
                (["/no/such.pem"], "/no/such.pem", rsa_key),
                (["/no/such.key"], rsa, "/no/such.key"),
                ([text], text, rsa_key),
                ([text], rsa, text),
                ([rsa], rsa, rsa)):
            with self.subTest(pem=pem, key=key):
                self.refused(1, names, "-f", "-a", "127.0.0.1", "-p", "0",
                             "-c", pem, "-k", key, *TOOLS)

    def test_user(self):
        start = ("-f", "-a", "127.0.0.1", "-p", "0", *TOOLS)
        self.refused(1, ["no-such-user"], "-u", "no-such-user", *start)
        self.refused(2, ["12:x"], "-u", "12:x", *start)

    def test_root_directory(self):
        harness.need_root()
        self.refused(1, ["/no/such"], "-f", "-a", "127.0.0.1", "-p", "0",
                     "-r", "/no/such", *TOOLS)

    def test_in_the_background_too(self):
        start = ("-a", "127.0.0.1", "-p", "0")
        self.refused(1, ["missing.lua"], *start, "-l", "/",
                     script("missing.lua"))
        self.refused(1, ["203.0.113.1"], "-a", "203.0.113.1", "-p", "0",
                     *TOOLS)
        self.refused(2, ["proxy_from"], "-a", "127.0.0.1", "-p", "0p", *TOOLS)

    def test_messages_survive_a_closed_standard_error(self):
        done = harness.run("sh", "-c", f"exec {harness.BINARY} -f -x 2>&-")
        self.assertEqual(done.returncode, 2)


class Information(harness.TestCase):
    def test_version(self):
        for option in ("-V", "--version"):
            done = lhttpd(option)
            self.assertEqual(done.returncode, 0)
            self.assertRegex(done.stdout, r"^0\.1\.0\n[a-z0-9. ]+\n$")

    def test_help_names_every_option(self):
        done = lhttpd("-h")
        self.assertEqual(done.returncode, 0)
        self.assertEqual(lhttpd("--help").stdout, done.stdout)
        for letter in "lsckuaprdfwotVh":
            self.assertIn("-" + letter, done.stdout)

    def test_configuration(self):
        options = harness.certificate_options("rsa", "ec")
        done = lhttpd("-t", *options, *TOOLS)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(len(done.stdout.splitlines()), 1)

    def test_configuration_with_all_kinds_of_listeners(self):
        """What start accepts -t accepts, without a word."""
        authority = harness.certificate("ec", "authority")[0]
        tls = harness.certificate_options("ec")
        for args in (("-o", f"client_ca={authority}", *tls),
                     ("-p", "0s", "-p", "0r", *tls),
                     ("-p", "0p", "-o", "proxy_from=127.0.0.1"),
                     ("-a", "unix:/no/such/s", "-o", "unix_mode=600"),
                     ("-s", "/files", "/tmp", "-o", "directory_listing=on"),
                     ("-u", str(os.getuid()))):
            with self.subTest(args=args):
                done = lhttpd("-t", *args, *TOOLS)
                self.assertEqual((done.returncode, done.stderr), (0, ""))

    UNUSED = (
        (("-o", "access_format=json"),
         "access_format is set, and there is no access_log"),
        (("-o", "proxy_from=127.0.0.1"),
         "proxy_from is set, and there is neither a listener for the PROXY "
         "protocol nor forwarded"),
        (("-o", "unix_mode=600"),
         "unix_mode is set, and no unix socket is made"),
        (("-o", "unix_group=0"),
         "unix_group is set, and no unix socket is made"),
        (("-o", "unix_owner=0"),
         "unix_owner is set, and no unix socket is made"),
        (("-o", "handshake_timeout_ms=1"),
         "handshake_timeout_ms is set, and no listener speaks TLS"),
        (("-o", "tls_threads=2"),
         "tls_threads is set, and no listener speaks TLS"),
        (("-o", "cache_control=no-store"),
         "cache_control is set, and no directory is mapped"),
        (("-o", "directory_listing=on"),
         "directory_listing is set, and no directory is mapped"))

    def test_settings_without_effect(self):
        for args, words in self.UNUSED:
            with self.subTest(args=args):
                done = lhttpd("-t", *args, *TOOLS)
                self.assertEqual(done.returncode, 0)
                self.assertRegex(done.stderr,
                                 rf"^\S+ notice: {re.escape(words)}\n$")
        options = [word for args, _ in self.UNUSED for word in args]
        with harness.Server("/", script("tools.lua"), options=options) as s:
            for _, words in self.UNUSED:
                self.assertIn(words, s.log())
            self.assertIn("serves plain HTTP", s.log())

    def test_a_certificate_without_effect(self):
        done = lhttpd("-t", "-p", "0h", *harness.certificate_options("ec"),
                      *TOOLS)
        self.assertEqual(done.returncode, 0)
        self.assertIn("a certificate is given, and no listener speaks TLS",
                      done.stderr)

    def test_a_directory(self):
        """Beside a script, below it, and alone."""
        with tempfile.TemporaryDirectory() as where:
            os.chmod(where, 0o755)
            with open(where + "/a.txt", "w") as f:
                f.write("of a file\n")
            with harness.Server("/", script("tools.lua"),
                                options=["-s", "/files", where]) as s:
                with s.client() as c:
                    self.assertEqual(c.ask(path="/files/a.txt").text,
                                     "of a file\n")
                    self.assertEqual(c.ask().text, "hello\n")
            self.assertEqual(lhttpd("-t", "-s", "/", where).returncode, 0)
            gone = lhttpd("-t", "-s", "/", where + "/no")
            self.assertEqual(gone.returncode, 1)
            self.assertIn(where + "/no", gone.stderr)

    def test_arguments_stay_readable(self):
        """What ps shows is what was given."""
        with harness.Server("/", script("tools.lua"),
                            options=["-o", "access_log=-"]) as s:
            with open(f"/proc/{s.pid}/cmdline", "rb") as f:
                words = f.read().split(b"\0")
        self.assertIn(b"access_log=-", words)

    def test_test_of_the_configuration_needs_no_port(self):
        with socket.create_server(("127.0.0.1", 0)) as s:
            done = lhttpd("-t", "-a", "127.0.0.1", "-p",
                          str(s.getsockname()[1]), *TOOLS)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_a_script_without_handlers(self):
        with tempfile.NamedTemporaryFile(suffix=".lua") as f:
            done = lhttpd("-t", "-l", "/", f.name)
        self.assertEqual(done.returncode, 0)
        self.assertIn("no handler is registered", done.stderr)
        self.assertIn(f.name, done.stderr)

    def test_relative_script(self):
        done = lhttpd("-t", "-l", "/", "tools.lua", cwd=harness.SCRIPTS)
        self.assertEqual(done.returncode, 0, done.stderr)


if __name__ == "__main__":
    unittest.main()
