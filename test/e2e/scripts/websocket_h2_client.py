"""As websocket_client.py, over HTTP/2 (RFC 8441), with h2 for its frames and
websockets for those in the tunnel.

Usage: websocket_h2_client.py https://HOST:PORT/PATH
"""

import socket
import ssl
import sys
import urllib.parse

import h2.config
import h2.connection
import h2.events
import h2.settings
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from websocket_client import COUNT, message

AHEAD = 1 << 21  # octets of messages that are sent and not yet answered


def tls(address):
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    return context.wrap_socket(socket.create_connection(address, 60),
                               server_hostname=address[0])


class Tunnel:
    """A stream that an extended CONNECT has opened."""

    def __init__(self, url):
        url = urllib.parse.urlsplit(url)
        self.socket = tls((url.hostname, url.port))
        self.h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=True))
        self.h2.initiate_connection()
        self.reader = StreamReader()
        self.settled = self.status = None
        while not self.settled:
            self.step()
        self.stream = self.h2.get_next_available_stream_id()
        self.h2.send_headers(self.stream, [
            (":method", "CONNECT"), (":protocol", "websocket"),
            (":scheme", "https"), (":path", url.path), (":authority", "a"),
            ("sec-websocket-version", "13")])
        while not self.status:
            self.step()

    def step(self):
        """Sends what is to be sent and takes what comes next."""
        self.socket.sendall(self.h2.data_to_send())
        data = self.socket.recv(1 << 16)
        if not data:
            raise EOFError("the connection ended")
        for event in self.h2.receive_data(data):
            if isinstance(event, h2.events.DataReceived):
                self.reader.feed_data(event.data)
                self.h2.acknowledge_received_data(
                    event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.ResponseReceived):
                self.status = dict(event.headers)[b":status"].decode()
            elif isinstance(event, h2.events.RemoteSettingsChanged):
                self.settled = event.changed_settings.get(
                    h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL)
            elif isinstance(event, (h2.events.StreamReset,
                                    h2.events.ConnectionTerminated)):
                raise EOFError(str(event))

    def window(self):
        return min(self.h2.local_flow_control_window(self.stream),
                   self.h2.max_outbound_frame_size)

    def write(self, data):
        """Sends as much as the windows let it; returns the rest."""
        while data and self.window() > 0:
            n = self.window()
            self.h2.send_data(self.stream, data[:n])
            data = data[n:]
        return data

    def frames(self):
        """The frames that are whole; what is left of the next waits."""
        while True:
            if not getattr(self, "parser", None):
                self.parser = Frame.parse(self.reader.read_exact, mask=False)
            try:
                next(self.parser)
                return
            except StopIteration as whole:
                self.parser = None
                yield whole.value


def frame_of(i):
    data = message(i)
    if isinstance(data, str):
        return Frame(Opcode.TEXT, data.encode()).serialize(mask=True)
    return Frame(Opcode.BINARY, data).serialize(mask=True)


def is_echo(frame, i):
    data = frame.data
    if frame.opcode == Opcode.TEXT:
        data = data.decode()
    return data == message(i)


def main(url):
    tunnel = Tunnel(url)
    if tunnel.status != "200":
        sys.exit("answered with " + tunnel.status)
    sent = heard = whole = 0
    rest, under_way = b"", 0
    while heard < COUNT:
        while sent < COUNT and not rest and under_way < AHEAD:
            rest = frame_of(sent)
            under_way += len(rest)
            sent += 1
            rest = tunnel.write(rest)
        rest = tunnel.write(rest)
        tunnel.step()
        for frame in tunnel.frames():
            under_way -= len(frame_of(heard))
            whole += is_echo(frame, heard)
            heard += 1
    tunnel.write(Frame(Opcode.CLOSE, b"\x03\xe8").serialize(mask=True))
    closed = None
    while not closed:
        tunnel.step()
        closed = next(tunnel.frames(), None)
    print(whole, "whole" if closed.opcode == Opcode.CLOSE else closed)


main(sys.argv[1])
