"""Channels: what one handler publishes reaches the browsers of all workers."""

import re
import signal

import harness
from harness import Server, script

DONE = "reloaded: scripts and certificates"


class Channels(harness.TestCase):
    def reader(self, server, queue=64, **more):
        """A client that has subscribed; `worker` says where."""
        c = server.client(**more)
        self.addCleanup(c.close)
        c.send(f"GET /read?queue={queue} HTTP/1.0\r\n\r\n".encode())
        c.until(b"\r\n\r\n")
        c.worker = int(c.until(b"\n").split()[1])
        return c

    def say(self, client, text, pad=0):
        self.assertEqual(client.ask(path=f"/say?text={text}&pad={pad}").status,
                         204)

    def test_every_client_gets_every_message_in_order(self):
        with Server("/", script("channels.lua"), tls=["ec"]) as s:
            readers = [self.reader(s) for _ in range(40)]
            self.assertEqual({c.worker for c in readers},
                             {0} if harness.own_loop() else {0, 1})
            with s.client() as c:
                for n in range(50):
                    self.say(c, n)
                self.say(c, "quit")
            told = "".join(f"{n}\n" for n in range(50)) + "dropped 0\n"
            for c in readers:
                self.assertEqual(c.to_end().decode(), told)

    def test_who_reads_nothing_loses_only_its_own(self):
        count, pad = 400, 20000
        with Server("/", script("channels.lua"), tls=["ec"]) as s:
            silent = self.reader(s, queue=8, receive_buffer=4096)
            readers = [self.reader(s) for _ in range(2)]
            with s.client() as c:
                for n in range(count):
                    self.say(c, f"={n}", pad)
                    for reader in readers:
                        self.assertTrue(
                            reader.until(b"\n").endswith(b"=%d" % n))
                self.say(c, "quit")
            for reader in readers:
                self.assertEqual(reader.to_end(), b"dropped 0\n")
            rest = silent.to_end().decode()
            got = [int(n) for n in re.findall(r"=(\d+)\n", rest)]
            self.assertEqual(got, sorted(set(got)))
            self.assertEqual(got[-1], count - 1)
            dropped = int(re.search(r"dropped (\d+)\n$", rest).group(1))
            self.assertGreater(dropped, 0)
            self.assertEqual(len(got) + dropped, count)

    def test_a_reload_ends_those_of_the_old_script(self):
        with Server("/", script("channels.lua")) as s:
            old = [self.reader(s) for _ in range(4)]
            s.signal(signal.SIGHUP)
            s.wait_for_log(DONE)
            for c in old:
                self.assertEqual(c.to_end(), b"stopping\n")
            new = [self.reader(s) for _ in range(4)]
            with s.client() as c:
                self.say(c, "new")
                self.say(c, "quit")
            for c in new:
                self.assertEqual(c.to_end(), b"new\ndropped 0\n")

    def test_a_stop_ends_them(self):
        with Server("/", script("channels.lua")) as s:
            readers = [self.reader(s) for _ in range(4)]
            s.signal()
            for c in readers:
                self.assertEqual(c.to_end(), b"stopping\n")
            s.wait()
