"""Moves what webhooks had in clear under the name of a credential, in headers and in the URL's query, into sealed fields.

Nothing else about a destination changes, its version neither: a worker of the release before that still runs goes on
with the set-up that it holds. Of a destination whose credentials do not open nothing is moved: it delivers nothing, and
what it has stays for when they open again. Histories keep the names, and stars for the values.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from django.db import migrations
from django.utils import timezone

from destinations.crypto import SealError

# As the release of this migration judges names; a later one may judge otherwise, and moves what it finds itself.
_CREDENTIAL = re.compile(
    r"api[-_.]?key|token|secret|passw|cookie|credential|authori[sz]ation"
    r"|(^|[-_.])(auth|authentication|key|pwd|jwt|session|signature|sig)($|[-_.])",
    re.IGNORECASE,
)
_STARS = "****"


def _is_credential(name: str) -> bool:
    return _CREDENTIAL.search(name) is not None


def _headers(config: dict[str, Any]) -> dict[str, str]:
    headers = config.get("headers")
    return headers if isinstance(headers, dict) else {}


def _pairs(url: str) -> list[tuple[str, str, bool]]:
    """Return the parts of a URL's query: name, value, and whether it is a credential."""
    parts = [pair.partition("=") for pair in url.partition("#")[0].partition("?")[2].split("&")]
    return [
        (name if not sign else f"{name}{sign}", value, bool(value) and (_is_credential(name) or name.lower() == "code"))
        for name, sign, value in parts
    ]


def _with_query(url: str, parts: list[str]) -> str:
    plain, mark, fragment = url.partition("#")
    path = plain.partition("?")[0]
    return f"{path}{'?' if parts else ''}{'&'.join(parts)}{mark}{fragment}"


def _moved(config: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return a config without what is plainly a credential, and the sealed fields that this gives."""
    headers, url = _headers(config), str(config.get("url", ""))
    secret = {name: value for name, value in headers.items() if _is_credential(name)}
    query = {name.removesuffix("="): value for name, value, sealed in _pairs(url) if sealed}
    if len({name.lower() for name in query}) < sum(sealed for _, _, sealed in _pairs(url)):
        query = {}  # one name twice, which the field cannot hold
    new = dict(config)
    if secret:
        new["headers"] = {name: value for name, value in headers.items() if name not in secret}
        if not new["headers"]:
            del new["headers"]
    if query:
        new["url"] = _with_query(url, [name + value for name, value, sealed in _pairs(url) if not sealed])
    fields = {"secret_headers": secret, "secret_query": query}
    return new, {name: json.dumps(pairs) for name, pairs in fields.items() if pairs}


def _starred(config: dict[str, Any]) -> dict[str, Any]:
    """Return a config of a history with stars for credentials."""
    new = dict(config)
    if _headers(config):
        new["headers"] = {
            name: _STARS if _is_credential(name) else value for name, value in _headers(config).items()
        }
    url = str(config.get("url", ""))
    if any(sealed for _, _, sealed in _pairs(url)):
        new["url"] = _with_query(url, [name + (_STARS if sealed else value) for name, value, sealed in _pairs(url)])
    return new


def _webhooks(model: Any) -> Iterator[Any]:
    return model.objects.filter(type="webhook").iterator(chunk_size=200)


def _keep(row: Any, config: dict[str, Any], fields: dict[str, str]) -> None:
    try:
        credentials = dict(row.credentials)
    except SealError:
        return
    row.config = config
    if row.deleted_at is None:  # the credentials of those that are deleted were wiped
        row.credentials = {**credentials, **fields}
        noted = {name: {"changed_at": timezone.now().isoformat(), "by": ""} for name in fields}
        row.secrets_about = {**row.secrets_about, **noted}
    row.save(update_fields=["config", "credentials", "secrets_about"])


def seal(apps: Any, schema_editor: Any) -> None:
    """Move what is plainly a credential, and put stars for it into histories."""
    for row in _webhooks(apps.get_model("destinations", "Destination")):
        config, fields = _moved(row.config)
        if fields:
            _keep(row, config, fields)
    history = apps.get_model("destinations", "HistoricalDestination")
    for row in _webhooks(history):
        if (config := _starred(row.config)) != row.config:
            history.objects.filter(history_id=row.history_id).update(config=config)


class Migration(migrations.Migration):
    """Nothing is moved back: what is sealed stays so."""

    dependencies = [("destinations", "0005_api_keys")]

    operations = [migrations.RunPython(seal, migrations.RunPython.noop)]
