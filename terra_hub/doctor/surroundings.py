"""What surrounds the hub's processes: settings, key ring, and what is in the worker's environment."""

import os
import re
import socket
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from django.conf import settings
from django.core.checks import ERROR, WARNING, CheckMessage, run_checks
from django.core.checks.registry import registry
from django.db import DatabaseError, InterfaceError
from django.utils import timezone

from destinations.access.keys import warning_of
from destinations.crypto import SealError, key_ring
from destinations.models import ApiKey
from destinations.sealing import rotate
from terra_hub.healthchecks import WORKER_SEEN_WITHIN, Finding, Level, Unwell
from webhooks.delivering import outbox
from webhooks.models import Worker

# Of those, drf-spectacular's builds the API's whole schema, and the database's migrations have a check of their own.
_LEFT_OUT = frozenset({"drf_spectacular", "database"})
_SHOWN = 5


def deploy_settings() -> Finding:
    """Run Django's own checks and the hub's, as ``check --deploy`` does."""
    tags = sorted(registry.tags_available(deployment_checks=True) - _LEFT_OUT)
    silenced = set(settings.SILENCED_SYSTEM_CHECKS)
    messages = [one for one in run_checks(tags=tags, include_deployment_checks=True) if one.id not in silenced]
    if not messages:
        return Finding(Level.OK, "check --deploy finds nothing")
    gravest = max(one.level for one in messages)
    if gravest < WARNING:
        return Finding(Level.OK, f"check --deploy notes: {_listed([_words(one) for one in messages])}")
    level = Level.FAILED if gravest >= ERROR else Level.WARNING
    messages.sort(key=lambda one: -one.level)
    hints = dict.fromkeys(str(one.hint) for one in messages if one.hint)
    fix = " ".join([*hints, "In full: python manage.py check --deploy"])
    ids = ", ".join(str(one.id) for one in messages)
    grave, notes = ([_words(one) for one in messages if (one.level >= WARNING) is wanted] for wanted in (True, False))
    return Finding(level, f"check --deploy finds {ids}", " ".join([_listed(grave), *notes]), fix)


def _words(message: CheckMessage) -> str:
    """Return a message's first sentence, and its id."""
    first = re.split(r"(?<=[.])\s", str(message.msg).strip(), maxsplit=1)[0]
    return f"{first.rstrip('.')} ({message.id})."


def _listed(texts: Sequence[str]) -> str:
    more = f" And {len(texts) - _SHOWN} more." if len(texts) > _SHOWN else ""
    return " ".join(texts[:_SHOWN]) + more


def sealed_values() -> Finding:
    """Open every sealed value, and say which keys of the ring are in use."""
    try:
        ring = key_ring()
    except SealError as error:
        raise Unwell(str(error), "CREDENTIAL_KEYS is missing or malformed.", "Correct CREDENTIAL_KEYS.") from error
    report = rotate(write=False)
    if report.unreadable:
        raise Unwell(
            f"{len(report.unreadable)} sealed values do not open: {_listed(report.unreadable)}",
            "They were sealed with a key that CREDENTIAL_KEYS has no more, or were copied from another row.",
            "Put the old key back behind the new one. If it is lost, type these secrets again.",
        )
    if report.older:
        return Finding(
            Level.WARNING, f"{report.older} of {report.older + report.current} sealed values are under an older key.",
            "CREDENTIAL_KEYS has a new first key.", "Run: python manage.py rotate_keys",
        )  # fmt: skip
    unused = [name for name in ring.key_ids if name not in {ring.active_key_id, *report.keys_in_use}]
    said = f"all {report.current} sealed values open with {ring.active_key_id}"
    if unused:
        fix = "Nothing here needs them. Keep them for as long as you keep older backups of the database."
        return Finding(Level.OK, f"{said}; not in use: {', '.join(unused)}", fix=fix)
    return Finding(Level.OK, said)


def api_keys() -> Finding:
    """Name the keys that end soon, and those that nothing uses."""
    now = timezone.now()
    rows = ApiKey.objects.filter(revoked_at=None)
    said = [f"{row}: {warning}" for row in rows if (warning := warning_of(row, now))]
    if not said:
        return Finding(Level.OK, "no API key ends within 14 days, and none lies unused for 90")
    fix = "Make another key before one ends (hub keys add); revoke what nothing uses (hub keys revoke)."
    return Finding(Level.WARNING, _listed(said), "Keys live as long as they were given, used or not.", fix)


# --- what libraries would read without being asked --------------------------------------------------------------
# The hub's adapters are handed everything that they need, and are tested to read none of these. A tool that runs
# beside them, or the next version of a library, may.
_LIBRARIES = re.compile(
    r"PG[A-Z]+|AWS_\w+|GOOGLE_\w+|GCLOUD_\w+|CLOUDSDK_\w+|AZURE_\w+|MYSQL_\w+|BOTO_\w+"
    r"|(HTTP|HTTPS|ALL|NO|FTP)_PROXY|SSLKEYLOGFILE|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE",
    re.IGNORECASE,
)
_HARMLESS = frozenset({"PGDATA", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_EXECUTION_ENV"})
_FILES = (".pgpass", ".pg_service.conf", ".aws/credentials", ".aws/config", ".my.cnf", ".netrc", ".boto")
_ADC = ".config/gcloud/application_default_credentials.json"


def leaks() -> Finding:
    """Name variables, and files of the home folder, that client libraries read on their own."""
    where, environment = _environment_of_the_worker()
    names = sorted(filter(_is_a_leak, environment))
    home = Path(environment.get("HOME", "/nonexistent"))
    files = [f"~/{name}" for name in (*_FILES, _ADC) if _is_there(home / name)]
    if not names and not files:
        return Finding(Level.OK, f"nothing in {where} that client libraries would read")
    found = ", ".join([*names, *files])
    return Finding(
        Level.WARNING, f"In {where}: {found}.",
        "Client libraries of databases and clouds take log-ins, proxies and keys of TLS from there unless told "
        "otherwise. The hub tells them otherwise; nothing else that runs there is told.",
        "Start the worker without them (unset, or `env -i` with the hub's own settings), as a user of its own.",
    )  # fmt: skip


def _is_a_leak(name: str) -> bool:
    return bool(_LIBRARIES.fullmatch(name)) and name.upper() not in _HARMLESS


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False


def _environment_of_the_worker() -> tuple[str, Mapping[str, str]]:
    """Return the environment of a worker on this host where that can be read, else this process's own."""
    try:
        names: Iterable[str] = Worker.objects.filter(seen_at__gte=outbox.now() - WORKER_SEEN_WITHIN).values_list(
            "name", flat=True
        )
        for name in names:
            environment = _environment_of(name)
            if environment is not None:
                return f"the environment of the worker {name}", environment
    except (DatabaseError, InterfaceError):
        pass
    return "this process's environment (no worker's can be read from here: run it where the worker runs)", os.environ


def _environment_of(worker: str) -> dict[str, str] | None:
    host, pid, _ = worker.rsplit("-", 2)
    if host != socket.gethostname()[:24]:
        return None
    try:
        if b"worker" not in Path(f"/proc/{int(pid)}/cmdline").read_bytes():
            return None
        entries = Path(f"/proc/{int(pid)}/environ").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return None
    pairs = (entry.decode(errors="replace").partition("=") for entry in entries if entry)
    return {name: value for name, _, value in pairs}
