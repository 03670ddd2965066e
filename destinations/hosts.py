"""Host names and URLs: read in one way only, refused where two parsers would differ, looked up."""

import re
import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any
from urllib.parse import quote

import idna

Address = IPv4Address | IPv6Address

DEFAULT_PORTS = {"http": 80, "https": 443}

_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<path>[^?#]*)(?P<query>\?[^#]*)?(#.*)?"
)
_AUTHORITY = re.compile(r"(?P<host>\[[^\[\]]*\]|[^\[\]:]*)(:(?P<port>[0-9]{1,5}))?")
_UNSAFE = re.compile(r"[\x00-\x20\x7f\ud800-\udfff]")
_PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))


class EgressRefused(Exception):
    """An address or a name that the hub does not dial."""

    def __init__(self, detail: str, hint: str = "") -> None:
        """Say which address was refused, and the setting that would allow it, if one does."""
        super().__init__(detail)
        self.detail, self.hint = detail, hint


class ResolveFailed(Exception):
    """A name that has no address, or whose lookup was not answered in time."""

    def __init__(self, detail: str, hint: str = "") -> None:
        """Say which name was looked up and what to check."""
        super().__init__(detail)
        self.detail, self.hint = detail, hint


def resolved_words(host: str, addresses: Sequence[str]) -> str:
    """Return what a host was looked up as; an address needs no look-up."""
    if list(addresses) == [host]:
        return f"{host} is an address: nothing is to be looked up."
    return f"{host} is {', '.join(addresses)}."


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A URL, taken apart and put into the one form in which it is judged and dialled."""

    scheme: str
    host: str  # lower-case ASCII; an IPv6 address without brackets
    port: int
    path: str  # with the query, in ASCII; starts with "/"

    @property
    def authority(self) -> str:
        """Return ``host`` or ``host:port``, without the port that the scheme implies."""
        if self.port == DEFAULT_PORTS[self.scheme]:
            return f"[{self.host}]" if ":" in self.host else self.host
        return with_port(self.host, self.port)

    @property
    def url(self) -> str:
        """Return the URL that names this endpoint."""
        return f"{self.scheme}://{self.authority}{self.path}"


def check_host(host: str) -> str:
    r"""Return a host in the form in which it is looked up: lower-case ASCII, or an address literal.

    Raises ``EgressRefused`` for anything that parsers read in different ways. Python's own
    getaddrinfo takes ``2130706433``, ``0x7f.1``, ``127.1`` and ``127.0.0.1\0.example.com`` all
    for 127.0.0.1.
    """
    name = host.strip(" \t\r\n")
    if not name:
        raise EgressRefused("The host is empty.", "Give a host name such as api.example.com.")
    in_brackets = name.startswith("[") and name.endswith("]") and ":" in name
    literal = literal_of(name[1:-1] if in_brackets else name)
    if literal and "%" not in name:
        return str(literal)
    name = _ascii(name).lower().removesuffix(".")
    if len(name) > 253 or not _NAME.fullmatch(name):
        raise EgressRefused(f"{shown(host)} is not a host name.", "Give a host name such as api.example.com.")
    if _NUMBER.fullmatch(name.rpartition(".")[2]) and not literal_of(name):
        raise EgressRefused(f"{shown(host)} is a number, but not an address.", "Write it as four numbers: 192.0.2.1.")
    return name


@lru_cache(maxsize=4096)
def parse_url(url: str) -> Endpoint:
    """Take an http(s) URL apart; raise ``EgressRefused`` for one that is malformed or ambiguous."""
    match = _URL.fullmatch(url.strip())
    if not match or _UNSAFE.search(url.strip()):
        raise EgressRefused("The URL is malformed.", "Write it like https://api.example.com/path, without spaces.")
    scheme = match["scheme"].lower()
    if scheme not in DEFAULT_PORTS:
        raise EgressRefused(f"The URL's scheme is {scheme}.", "Use https:// or http://.")
    host, port = _split_authority(match["authority"])
    path = quote((match["path"] or "/") + (match["query"] or ""), safe=_PRINTABLE)
    return Endpoint(scheme, check_host(host), check_port(DEFAULT_PORTS[scheme] if port is None else port), path)


def _split_authority(authority: str) -> tuple[str, int | None]:
    if "@" in authority:
        raise EgressRefused("The URL holds a user name or a password.", "Put them into the credentials instead.")
    parts = _AUTHORITY.fullmatch(authority)
    if not parts:
        raise EgressRefused("The URL's host is malformed.", "Write it like https://api.example.com:8443/path.")
    return parts["host"], int(parts["port"]) if parts["port"] else None


def check_port(port: int) -> int:
    """Return ``port``; raise ``EgressRefused`` unless it is one."""
    if not 1 <= port <= 65535:
        raise EgressRefused(f"{port} is not a port.", "Use a port from 1 to 65535.")
    return port


def literal_of(text: str) -> Address | None:
    """Return the address that ``text`` spells in its canonical form, else ``None``."""
    try:
        return ip_address(text)
    except ValueError:
        return None


def with_port(host: str, port: int) -> str:
    """Return ``host:port``, with brackets round an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def shown(text: str) -> str:
    """Return a stranger's text so that it can stand in a message: quoted, escaped, cut."""
    return ascii(text[:100])


def _ascii(name: str) -> str:
    if name.isascii():
        return name  # idna refuses "_", which names inside container networks have
    try:
        return idna.encode(name, uts46=True).decode("ascii")
    except UnicodeError as error:  # every idna.IDNAError is one
        raise EgressRefused(f"{shown(name)} is not a host name: {error}") from error


def lookup(name: str, timeout_s: float) -> list[str]:
    """Return the addresses of a name that ``check_host`` passed; raise ``ResolveFailed``."""
    with _lock:
        running = _under_way.get(name)
        if running is None:
            running = _under_way[name] = _Lookup(name)
            threading.Thread(target=running.run, name=f"resolve {name}", daemon=True).start()
    if not running.done.wait(timeout_s):
        raise ResolveFailed(
            f"The lookup of {name} was not answered within {timeout_s:g} s.",
            "Check the name servers of the hub's machine.",
        )
    if not running.addresses:
        raise ResolveFailed(f"{name} has no address: {running.problem}.", "Check the spelling of the host name.")
    return running.addresses


@dataclass(slots=True)
class _Lookup:
    """One getaddrinfo call in a thread of its own: it cannot be cut short, only left behind."""

    name: str
    done: threading.Event = field(default_factory=threading.Event)
    addresses: list[str] = field(default_factory=list)
    problem: str = ""

    def run(self) -> None:
        try:
            self.addresses = _absolute(self.name)
        except OSError as error:
            self.problem = error.strerror or type(error).__name__
        finally:
            with _lock:
                _under_way.pop(self.name, None)
            self.done.set()


_lock = threading.Lock()
_under_way: dict[str, _Lookup] = {}  # a resolver that hangs holds one thread per name, not one per try


def _absolute(name: str) -> list[str]:
    """Look a name up without search domains.

    The final dot says so to DNS, but hides the name from the hosts file; a second look without it
    counts only if the name itself was found, and not one with a domain behind it.
    """
    try:
        return _addresses(socket.getaddrinfo(name + ".", None, type=socket.SOCK_STREAM))
    except socket.gaierror:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM, flags=socket.AI_CANONNAME)
        if found[0][3].lower().removesuffix(".") not in ("", name):
            raise
        return _addresses(found)


def _addresses(answers: Sequence[Any]) -> list[str]:
    return list(dict.fromkeys(str(answer[4][0]) for answer in answers))
