"""A TCP proxy that breaks connections on command, for the faults that servers cannot be asked for."""

import socket
import struct
import threading
from contextlib import suppress

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class FaultProxy:
    """Stands on ``host:port`` before one upstream; use it as a context manager."""

    def __init__(self, upstream: tuple[str, int], host: str = "127.0.0.1") -> None:
        self.upstream = upstream
        self.connections = 0
        self._cut_at: bytes | None = None
        self._cut_after: bytes | None = None
        self._silent = False
        self._open: list[socket.socket] = []
        self._listener = socket.create_server((host, 0))
        self.host, self.port = self._listener.getsockname()[:2]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> "FaultProxy":
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def cut_at_answer(self, marker: bytes) -> None:
        """Reset the next connection whose answer holds ``marker``; the client never sees that answer."""
        self._cut_at = marker

    def cut_answer_to(self, marker: bytes) -> None:
        """Reset the next connection that sends ``marker``, once the server has answered; the answer is lost."""
        self._cut_after = marker

    def fall_silent(self) -> None:
        """Go on taking bytes and connections, and hand on nothing more in either direction."""
        self._silent = True

    def cut(self) -> None:
        """Reset every open connection."""
        for end in self._open:
            _reset(end)
        self._open.clear()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            try:
                server = socket.create_connection(self.upstream)
            except OSError:
                _reset(client)
                continue
            self._open += [client, server]
            threading.Thread(target=self._carry, args=(client, server, False), daemon=True).start()
            threading.Thread(target=self._carry, args=(server, client, True), daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket, is_answer: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if is_answer and self._cut_at is not None and self._cut_at in data:
                    self._cut_at = None
                    _reset(sink)
                    break
                if not is_answer and self._cut_after is not None and self._cut_after in data:
                    self._cut_at, self._cut_after = b"", None  # whatever comes back next
                if not self._silent:
                    sink.sendall(data)
        # The other side learns of the end as it would without a proxy.
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


def _reset(end: socket.socket) -> None:
    with suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        end.shutdown(socket.SHUT_RDWR)
    end.close()
