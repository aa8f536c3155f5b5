# SPDX-License-Identifier: MIT
"""A slow and unreliable network between servers and their store."""

import asyncio
import contextlib
import threading


class Network:
    """A proxy on a port of its own, before a store's socket. Its faults may be set from any thread."""

    def __init__(self, path):
        self.path = path
        self.delay = 0.0
        self.silent = False
        self.writers = set()
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.server = self._call(asyncio.start_server(self._forward, "127.0.0.1", 0))
        self.port = self.server.sockets[0].getsockname()[1]

    def cut(self):
        """Ends each connection, whatever is under way."""
        self._call(self._cut())

    def stop(self):
        self.server.close()
        self.cut()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()

    def _call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result()

    async def _cut(self):
        for writer in list(self.writers):
            writer.transport.abort()

    async def _forward(self, reader, writer):
        try:
            to_store = await asyncio.open_unix_connection(self.path)
        except OSError:
            writer.transport.abort()
            return
        ways = ((reader, to_store[1]), (to_store[0], writer))
        self.writers.update(way[1] for way in ways)
        await asyncio.gather(*(self._pump(*way) for way in ways))
        self.writers.difference_update(way[1] for way in ways)

    async def _pump(self, reader, writer):
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                while self.silent:
                    await asyncio.sleep(0.01)
                if self.delay:
                    await asyncio.sleep(self.delay)
                writer.write(data)
                await writer.drain()
        writer.close()
