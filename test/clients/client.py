#!/usr/bin/python3
"""The Python clients of test/clients/run.

Usage: client.py LIBRARY PROTOCOL URL CASE [number ...]

LIBRARY is http.client, urllib, requests, httpx, aiohttp or grpc; PROTOCOL is
h1 or h2.  The cases and what is printed for them stand in test/clients/run.
"""

import asyncio
import hashlib
import os
import socket
import ssl
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from http.client import HTTPConnection, HTTPSConnection

PERIOD = 65521
PATTERN = bytes((i * 7 + i // 251) % 256 for i in range(PERIOD))
CA = os.environ["LHTTPD_CA"]
PATIENCE = 240


def text(n):
    return (PATTERN * (n // PERIOD + 1))[:n]


def context():
    return ssl.create_default_context(cafile=CA)


class HttpClient:
    """http.client: one connection, made again when the server closed it."""

    def __init__(self, url, _):
        parts = urllib.parse.urlsplit(url)
        self.connection = (
            HTTPSConnection(parts.netloc, timeout=PATIENCE, context=context())
            if parts.scheme == "https" else
            HTTPConnection(parts.netloc, timeout=PATIENCE))

    def ask(self, method, path, body=None, piece=None):
        self.connection.request(method, path, body)
        response = self.connection.getresponse()
        return response.status, read_pieces(response.read, piece)


class UrlLib:
    def __init__(self, url, _):
        self.url = url

    def ask(self, method, path, body=None, piece=None):
        request = urllib.request.Request(self.url + path, body, method=method)
        secure = context() if self.url.startswith("https") else None
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE,
                                        context=secure) as response:
                return response.status, read_pieces(response.read, piece)
        except urllib.error.HTTPError as e:
            return e.code, e.read()


class Requests:
    def __init__(self, url, _):
        import requests
        self.url = url
        self.session = requests.Session()
        self.session.verify = CA
        self.session.trust_env = False

    def ask(self, method, path, body=None, piece=None):
        with self.session.request(method, self.url + path, data=body,
                                  timeout=PATIENCE, stream=True) as r:
            return r.status_code, b"".join(r.iter_content(piece or 65536))


class Httpx:
    def __init__(self, url, protocol):
        import httpx
        self.url = url
        # Without TLS httpx speaks HTTP/2 only where HTTP/1 is forbidden.
        self.client = httpx.Client(http2=protocol == "h2",
                                   http1=protocol != "h2", verify=CA,
                                   timeout=PATIENCE, trust_env=False)

    def ask(self, method, path, body=None, piece=None):
        with self.client.stream(method, self.url + path, content=body) as r:
            return r.status_code, b"".join(r.iter_bytes(piece or 65536))


class AioHttp:
    def __init__(self, url, _):
        self.url = url
        self.loop = asyncio.new_event_loop()
        self.session = None

    async def _ask(self, method, path, body, piece):
        import aiohttp
        if not self.session:
            self.session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=context()),
                timeout=aiohttp.ClientTimeout(total=PATIENCE))
        async with self.session.request(method, self.url + path,
                                        data=body) as r:
            parts = [p async for p in r.content.iter_chunked(piece or 65536)]
            return r.status, b"".join(parts)

    def ask(self, method, path, body=None, piece=None):
        return self.loop.run_until_complete(
            self._ask(method, path, body, piece))

    def sleep(self, seconds):
        """The loop runs meanwhile, as it does in a program."""
        self.loop.run_until_complete(asyncio.sleep(seconds))

    def close(self):
        self.loop.run_until_complete(self.session.close())
        self.loop.close()


def read_pieces(read, piece):
    parts = []
    while True:
        part = read(piece or 65536)
        if not part:
            return b"".join(parts)
        parts.append(part)


def get(client, n, piece):
    status, body = client.ask("GET", f"/bytes?n={n}&length=1", piece=piece)
    print(status, len(body), hashlib.sha256(body).hexdigest())


def chunked(client, n, piece):
    status, body = client.ask("GET", f"/bytes?n={n}&piece={piece}")
    print(status, len(body), hashlib.sha256(body).hexdigest())


def put(client, n):
    status, body = client.ask("POST", "/upload", text(n))
    print(status, body.decode().strip())


def refuse(client, n):
    status, body = client.ask("POST", "/refuse", text(n))
    print(status, body.decode().strip())


def keep(client, n):
    seen = {client.ask("GET", "/connection") for _ in range(n)}
    statuses = {status for status, _ in seen}
    print(*statuses, len(seen), "connection")


def idle(client, ms):
    before, _ = client.ask("GET", "/connection")
    getattr(client, "sleep", time.sleep)(ms / 1000)
    after, _ = client.ask("GET", "/connection")
    print(before, after)


def resume(_, url):
    """Whether the second connection resumes the session of the first."""
    parts = urllib.parse.urlsplit(url)
    secure, session = context(), None
    reused = []
    for _ in range(2):
        connection = HTTPSConnection(parts.netloc, timeout=PATIENCE)
        connection.sock = secure.wrap_socket(
            socket.create_connection((parts.hostname, parts.port), PATIENCE),
            server_hostname=parts.hostname, session=session)
        connection.request("GET", "/connection")
        connection.getresponse().read()
        session = connection.sock.session
        reused.append(connection.sock.session_reused)
        connection.close()
    print("resumed" if reused[1] else "not resumed")


def grpc_case(url, case, numbers):
    import grpc
    parts = urllib.parse.urlsplit(url)
    options = [("grpc.max_receive_message_length", 1 << 30),
               ("grpc.max_send_message_length", 1 << 30),
               ("grpc.enable_http_proxy", 0)]
    if parts.scheme == "https":
        with open(CA, "rb") as f:
            secure = grpc.ssl_channel_credentials(f.read())
        channel = grpc.secure_channel(parts.netloc, secure, options)
    else:
        channel = grpc.insecure_channel(parts.netloc, options)
    with channel:
        if case == "echo":
            data = text(numbers[0])
            answer = channel.unary_unary("/test.Test/Echo")(
                data, timeout=PATIENCE)
            print("same" if answer == data else "different")
        else:
            count, size = numbers
            answers = channel.unary_stream("/test.Test/Stream")(
                b"%d %d" % (count, size), timeout=PATIENCE)
            print(sum(a == text(size) for a in answers), "messages")


def main(library, protocol, url, case, *numbers):
    numbers = [int(n) for n in numbers]
    if library == "grpc":
        grpc_case(url, case, numbers)
        return
    kinds = {"http.client": HttpClient, "urllib": UrlLib,
             "requests": Requests, "httpx": Httpx, "aiohttp": AioHttp}
    client = kinds[library](url, protocol)
    if case == "resume":
        resume(client, url)
        return
    cases = {"get": get, "chunked": chunked, "put": put, "refuse": refuse,
             "keep": keep, "idle": idle}
    cases[case](client, *numbers)
    if hasattr(client, "close"):
        client.close()


main(*sys.argv[1:])
