"""Who sent a request: its signature and its address. Pure functions, the clock is handed in.

Format and vectors: Terra's ``terra-signature`` header, ``t=<unix seconds>,v1=<hex>[,v1=<hex>…]``.
"""

import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Network, IPv6Network

from destinations.addresses import Address as Address
from destinations.addresses import client_address as client_address
from destinations.addresses import parse_address as parse_address
from destinations.signatures import terra_hmac

HEADERS = ("x-terra-signature", "terra-signature")
MAX_HEADER_LENGTH = 1024
MAX_SIGNATURES = 5
_TIMESTAMP = re.compile(r"[0-9]{1,12}")
_HEX = re.compile(r"[0-9a-f]{64}")
_MILLISECONDS = re.compile(r"[0-9]{13}")  # every moment between 2001 and 2286

Network = IPv4Network | IPv6Network


class SignatureRefused(Exception):
    """A signature that does not pass; ``code`` is stable, the message is for people."""

    def __init__(self, code: str, detail: str) -> None:
        """Take a code that starts with ``signature_``."""
        super().__init__(detail)
        self.code, self.detail = code, detail


@dataclass(frozen=True, slots=True)
class Secret:
    """A signing secret of a source, with the moment at which it stops being live."""

    value: bytes
    not_after: datetime | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """How old a signature may be, in seconds."""

    tolerance: int = 300
    stale: int = 48 * 3600
    strict: bool = False


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature header, taken apart."""

    timestamp_text: str  # exactly as signed
    digests: tuple[str, ...]

    @property
    def timestamp(self) -> int:
        """Return the time of signing, in Unix seconds."""
        return int(self.timestamp_text)


def parse_signature(header: str) -> Signature:
    """Take a header apart, strictly: one ``t``, one to five ``v1``; other schemes are ignored."""
    if len(header) > MAX_HEADER_LENGTH:
        raise SignatureRefused("signature_malformed", "The signature header is longer than 1 KB.")
    parts = [part.strip().partition("=") for part in header.split(",")]
    times = [value for name, _, value in parts if name == "t"]
    digests = tuple(value.lower() for name, _, value in parts if name == "v1")
    if len(times) == 1 and _MILLISECONDS.fullmatch(times[0]):
        raise SignatureRefused("signature_malformed", "The signature's t looks like milliseconds; Terra sends seconds.")
    if len(times) != 1 or not _TIMESTAMP.fullmatch(times[0]):
        raise SignatureRefused("signature_malformed", "The signature header needs exactly one t=<unix seconds>.")
    if not 1 <= len(digests) <= MAX_SIGNATURES or not all(map(_HEX.fullmatch, digests)):
        raise SignatureRefused(
            "signature_malformed", "The signature header needs one to five v1=<64 hexadecimal digits>."
        )
    return Signature(times[0], digests)


def verify(
    headers: Mapping[str, str], body: bytes, secrets: Iterable[Secret], now: datetime, window: Window
) -> tuple[Signature, bool]:
    """Return the signature that passed, and whether it is stale; raise ``SignatureRefused``.

    Both header names may come at once; where they differ, one that passes is enough.
    """
    given = list(dict.fromkeys(headers[name] for name in HEADERS if headers.get(name)))
    if not given:
        raise SignatureRefused("signature_missing", "The request has no terra-signature header.")
    refusals = []
    live = [secret.value for secret in secrets if secret.not_after is None or now <= secret.not_after]
    for header in given:
        try:
            signature = parse_signature(header)
            _check_digest(signature, body, live)
            return signature, _is_stale(signature.timestamp, now, window)
        except SignatureRefused as refusal:
            refusals.append(refusal)
    raise refusals[0]


def _check_digest(signature: Signature, body: bytes, secrets: Sequence[bytes]) -> None:
    if not secrets:
        raise SignatureRefused("signature_no_secret", "The source has no signing secret that is live.")
    passed = False
    for secret in secrets:
        expected = terra_hmac(secret, signature.timestamp_text, body).encode()
        for digest in signature.digests:  # no early exit: the time taken tells nothing
            passed |= hmac.compare_digest(expected, digest.encode())
    if not passed:
        raise SignatureRefused("signature_mismatch", "No signature fits the body under a live secret of this source.")


def _is_stale(timestamp: int, now: datetime, window: Window) -> bool:
    age = int(now.timestamp()) - timestamp
    if age < -window.tolerance:
        raise SignatureRefused("signature_from_future", f"The signature's time is {-age} s ahead of this hub's clock.")
    if age <= window.tolerance:
        return False
    if window.strict or age > window.stale:
        raise SignatureRefused("signature_too_old", f"The signature is {age} s old.")
    return True


def address_allowed(address: Address | None, networks: Iterable[Network]) -> bool:
    """Tell whether an address is in one of the networks; an unknown address is in none."""
    return address is not None and any(address in network for network in networks)
