"""Sends 10,000 messages to an echo, from 1 octet to 1 MiB, and looks at each.

Usage: websocket_client.py URL
"""

import asyncio
import ssl
import sys

import websockets

COUNT = 10000


def message(i):
    """Most are short; each hundredth is longer, up to 1 MiB at the end."""
    n = 1 + i % 500 if i % 100 else max(1, i * (1 << 20) // (COUNT - 100))
    data = (b"%d:" % i * (n // 3 + 1))[:n]
    return data.decode() if i % 2 else data


async def main(url):
    options = {}
    if url.startswith("wss"):
        options["ssl"] = ssl.create_default_context()
        options["ssl"].check_hostname = False
        options["ssl"].verify_mode = ssl.CERT_NONE
    async with websockets.connect(url, max_size=1 << 22, **options) as ws:
        async def send():
            for i in range(COUNT):
                await ws.send(message(i))

        sender = asyncio.ensure_future(send())
        whole = 0
        for i in range(COUNT):
            whole += await ws.recv() == message(i)
        await sender
    print(whole, "whole")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
