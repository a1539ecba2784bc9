"""Stands between a program and a server: holds back every byte, and counts round trips.

A flight is a burst of the client's bytes that the server answers: what a client says last and nobody answers (the end of
TLS) costs no round trip and is none; connecting is none either; QUIT is one, unless it left with the dot. The delay stands in
for a line: each direction is late by as much, and connecting costs what the three steps of TCP would. To count, it has to be
longer than a program takes between two writes of one flight.

`proxy.py PORT MILLISECONDS` prints its own port, then `open` and `closed FLIGHTS` for every connection, and ends when its
standard input does.
"""
import asyncio
import os
import socket
import sys

PIECE = 1 << 20


class Line:
    """One connection in both directions."""

    def __init__(self, target, late):
        self.target, self.late, self.flights, self.waiting = target, late, 0, False

    async def carry(self, client, to_client):
        loop = asyncio.get_running_loop()
        print("open", flush=True)
        began = loop.time()
        await asyncio.sleep(3 * self.late)
        server, to_server = await asyncio.open_connection("127.0.0.1", self.target)
        for end in (to_client, to_server):
            end.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # The client's first bytes could leave once it had the server's answer to its SYN: two thirds of the way here.
        there = self.pump(client, to_server, self.asked, began + 2 * self.late)
        back = self.pump(server, to_client, self.answered, 0)
        await asyncio.gather(there, back)
        for end in (to_client, to_server):
            end.close()
        print("closed %d" % self.flights, flush=True)

    def asked(self):
        self.waiting = True

    def answered(self):
        self.flights += self.waiting
        self.waiting = False

    async def pump(self, source, sink, seen, first):
        """Reads as things come, writes them as late as the line is, and passes the end on in its place."""
        loop, pieces = asyncio.get_running_loop(), asyncio.Queue()
        writing = asyncio.create_task(self.write(pieces, sink))
        piece = b"?"
        while piece:
            try:
                piece = await source.read(PIECE)
            except OSError:
                piece = b""
            if piece:
                seen()
            left, first = max(loop.time(), first), 0
            pieces.put_nowait((left + self.late, piece))
        await writing

    @staticmethod
    async def write(pieces, sink):
        loop, piece = asyncio.get_running_loop(), b"?"
        while piece:
            due, piece = await pieces.get()
            await asyncio.sleep(max(0, due - loop.time()))
            try:
                if piece:
                    sink.write(piece)
                    await sink.drain()
                else:
                    sink.write_eof()
            except OSError:
                return


async def main():
    target, late = int(sys.argv[1]), float(sys.argv[2]) / 1000
    server = await asyncio.start_server(lambda r, w: Line(target, late).carry(r, w), "127.0.0.1", 0, backlog=100)
    print(server.sockets[0].getsockname()[1], flush=True)
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(0, lambda: os.read(0, 100) or ended.set())
    await ended.wait()
    os._exit(0)  # connections that a failed program left open do not matter


if __name__ == "__main__":
    asyncio.run(main())
