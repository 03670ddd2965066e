"""The demonstration: a source, destinations and signed events to look at. Made by ``make run``."""

import json
import os
import secrets
import time
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import unquote, urlsplit

from django.conf import settings
from django.contrib.auth import get_user_model

from destinations.models import Destination
from destinations.services import create_destination
from destinations.signatures import terra_hmac
from webhooks.models import Source
from webhooks.receiving.samples import sample_of
from webhooks.receiving.sources import add_signing_secret, create_source

SLUG = "demo"
FIRST_EVENTS = ("auth", "sleep", "daily", "activity", "body", "healthcheck")  # their types
FAILING_SCHEDULE = [5, 15, 60]


def set_up(signing_secret: str, postgres_url: str = "") -> None:
    """Make the demo source and its destinations where they are missing; change nothing that is there."""
    _source(signing_secret)
    base = settings.PUBLIC_URL
    _destination("Demo echo", "webhook", {"url": f"{base}/demo/echo"}, {})
    _destination(
        "Demo failing", "webhook", {"url": f"{base}/demo/fail"}, {}, schedule=FAILING_SCHEDULE, event_types=["sleep"]
    )
    if postgres_url:
        _destination("Demo PostgreSQL", "postgres", *_postgres_fields(postgres_url))


def _source(signing_secret: str) -> None:
    source = Source.objects.filter(slug=SLUG).first()
    if source is None:
        create_source(slug=SLUG, name="Demo", secret=signing_secret)
    elif signing_secret != source.signing["secrets"][0]["secret"]:
        add_signing_secret(source, signing_secret, grace_s=0)


def _destination(name: str, kind: str, config: dict[str, Any], credentials: dict[str, Any], **more: Any) -> None:
    if not Destination.objects.filter(name=name).exists():
        create_destination(type=kind, name=name, config=config, credentials=credentials, sources=[SLUG], **more)


def _postgres_fields(url: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Take a ``postgres://user:password@host:port/database?sslmode=…`` URL apart."""
    parts = urlsplit(url)
    modes = [value for name, _, value in (item.partition("=") for item in parts.query.split("&")) if name == "sslmode"]
    config = {
        "host": parts.hostname or "localhost",
        "port": parts.port or 5432,
        "database": parts.path.lstrip("/"),
        "username": unquote(parts.username or ""),
        "ssl_mode": modes[0] if modes else "disable",
    }
    return config, {"password": unquote(parts.password or "")}


def administrator(username: str, password: str) -> str:
    """Make the admin user if there is none of that name; return a password that was made, or nothing."""
    users = get_user_model()._default_manager
    if users.filter(username=username).exists():
        return ""
    made = "" if password else secrets.token_urlsafe(12)
    users.create_superuser(username=username, password=password or made)
    return made


def post_first_events(url: str, signing_secret: str) -> None:
    """Post a handful of samples. Their trace ids are fixed, so a second time changes nothing."""
    for sample in FIRST_EVENTS:
        post_sample(url, signing_secret, sample, trace_id=f"demo-{sample}")


def post_sample(url: str, signing_secret: str, sample: str, trace_id: str) -> dict[str, Any]:
    """Post one sample as Terra would; return the hub's answer."""
    body = json.dumps(sample_of(sample)).encode()
    now = str(int(time.time()))
    headers = {
        "Content-Type": "application/json",
        "terra-signature": f"t={now},v1={terra_hmac(signing_secret.encode(), now, body)}",
        "terra-reference": secrets.token_hex(8),
        "X-Terra-Trace-Id": trace_id,
        "X-Terra-Ordering-Timestamp": str(int(time.time() * 1000)),
        "hook-type": "WEBHOOK",
        "dev-id": "demo",
    }
    request = urllib.request.Request(f"{url}/webhooks/terra/{SLUG}", body, headers)  # noqa: S310  # our own http URL
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        held: dict[str, Any] = json.load(answer)
        return held


def wait_until_up(url: str, timeout_s: float = 30) -> bool:
    """Wait for ``/healthz``; tell whether it answered in time."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{url}/healthz", timeout=2):  # noqa: S310
                return True
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.1)
    return False


def random_sample() -> str:
    """Return the type of one of the samples."""
    return secrets.choice(FIRST_EVENTS)


def local_url() -> str:
    """Return where ``make run`` serves."""
    return f"http://127.0.0.1:{os.environ.get('PORT', '8000')}"
