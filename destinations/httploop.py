"""libcurl's multi interface over epoll: the turning wheel of ``destinations.http``."""

import select
from contextlib import suppress
from time import monotonic
from typing import Any

import pycurl

# libcurl looks for closed connections among those that it keeps at most once a second, and would
# send a request on one that was closed since.
PRUNE_S = 1.0
_WAKE = {
    pycurl.POLL_IN: select.EPOLLIN,
    pycurl.POLL_OUT: select.EPOLLOUT,
    pycurl.POLL_INOUT: select.EPOLLIN | select.EPOLLOUT,
}


class CurlLoop:
    """Drives the transfers of one client.

    libcurl's own wait uses select(), which cannot see a file number over 1023. A socket stays
    registered while its connection idles: two system calls less for each request.
    """

    def __init__(self, connections: int) -> None:
        self.multi = pycurl.CurlMulti()
        self._poll = select.epoll()
        self._registered: dict[int, int] = {}
        self._wanted: dict[int, int] = {}
        self._heard: dict[int, float] = {}
        self._due: float | None = None
        self._fresh_until = 0.0
        self.multi.setopt(pycurl.M_SOCKETFUNCTION, self._on_socket)
        self.multi.setopt(pycurl.M_TIMERFUNCTION, self._on_timer)
        self.multi.setopt(pycurl.M_MAXCONNECTS, connections)

    def turn(self, wait_s: float, busy: int = 0) -> None:
        """Wait at most so long for something to happen, and do what is then to be done.

        ``busy`` is how many transfers were given to libcurl and not taken back: where one of them ends
        as it begins, there is nothing to wait for.
        """
        running = self._tick()
        if running is not None and running < busy:
            return
        due = self._due
        wait = wait_s if due is None else min(wait_s, max(0.0, due - monotonic()))
        happened = self._poll.poll(wait)
        now = monotonic()
        for number, events in happened:
            if events & select.EPOLLIN:
                self._heard[number] = now
            self._act(number, events)
        self._tick()

    def opened(self, number: int) -> None:
        """Forget what was known of a socket's number: a closed one had it before."""
        self._registered.pop(number, None)
        self._heard.pop(number, None)

    def silence_s(self, number: int) -> float:
        """Return the seconds since a socket was last readable."""
        return monotonic() - self._heard.get(number, 0.0)

    def distrust_kept(self, seconds: float) -> None:
        """Let new requests open connections of their own for a while."""
        self._fresh_until = max(self._fresh_until, monotonic() + seconds)

    def trusts_kept(self) -> bool:
        """Tell whether a request may go out on a connection that is open already."""
        return monotonic() >= self._fresh_until

    def close(self) -> None:
        """Close the connections and the wait."""
        self.multi.close()
        self._poll.close()

    def _act(self, number: int, events: int) -> None:
        wanted = self._wanted.get(number)
        if not wanted:
            self._forget(number)
        elif events & ~(select.EPOLLIN | select.EPOLLOUT):  # an error or a hang-up: let libcurl look
            self.multi.socket_action(number, wanted)
        else:
            self.multi.socket_action(number, events & 1 | (events & select.EPOLLOUT and 2))

    def _tick(self) -> int | None:
        """Do what libcurl asked to have done by now, if it did; return how many transfers go on then."""
        if self._due is None or self._due > monotonic():
            return None
        self._due = None
        _, running = self.multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
        return running

    def _on_timer(self, wait_ms: int) -> None:
        self._due = None if wait_ms < 0 else monotonic() + wait_ms / 1000

    def _on_socket(self, what: int, number: int, _multi: pycurl.CurlMulti, _data: Any) -> None:
        if what not in _WAKE:
            self._wanted[number] = 0
            return
        self._wanted[number] = what
        if self._registered.get(number) != what:
            self._register(number, what)

    def _register(self, number: int, what: int) -> None:
        try:
            self._poll.modify(number, _WAKE[what])
        except FileNotFoundError:
            self._poll.register(number, _WAKE[what])
        self._registered[number] = what

    def _forget(self, number: int) -> None:
        """Stop watching an idle connection: its server closed it, and may have closed others."""
        self.distrust_kept(PRUNE_S)
        self._registered.pop(number, None)
        with suppress(OSError):  # libcurl may have closed it first
            self._poll.unregister(number)
