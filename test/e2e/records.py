"""A server of TLS 1.2 whose records a test makes itself: a library's server
sends no part of a message.  The handshake is the library's."""

import hashlib
import hmac
import os
import ssl
import struct
import tempfile

import harness

HANDSHAKE, DATA = 22, 23


def _prf(secret, label_and_seed, n):
    """RFC 5246, 5."""
    def digest(data):
        return hmac.new(secret, data, hashlib.sha256).digest()
    out, a = b"", label_and_seed
    while len(out) < n:
        a = digest(a)
        out += digest(a + label_and_seed)
    return out[:n]


def _block(key, counter, nonce):
    """A block of ChaCha20 (RFC 8439, 2.3)."""
    state = [0x61707865, 0x3320646e, 0x79622d32, 0x6b206574,
             *struct.unpack("<8I", key), counter, *struct.unpack("<3I", nonce)]
    x = list(state)

    def turn(i, k, n):
        x[i] ^= x[k]
        x[i] = (x[i] << n | x[i] >> 32 - n) & 0xffffffff

    def add(i, k):
        x[i] = (x[i] + x[k]) & 0xffffffff

    rounds = [(i, 4 + i, 8 + i, 12 + i) for i in range(4)] + \
             [(i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
              for i in range(4)]
    for a, b, c, d in rounds * 10:
        add(a, b), turn(d, a, 16)
        add(c, d), turn(b, c, 12)
        add(a, b), turn(d, a, 8)
        add(c, d), turn(b, c, 7)
    return struct.pack("<16I", *((v + w) & 0xffffffff
                                 for v, w in zip(x, state)))


def _poly1305(key, data):
    """RFC 8439, 2.5."""
    r = int.from_bytes(key[:16], "little") & 0x0ffffffc0ffffffc0ffffffc0fffffff
    total = 0
    for i in range(0, len(data), 16):
        piece = int.from_bytes(data[i:i + 16] + b"\1", "little")
        total = (total + piece) * r % ((1 << 130) - 5)
    total += int.from_bytes(key[16:], "little")
    return (total & (1 << 128) - 1).to_bytes(16, "little")


def _seal(key, nonce, text, more):
    """RFC 8439, 2.8, of less than 64 octets."""
    def pad(s):
        return s + bytes(-len(s) % 16)
    sealed = bytes(a ^ b for a, b in zip(text, _block(key, 1, nonce)))
    return sealed + _poly1305(
        _block(key, 0, nonce)[:32], pad(more) + pad(sealed) +
        struct.pack("<QQ", len(more), len(sealed)))


class Server:
    """Has shaken hands with the client of a socket."""

    def __init__(self, client, certificate):
        self.client = client
        self.into, self.out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.sent = 1  # records with these keys: the Finished message
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers("ECDHE-ECDSA-CHACHA20-POLY1305")
        context.load_cert_chain(*certificate)
        secrets = tempfile.mktemp(dir=harness.directory())
        context.keylog_filename = secrets
        self.tls = context.wrap_bio(self.into, self.out, server_side=True)
        self.random = b""
        self._step(self.tls.do_handshake)
        with open(secrets) as f:
            _, theirs, secret = f.read().splitlines()[-1].split()
        os.unlink(secrets)
        keys = _prf(bytes.fromhex(secret), b"key expansion" + self.random +
                    bytes.fromhex(theirs), 2 * (32 + 12))
        self.key, self.iv = keys[32:64], keys[76:88]

    def _flush(self):
        data = self.out.read()
        if data and not self.random:
            self.random = data[11:43]  # of the ServerHello
        self.client.sendall(data)

    def _step(self, do, *args):
        while True:
            try:
                result = do(*args)
                self._flush()
                return result
            except ssl.SSLWantReadError:
                self._flush()
                self.into.write(self.client.recv(65536))

    def read(self, n):
        return self._step(self.tls.read, n)

    def record(self, kind, text):
        """The next one of the server's, as it is sent (RFC 7905, 2)."""
        number = struct.pack(">Q", self.sent)
        self.sent += 1
        nonce = bytes(a ^ b for a, b in zip(self.iv, bytes(4) + number))
        head = bytes([kind, 3, 3])
        sealed = _seal(self.key, nonce, text,
                       number + head + struct.pack(">H", len(text)))
        return head + struct.pack(">H", len(sealed)) + sealed
