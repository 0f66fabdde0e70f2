"""A TCP proxy whose connections can be cut: they hang, as with a network that is gone, or are reset."""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Iterator

from tests.support import servers

CHUNK = 65536  # bytes
START_LIMIT = 10  # seconds
RESET_AT_CLOSE = struct.pack("ii", 1, 0)  # for SO_LINGER (socket(7)): a TCP reset instead of an orderly end


class Proxy:
    """Passes on what is sent to its port of 127.0.0.1.

    :param target: the port that it is sent to.
    """

    def __init__(self, target: int) -> None:
        self.port = servers.free_port()
        self._target = target
        self._refuses = False
        self._connections: set[asyncio.StreamWriter] = set()

    async def serve(self, ready: threading.Event) -> None:
        """Serve until ``stop`` is called.

        :param ready: set as soon as connections are accepted.
        """
        self._loop = asyncio.get_running_loop()
        self._flows, self._end = asyncio.Event(), asyncio.Event()
        self._flows.set()
        async with await asyncio.start_server(self._accept, "127.0.0.1", self.port):
            ready.set()
            await self._end.wait()
        self._flows.set()
        for writer in self._connections:
            writer.transport.abort()
        await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}))

    def stop(self) -> None:
        """End ``serve``, and all connections."""
        self._loop.call_soon_threadsafe(self._end.set)

    def hang(self) -> None:
        """Let nothing through. Connections stay open, and new ones are accepted."""
        self._loop.call_soon_threadsafe(self._flows.clear)

    def reset(self) -> None:
        """Reset all connections, and each new one."""
        self._loop.call_soon_threadsafe(self._abort)

    def mend(self) -> None:
        """Let everything through again, what was sent meanwhile included."""
        self._refuses = False
        self._loop.call_soon_threadsafe(self._flows.set)

    def _abort(self) -> None:
        self._refuses = True
        for writer in self._connections:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with self._open(writer), contextlib.suppress(OSError):
            if self._refuses:
                return
            await self._flows.wait()
            target_reader, target_writer = await asyncio.open_connection("127.0.0.1", self._target)
            with self._open(target_writer):
                ways = {
                    asyncio.create_task(self._pump(reader, target_writer)),
                    asyncio.create_task(self._pump(target_reader, writer)),
                }
                _done, rest = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                for way in rest:
                    way.cancel()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK):
                await self._flows.wait()
                writer.write(data)
                await writer.drain()

    @contextlib.contextmanager
    def _open(self, writer: asyncio.StreamWriter) -> Iterator[None]:
        self._connections.add(writer)
        try:
            yield
        finally:
            self._connections.discard(writer)
            writer.transport.abort()


@contextlib.contextmanager
def running(target: int) -> Iterator[Proxy]:
    """Run a proxy, in a thread of its own, until the block ends."""
    proxy, ready = Proxy(target), threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(proxy.serve(ready)))
    thread.start()
    if not ready.wait(START_LIMIT):
        raise TimeoutError(f"the proxy to port {target} does not start")
    try:
        yield proxy
    finally:
        proxy.stop()
        thread.join()
