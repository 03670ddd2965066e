"""Makes the file of a picture small: a palette of its most frequent colours instead of three bytes for each dot.

A page has few colours of its own; the others are edges of letters, which the nearest one stands for as well.
"""

import struct
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

COLOURS = 256
NEAR = 4  # steps of a channel that nobody sees: such colours count as one
_START = b"\x89PNG\r\n\x1a\n"


def shrink(path: Path) -> None:
    """Write a PNG of Chromium's (eight bits, RGB) anew with a palette, unless that is no smaller."""
    chunks = list(_chunks(path.read_bytes()))
    width, height, depth, kind = struct.unpack(">IIBB", chunks[0][1][:10])
    assert (depth, kind) == (8, 2), f"{path.name} is no RGB of eight bits"
    data = zlib.decompress(b"".join(body for name, body in chunks if name == b"IDAT"))
    rows = [[row[at : at + 3] for at in range(0, width * 3, 3)] for row in _rows(data, width * 3)]
    palette, places = _palette(Counter(colour for row in rows for colour in row))
    packed = zlib.compress(b"".join(b"\0" + bytes([places[colour] for colour in row]) for row in rows), 9)
    head = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    parts = ((b"IHDR", head), (b"PLTE", b"".join(palette)), (b"IDAT", packed), (b"IEND", b""))
    made = _START + b"".join(_chunk(name, body) for name, body in parts)
    if len(made) < path.stat().st_size:
        path.write_bytes(made)


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(_START)
    while at < len(png):
        size, name = struct.unpack(">I4s", png[at : at + 8])
        yield name, png[at + 8 : at + 8 + size]
        at += size + 12


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def _palette(counts: Counter[bytes]) -> tuple[list[bytes], dict[bytes, int]]:
    """Return the colours that are kept, of those that look the same the most frequent one, and where each goes."""
    kept: dict[tuple[int, ...], bytes] = {}
    for colour, _ in counts.most_common():
        kept.setdefault(tuple(channel // NEAR for channel in colour), colour)
        if len(kept) == COLOURS:
            break
    palette = list(kept.values())
    own = {colour: place for place, colour in enumerate(palette)}
    others = {
        colour: min(range(len(palette)), key=lambda place: _distance(palette[place], colour))
        for colour in counts
        if colour not in own
    }
    return palette, own | others


def _distance(one: bytes, other: bytes) -> int:
    return sum((a - b) ** 2 for a, b in zip(one, other, strict=True))


def _rows(data: bytes, width: int) -> Iterator[bytes]:
    """Take the filters of PNG off: each row says by its first byte what was subtracted from it."""
    above = bytearray(width)
    for at in range(0, len(data), width + 1):
        row = bytearray(data[at + 1 : at + 1 + width])
        _unfilter(data[at], row, above)
        yield bytes(row)
        above = row


def _unfilter(kind: int, row: bytearray, above: bytearray) -> None:
    if not kind:
        return
    guess = _GUESSES[kind - 1]
    for at, value in enumerate(row):
        left, corner = (row[at - 3], above[at - 3]) if at >= 3 else (0, 0)
        row[at] = (value + guess(left, above[at], corner)) & 255


def _paeth(left: int, up: int, corner: int) -> int:
    guess = left + up - corner
    by_left, by_up, by_corner = abs(guess - left), abs(guess - up), abs(guess - corner)
    if by_left <= by_up and by_left <= by_corner:
        return left
    return up if by_up <= by_corner else corner


_GUESSES: tuple[Callable[[int, int, int], int], ...] = (
    lambda left, up, corner: left,
    lambda left, up, corner: up,
    lambda left, up, corner: (left + up) // 2,
    _paeth,
)
