"""A real name server for the tests, and a way to resolve through it: in a process of its own.

The process gets its own /etc/resolv.conf by a private mount, which needs the rights of root.
"""

import json
import shlex
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from random import randrange
from typing import Any

import pytest

_TYPES = {1: socket.AF_INET, 28: socket.AF_INET6}
_ROOT = Path(__file__).resolve().parent.parent


def in_process(zone: dict[str, list[str]], script: str, options: str = "") -> Any:
    """Run Python that puts its findings into ``found``, where ``zone`` is all that DNS knows; return ``found``.

    A name with ``[]`` is never answered. ``queries`` holds the questions so far, as (name, type).
    ``options`` are more lines of resolv.conf.
    """
    address = f"127.53.{randrange(256)}.{randrange(1, 255)}"  # runs of the tests may overlap
    with tempfile.TemporaryDirectory() as folder:
        conf = Path(folder, "resolv.conf")
        conf.write_text(f"nameserver {address}\noptions timeout:2 attempts:1\n{options}\n")
        mount = f"mount --bind {shlex.quote(str(conf))} /etc/resolv.conf"
        command = f"{mount} && exec {shlex.quote(sys.executable)} -m tests.nameserver"
        told = json.dumps({"address": address, "zone": zone, "script": script})
        done = subprocess.run(
            ["unshare", "-m", "sh", "-c", command], input=told, capture_output=True, text=True, cwd=_ROOT, timeout=60
        )
    if "unshare:" in done.stderr or "mount:" in done.stderr:
        pytest.skip("A private /etc/resolv.conf needs the rights of root.")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _serve(listener: socket.socket, zone: dict[str, list[str]], queries: list[tuple[str, int]]) -> None:
    while True:
        data, client = listener.recvfrom(4096)
        name, kind = _question(data)
        queries.append((name, kind))
        if zone.get(name) != []:
            listener.sendto(_answer(data, zone.get(name), kind), client)


def _question(data: bytes) -> tuple[str, int]:
    labels, at = [], 12
    while size := data[at]:
        labels.append(data[at + 1 : at + 1 + size].decode())
        at += 1 + size
    return ".".join(labels).lower(), struct.unpack_from(">H", data, at + 1)[0]


def _answer(query: bytes, addresses: list[str] | None, kind: int) -> bytes:
    end = 12
    while query[end]:
        end += 1 + query[end]
    question = query[12 : end + 5]
    family = _TYPES.get(kind)
    mine = [one for one in addresses or [] if family == (socket.AF_INET6 if ":" in one else socket.AF_INET)]
    code = 0x8180 if addresses is not None else 0x8183
    head = query[:2] + struct.pack(">HHHHH", code, 1, len(mine), 0, 0)
    packed = [socket.inet_pton(family or 0, one) for one in mine]
    records = [struct.pack(">HHHIH", 0xC00C, kind, 1, 0, len(one)) + one for one in packed]
    return head + question + b"".join(records)


def main() -> None:
    told = json.load(sys.stdin)
    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listener.bind((told["address"], 53))
    queries: list[tuple[str, int]] = []
    threading.Thread(target=_serve, args=(listener, told["zone"], queries), daemon=True).start()
    found: Any = {}
    names = {"found": found, "queries": queries, "zone": told["zone"]}
    exec(told["script"], names)
    json.dump(names["found"], sys.stdout)


if __name__ == "__main__":
    main()
