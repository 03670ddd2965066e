"""Sockets whose every wait ends at a deadline, handed to a driver that knows only timeouts of single reads.

A timeout of single reads is no bound: a server that sends a byte now and then holds its reader for ever.
"""

import socket
import ssl
from time import monotonic
from typing import Any

# Seconds: dead peers are found while nobody waits, too (Linux: tcp(7)).
_KEEPALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}


class Deadline:
    """A time that all sockets of one connection look at, and that may be moved."""

    def __init__(self, at: float = float("inf")) -> None:
        """Take a time of ``monotonic``."""
        self.at = at

    @property
    def is_over(self) -> bool:
        """Tell whether the time has come."""
        return monotonic() >= self.at

    def left(self) -> float | None:
        """Return the seconds that are left, for ``settimeout``; raise ``TimeoutError`` where none are."""
        if self.at == float("inf"):
            return None
        seconds = self.at - monotonic()
        if seconds <= 0:
            raise TimeoutError("the deadline has passed")
        return seconds


class BoundedSocket(socket.socket):
    """A TCP socket that is read and written until ``deadline``."""

    deadline: Deadline

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        """Read, as the file does that the driver makes of this socket."""
        self.settimeout(self.deadline.left())
        return super().recv_into(*args, **kwargs)

    def sendall(self, *args: Any, **kwargs: Any) -> None:
        """Write everything; Python bounds the whole of it by the timeout."""
        self.settimeout(self.deadline.left())
        super().sendall(*args, **kwargs)


class _BoundedTls(ssl.SSLSocket):
    deadline: Deadline

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(self.deadline.left())
        return super().recv_into(*args, **kwargs)

    def send(self, *args: Any, **kwargs: Any) -> int:  # what its sendall calls, again and again
        self.settimeout(self.deadline.left())
        return super().send(*args, **kwargs)


class BoundedContext(ssl.SSLContext):
    """A TLS client context whose sockets keep the deadline of the one that they wrap."""

    sslsocket_class = _BoundedTls

    def wrap_socket(self, sock: socket.socket, *args: Any, **kwargs: Any) -> ssl.SSLSocket:
        """Shake hands within the deadline, which Python bounds as a whole."""
        deadline: Deadline = sock.deadline  # type: ignore[attr-defined]  # only a BoundedSocket is ever given
        sock.settimeout(deadline.left())
        wrapped = super().wrap_socket(sock, *args, **kwargs)
        wrapped.deadline = deadline  # type: ignore[attr-defined]  # it is a _BoundedTls
        return wrapped


def dialled(address: str, port: int, deadline: Deadline) -> BoundedSocket:
    """Return a socket that is connected to an address literal; raise ``OSError``."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    made = BoundedSocket(family, socket.SOCK_STREAM)
    made.deadline = deadline
    try:
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, seconds in _KEEPALIVE.items():
            if hasattr(socket, name):
                made.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), seconds)
        made.settimeout(deadline.left())
        made.connect((address, port))
    except OSError:
        made.close()
        raise
    return made
