"""The process behind ``tests.sink.Sink``: an HTTP/1.1 server that records and misbehaves on demand.

Run as a script. It prints one JSON line with its port, and ends when its standard input closes.
Each request is appended to the ledger file before it is answered: ``HEADER`` and then its bytes. Without a
ledger requests are read and counted, and not kept.
"""

import argparse
import asyncio
import base64
import contextlib
import json
import os
import socket
import ssl
import struct
import sys
import time
from typing import Any, ClassVar

# Of one ledger record: Unix time, connection number, bytes of head with its blank line, bytes in all.
HEADER = struct.Struct(">dIIQ")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: text/plain\r\n\r\nok"
CONTROL = b"/_sink/"
CHUNK = 64 * 1024


class Sink:
    """What all connections share: the ledger, the rules, the counts."""

    def __init__(self, ledger_path: str, fsync: bool) -> None:
        self.ledger_path, self.fsync = ledger_path, fsync
        self.ledger = open(ledger_path or os.devnull, "ab", buffering=1024 * 1024)  # noqa: SIM115 - lives as long as the process
        self.rules: dict[bytes, dict[str, Any]] = {}
        self.counts: dict[bytes, int] = {}
        self.connections = self.open = 0
        self.released = asyncio.Event()

    def record(self, connection: int, path: bytes, head_size: int, request: bytes) -> None:
        self.counts[path] = self.counts.get(path, 0) + 1
        if not self.ledger_path:
            return
        self.ledger.write(HEADER.pack(time.time(), connection, head_size, len(request)) + request)
        if self.fsync:
            self.ledger.flush()
            os.fsync(self.ledger.fileno())

    def rule_for(self, path: bytes) -> dict[str, Any] | None:
        if not self.rules:
            return None
        rule = self.rules.get(path) or self.rules.get(b"*")
        if rule and rule.get("times") is not None:
            rule["times"] -= 1
            if rule["times"] <= 0:
                self.rules = {key: kept for key, kept in self.rules.items() if kept is not rule}
        return rule

    def control(self, target: bytes, body: bytes) -> dict[str, Any]:
        command = target.removeprefix(CONTROL)
        if command == b"rules":
            told = json.loads(body)
            self.rules[told.pop("path").encode()] = told
        elif command == b"clear":
            self.rules.clear()
            self.counts.clear()
            self.ledger.flush()
            if self.ledger_path:
                os.truncate(self.ledger_path, 0)
        elif command == b"release":
            self.released.set()
            self.released = asyncio.Event()
        self.ledger.flush()
        counts = {path.decode("latin-1"): count for path, count in self.counts.items()}
        return {"counts": counts, "connections": self.connections, "open": self.open}


class Connection(asyncio.BufferedProtocol):
    """One client. Requests are read one after the other; a rule may keep or drop the connection."""

    # What arrives lies here until ``buffer_updated`` returns, for all connections alike. An asyncio.Protocol gets
    # new bytes instead, for which asyncio asks the system for 256 KiB each time: half of the sink's time.
    room: ClassVar[memoryview] = memoryview(bytearray(CHUNK))
    transport: asyncio.Transport

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.buffer = bytearray()
        self.need = 0
        self.tasks: set[asyncio.Task[None]] = set()
        self.writable = asyncio.Event()
        self.writable.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.sink.connections += 1
        self.sink.open += 1
        self.number = self.sink.connections

    def connection_lost(self, exc: Exception | None) -> None:
        self.sink.open -= 1
        for task in self.tasks:
            task.cancel()

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()

    def get_buffer(self, sizehint: int) -> memoryview:
        return self.room

    def buffer_updated(self, nbytes: int) -> None:
        data = bytes(self.room[:nbytes])
        if self.buffer or self.need:
            self.buffer += data
            if len(self.buffer) < self.need:
                return
            data = bytes(self.buffer)
            self.buffer.clear()
        while data:
            used = self.one_request(data)
            if not used:
                self.buffer += data
                return
            data = data[used:]

    def one_request(self, data: bytes) -> int:
        """Serve the first request in ``data``; return the bytes that it took, 0 if it is incomplete."""
        end = data.find(b"\r\n\r\n")
        if end < 0:
            self.need = len(data) + 1
            return 0
        total = end + 4 + content_length(data, end)
        if len(data) < total:
            self.need = total
            return 0
        self.need = 0
        target = data[: data.find(b"\r\n")].split(b" ", 2)[1]
        if target.startswith(CONTROL):
            told = self.sink.control(target, data[end + 4 : total])
            self.transport.write(answer({"body": json.dumps(told)}))
            return total
        path = target.partition(b"?")[0]
        self.sink.record(self.number, path, end + 4, data[:total])
        rule = self.sink.rule_for(path)
        if rule is None:
            self.transport.write(OK)
        else:
            self.start(rule)
        return total

    def start(self, rule: dict[str, Any]) -> None:
        task = asyncio.get_running_loop().create_task(self.follow(rule))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def follow(self, rule: dict[str, Any]) -> None:
        await asyncio.sleep(rule.get("delay", 0))
        await getattr(self, rule.get("mode", "answer"))(rule)

    async def answer(self, rule: dict[str, Any]) -> None:
        self.transport.write(answer(rule))

    async def hold(self, rule: dict[str, Any]) -> None:
        """Answer once it is told to let go of all that it holds."""
        await self.sink.released.wait()
        self.transport.write(answer(rule))

    async def hang(self, rule: dict[str, Any]) -> None:
        """Never answer."""

    async def close(self, rule: dict[str, Any]) -> None:
        self.transport.close()

    async def reset(self, rule: dict[str, Any]) -> None:
        sock = self.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    async def raw(self, rule: dict[str, Any]) -> None:
        """Send ``bytes`` (base64) as they are; then close, unless told to ``keep`` the connection."""
        self.transport.write(base64.b64decode(rule["bytes"]))
        if not rule.get("keep"):
            self.transport.close()

    async def drip(self, rule: dict[str, Any]) -> None:
        """Send ``bytes`` (base64) at one byte per ``interval`` seconds, over and over."""
        text = base64.b64decode(rule["bytes"])
        start = base64.b64decode(rule.get("start", ""))
        self.transport.write(start)
        while True:
            for byte in text:
                self.transport.write(bytes([byte]))
                await asyncio.sleep(rule.get("interval", 0.1))

    async def flood(self, rule: dict[str, Any]) -> None:
        """Send ``start`` (base64), then ``size`` bytes of ``filler``, as fast as they are taken."""
        self.transport.write(base64.b64decode(rule["start"]))
        filler = base64.b64decode(rule["filler"])
        block = filler * max(1, CHUNK // len(filler))
        for _ in range(rule["size"] // len(block)):
            await self.writable.wait()
            self.transport.write(block)
            await asyncio.sleep(0)
        self.transport.close()


def content_length(data: bytes, end: int) -> int:
    """Return the Content-Length of the head ``data[:end]``."""
    at = data.find(b"ontent-Length: ", 0, end)
    if at < 0:
        head = data[:end].lower()
        at = head.find(b"ontent-length:")
        if at < 0:
            return 0
        return int(head[at + 14 : (head + b"\r").find(b"\r", at)])
    return int(data[at + 15 : data.find(b"\r", at)])


def answer(rule: dict[str, Any]) -> bytes:
    """Return a whole response: ``status``, ``headers`` as pairs, ``body`` as text."""
    body = rule.get("body", "").encode()
    status = rule.get("status", 200)
    lines = [f"HTTP/1.1 {status} {rule.get('reason', 'Told')}"]
    lines += [f"{name}: {value}" for name, value in rule.get("headers", [])]
    if status >= 200 and status not in (204, 304):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


async def serve(options: argparse.Namespace) -> None:
    sink = Sink(options.ledger, options.fsync)
    context = None
    if options.certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.certificate)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(sink), "127.0.0.1", options.port, ssl=context, backlog=4096)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)  # noqa: T201 - the starter reads it
    await loop.run_in_executor(None, sys.stdin.read)
    sink.ledger.flush()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--ledger", default="")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--certificate", default="")
    parser.add_argument("--fsync", action="store_true")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(parser.parse_args()))
    os._exit(0)  # open connections are not waited for


if __name__ == "__main__":
    main()
