"""Who sent a request: the address behind the proxies that are trusted."""

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

Address = IPv4Address | IPv6Address


def client_address(peer: str, forwarded_for: str, trusted_proxies: int) -> Address | None:
    """Return who sent the request, or ``None`` where that cannot be told.

    With ``trusted_proxies`` = n > 0 it is the n-th entry of X-Forwarded-For from the right:
    entries further left are the sender's own words.
    """
    if trusted_proxies <= 0:
        return parse_address(peer)
    entries = [entry.strip() for entry in forwarded_for.split(",") if entry.strip()]
    return parse_address(entries[-trusted_proxies]) if len(entries) >= trusted_proxies else None


@lru_cache(maxsize=1024)  # the same few senders, for every request
def parse_address(text: str) -> Address | None:
    """Parse ``1.2.3.4``, ``1.2.3.4:80``, ``[::1]:80``, ``fe80::1%eth0``; mapped IPv4 becomes IPv4."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
