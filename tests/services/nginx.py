"""nginx as operators put it before the hub, started for one test.

It is started from this machine's binary, or after installing Debian's nginx-light: see ``tests.services``.
"""

import shutil
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from tests.services import ServiceMissing, free_port, install_debian, may_install
from tests.services.processes import end, launch, wait_until_up

_CONFIG = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{
    listen 127.0.0.1:{port}{tls};
    {server}
    location / {{ proxy_pass http://127.0.0.1:{upstream}; {location} }}
  }}
}}
"""


@lru_cache(maxsize=1)
def _binary() -> str:
    """Return nginx's path; raise ``ServiceMissing``."""
    found = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
    if found is None and may_install():
        install_debian("nginx-light")
        found = shutil.which("/usr/sbin/nginx")
    if found is None:
        raise ServiceMissing("nginx is missing. Install it: apt-get install nginx-light")
    return found


@contextmanager
def nginx(
    folder: Path,
    upstream: int,
    *,
    server: str = "",
    location: str = "",
    certificate: tuple[bytes, bytes] | None = None,
    port: int = 0,
) -> Iterator[int]:
    """Run nginx before a port of this host; yield its own. ``server`` and ``location``: lines of its configuration."""
    binary, port = _binary(), port or free_port()
    place = folder / f"nginx-{port}"
    place.mkdir(exist_ok=True)
    if certificate:
        (place / "crt").write_bytes(certificate[0])
        (place / "key").write_bytes(certificate[1])
        server += f" ssl_certificate {place}/crt; ssl_certificate_key {place}/key;"
    config = _CONFIG.format(
        folder=place, port=port, upstream=upstream, server=server, location=location, tls=" ssl" if certificate else ""
    )
    (place / "conf").write_text(config)
    process = launch([binary, "-c", str(place / "conf"), "-e", str(place / "error.log")], place, "root", "SIGTERM")
    try:
        wait_until_up(process, place, lambda: socket.create_connection(("127.0.0.1", port), 1), OSError)
        yield port
    finally:
        end(process, signal.SIGTERM)
