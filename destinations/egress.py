"""Which addresses the hub may dial: one verdict at save, at test and at connect.

The rule and its sources: docs/security.md, section Egress. Nothing here imports Django but
``current_policy``, and nothing but ``resolve`` looks anything up.
"""

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any
from urllib.parse import urlsplit

from destinations.hosts import (
    EgressRefused,
    ResolveFailed,
    check_host,
    check_port,
    literal_of,
    lookup,
    shown,
    with_port,
)

__all__ = [
    "HTTP_REFUSED_PORTS",
    "EgressPolicy",
    "EgressRefused",
    "ResolveFailed",
    "current_policy",
    "own_endpoints",
    "resolve",
    "verdict",
]

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# Ports of services that take commands from whoever connects, or that a POST could be smuggled
# into; HTTP destinations do not dial them. From the list of "bad ports" of the Fetch standard
# (https://fetch.spec.whatwg.org/#port-blocking) and from published SSRF chains.
HTTP_REFUSED_PORTS = frozenset(
    {
        1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103,
        104, 109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 445, 465, 512,
        513, 514, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 873, 989, 990, 993, 995,
        1433, 1521, 1719, 1720, 1723, 2049, 2375, 2376, 2379, 2380, 3306, 3389, 3659, 4045, 4190, 5060, 5061,
        5432, 5672, 5900, 5984, 6000, 6379, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 9042, 9200, 9300,
        10080, 10250, 11211, 27017,
    }
)  # fmt: skip

# No setting lifts these. IANA's special-purpose registries (RFC 6890 and its updates), and the
# metadata services of cloud providers.
_NEVER = [
    (ip_network(network), kind)
    for network, kind in (
        ("0.0.0.0/8", "unspecified"),
        ("169.254.0.0/16", "link-local, where cloud metadata services are"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved or broadcast"),
        ("100.100.100.200/32", "a cloud metadata service"),
        ("168.63.129.16/32", "a cloud metadata service"),
        ("192.0.0.192/32", "a cloud metadata service"),
        ("192.88.99.0/24", "a 6to4 relay"),
        ("192.0.2.0/24", "for documentation only"),
        ("198.51.100.0/24", "for documentation only"),
        ("203.0.113.0/24", "for documentation only"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "site-local, which is withdrawn"),
        ("ff00::/8", "multicast"),
        ("fd00:ec2::254/128", "a cloud metadata service"),
        ("fd20:ce::254/128", "a cloud metadata service"),
        ("2002::/16", "a 6to4 tunnel"),
        ("2001::/23", "a tunnel or protocol assignment"),
        ("2001:db8::/32", "for documentation only"),
        ("3fff::/20", "for documentation only"),
        ("5f00::/16", "segment routing"),
        ("64:ff9b:1::/48", "local address translation"),
    )
]
_PRIVATE = [
    (ip_network(network), kind)
    for network, kind in (
        ("127.0.0.0/8", "loopback"),
        ("::1/128", "loopback"),
        ("10.0.0.0/8", "private"),
        ("172.16.0.0/12", "private"),
        ("192.168.0.0/16", "private"),
        ("100.64.0.0/10", "shared by a carrier's customers (CGNAT)"),
        ("192.0.0.0/24", "a protocol assignment"),
        ("198.18.0.0/15", "for benchmarks of networks"),
        ("fc00::/7", "private"),
    )
]
_GLOBAL_V6 = ip_network("2000::/3")  # the only part of IPv6 that IANA gives out for unicast
_NAT64 = IPv6Network("64:ff9b::/96")

_STORE_PORTS = {"postgresql": 5432, "mysql": 3306, "redis": 6379, "rediss": 6379, "amqp": 5672, "amqps": 5671}
_WEB_PORTS = {"http": 80, "https": 443}
_ENTRY_FORMS = "a range such as 10.20.0.0/16, or host:port such as db.internal:5432"


@dataclass(frozen=True, slots=True)
class EgressPolicy:
    """What the operator permits beyond public addresses, and what is the hub's own."""

    allow: tuple[str, ...] = ()  # CIDR ranges and host:port entries of EGRESS_ALLOW
    never: tuple[tuple[str, int], ...] = ()  # the hub's own (host, port): database, listeners

    def __post_init__(self) -> None:
        """Refuse an entry that says nothing, with ``ValueError``: it would be skipped in silence."""
        _rules_of(self.allow)


@dataclass(frozen=True, slots=True)
class _Rules:
    networks: tuple[Network, ...]
    endpoints: frozenset[tuple[str, int]]


def verdict(
    ip: str, port: int, policy: EgressPolicy, *, host: str = "", refused_ports: frozenset[int] = frozenset()
) -> None:
    """Raise ``EgressRefused`` unless ``ip`` (an address literal) may be dialled on ``port``.

    ``host`` is the name that gave the address: entries of the policy may be written with it.
    """
    if check_port(port) in refused_ports:
        raise EgressRefused(
            f"Port {port} belongs to another kind of service.", "Let the receiver listen on a port for HTTP."
        )
    address = _judged(ip)
    _check_never(address)
    if _is_own(address, port, host, policy.never):
        raise _own_refused(host or ip, port)
    kind = _kind(address, _PRIVATE)
    if kind and not _is_allowed(address, port, host, _rules_of(policy.allow)):
        raise EgressRefused(
            f"Address {address} is {kind}.",
            f"Add {_neighbourhood(address)} or {with_port(host or str(address), port)} to EGRESS_ALLOW.",
        )


def resolve(
    host: str,
    port: int,
    policy: EgressPolicy,
    *,
    refused_ports: frozenset[int] = frozenset(),
    timeout_s: float = 10.0,
) -> Sequence[str]:
    """Return the vetted addresses of ``host``, best first.

    Raises ``EgressRefused`` if the name or any of its addresses is bad, and ``ResolveFailed``
    if it has none or no answer came within ``timeout_s``.
    """
    name = check_host(host)
    literal = literal_of(name)
    if not literal and _is_own(None, port, name, policy.never):
        raise _own_refused(name, port)
    addresses = [str(literal)] if literal else lookup(name, timeout_s)
    for address in addresses:
        verdict(address, port, policy, host=name, refused_ports=refused_ports)
    return addresses


def current_policy() -> EgressPolicy:
    """Return the policy that the settings describe; raise ``ValueError`` for a bad EGRESS_ALLOW."""
    from django.conf import settings

    return EgressPolicy(tuple(settings.EGRESS_ALLOW), own_endpoints(settings))


def own_endpoints(settings: Any) -> tuple[tuple[str, int], ...]:
    """Return the (host, port) of what the hub runs on: databases, caches, broker, payload store, its own web server.

    A payload store on a public address is not among them: it is a provider's, where destinations may
    have buckets too. The web server is known by its name alone: behind a shared proxy, its address is
    also that of other sites. Where the echo page is shown, destinations may post to it.
    """
    stores = [_database_endpoint(one) for one in settings.DATABASES.values()]
    urls = [one.get("LOCATION") for one in getattr(settings, "CACHES", {}).values()]
    stores += [_url_endpoint(url) for url in [*urls, getattr(settings, "CELERY_BROKER_URL", "")]]
    own = [pair for store in stores if store for pair in _with_addresses(*store)]
    own += [pair for url in _payload_urls(settings) for pair in _if_private(*url)]
    web = _url_endpoint(settings.PUBLIC_URL)
    if web and not settings.DEMO_ECHO:
        own.append(web)
    return tuple(dict.fromkeys(own))


def _payload_urls(settings: Any) -> list[tuple[str, int]]:
    names = {"s3": "PAYLOAD_S3_ENDPOINT", "gcs": "PAYLOAD_GCS_ENDPOINT"}
    name = names.get(getattr(settings, "PAYLOAD_STORE", ""), "")
    url = _url_endpoint(getattr(settings, name, "") if name else "")
    return [url] if url else []


def _if_private(host: str, port: int) -> Sequence[tuple[str, int]]:
    """Return an endpoint with its addresses where one of them is in the hub's own network."""
    pairs = _with_addresses(host, port)
    addresses = [literal_of(one.partition("%")[0]) for one, _ in pairs]
    return pairs if any(one and _kind(one, _PRIVATE) for one in addresses) else ()


def _database_endpoint(database: Any) -> tuple[str, int] | None:
    host, kind = database.get("HOST") or "", str(database.get("ENGINE", "")).rpartition(".")[2]
    if kind not in _STORE_PORTS or host.startswith(("/", "@")):
        return None  # SQLite, or a unix socket
    return host or "localhost", int(database.get("PORT") or _STORE_PORTS[kind])


def _url_endpoint(url: Any) -> tuple[str, int] | None:
    try:
        parts = urlsplit(str(url or ""))
        port = parts.port or (_STORE_PORTS | _WEB_PORTS).get(parts.scheme, 0)
    except ValueError:
        return None
    return (parts.hostname, port) if parts.hostname and port else None


def _with_addresses(host: str, port: int) -> tuple[tuple[str, int], ...]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        found = []
    return ((host, port), *((str(answer[4][0]), port) for answer in found))


def _judged(ip: str) -> Address:
    """Return the address that is reached: of a mapped or translated one, the IPv4 address inside."""
    address = literal_of(ip.partition("%")[0])
    if address is None:
        raise EgressRefused(f"{shown(ip)} is not an address.")
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _own_refused(host: str, port: int) -> EgressRefused:
    return EgressRefused(
        f"{with_port(host, port)} is the hub's own: its database, cache, broker, payload store or web server.",
        "No setting allows this address.",
    )


def _check_never(address: Address) -> None:
    kind = _kind(address, _NEVER)
    if not kind and address.version == 6 and address not in _GLOBAL_V6 and not _kind(address, _PRIVATE):
        kind = "outside the addresses that are in use"
    if kind:
        raise EgressRefused(f"Address {address} is {kind}; it is never dialled.", "No setting allows this address.")


def _kind(address: Address, table: Sequence[tuple[Network, str]]) -> str:
    return next((kind for network, kind in table if address in network), "")


def _is_own(address: Address | None, port: int, host: str, own: Sequence[tuple[str, int]]) -> bool:
    return any(port == its_port and _same_host(address, host, its_host) for its_host, its_port in own)


def _same_host(address: Address | None, host: str, own: str) -> bool:
    if host and host == own.lower().removesuffix("."):
        return True
    literal = ip_address("127.0.0.1") if own == "localhost" else literal_of(own)
    if address is None or literal is None:
        return False
    # A server that listens on one loopback address, or on all addresses, answers on every other.
    is_here = literal.is_loopback or literal.is_unspecified
    return address == _judged(str(literal)) or (is_here and address.is_loopback)


def _is_allowed(address: Address, port: int, host: str, rules: _Rules) -> bool:
    named = {(host, port), (str(address), port)}
    return bool(named & rules.endpoints) or any(address in network for network in rules.networks)


@lru_cache(maxsize=64)
def _rules_of(allow: tuple[str, ...]) -> _Rules:
    networks, endpoints = [], []
    for entry in filter(None, map(str.strip, allow)):
        try:
            networks.append(ip_network(entry, strict=False))
        except ValueError:
            endpoints.append(_endpoint_of(entry))
    return _Rules(tuple(networks), frozenset(endpoints))


def _endpoint_of(entry: str) -> tuple[str, int]:
    host, _, port = entry.rpartition(":")
    try:
        name = check_host(host)
    except EgressRefused:
        name = ""
    if not name or not (port.isascii() and port.isdigit() and 1 <= int(port) <= 65535):
        raise ValueError(f"EGRESS_ALLOW has the entry {entry!r}; write {_ENTRY_FORMS}.")
    return name, int(port)


def _neighbourhood(address: Address) -> str:
    return str(ip_network((address, 24 if address.version == 4 else 64), strict=False))
