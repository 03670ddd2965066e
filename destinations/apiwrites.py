"""How a write is carried out: once per ``Idempotency-Key``, on trial (``dry_run``), for one version (``If-Match``).

Every view has it from ``destinations.apibase``.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from rest_framework import exceptions
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from destinations.access import idempotency
from destinations.access.actors import principal_of
from destinations.dryrun import tried_out
from destinations.problems import KeyInUse
from destinations.rules import addresses_remembered

READS = ("GET", "HEAD", "OPTIONS")
# Members that hold what is shown once. A trial has none: what it made is gone.
SHOWN_ONCE = frozenset({"signing_secret", "key", "secret"})
_KEPT_HEADERS = ("ETag", "Location")
_IDEMPOTENCY_KEY, _IF_MATCH, _IF_NONE_MATCH = "Idempotency-Key", "If-Match", "If-None-Match"
_TAG = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
_TAGS = re.compile(rf"[ \t]*(?:\*|{_TAG}(?:[ \t]*,[ \t]*{_TAG})*)[ \t]*")
_VERSION = re.compile(r'"(\d{1,18})(?:-[0-9a-f]+)?"')

Run = Callable[[], Response]


# --- dry_run ---------------------------------------------------------------------------------------
def wants_dry_run(request: Request) -> bool:
    """Tell whether a write is on trial; raise ``ValidationError`` for a value that says neither."""
    text = request.query_params.get("dry_run")
    if request.method in READS or text is None:
        return False
    if text not in ("true", "false"):
        raise exceptions.ValidationError({"dry_run": ["Must be true or false."]})
    return text == "true"


def on_trial(run: Run) -> Response:
    """Carry out a write and roll it back: what would happen after the commit does not happen."""
    with tried_out(dry_run=True):
        return run()


def _lasting(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return one row without what is shown once."""
    return {name: value for name, value in row.items() if name not in SHOWN_ONCE}


def as_on_trial(data: Any) -> Any:
    """Return an answer, of one row or of several in ``data``, without what is shown once and without masks of it."""
    if not isinstance(data, dict):
        return data
    rows, stars = data.get("data"), data.get("credentials")
    if isinstance(rows, list):
        data = {**data, "data": [as_on_trial(row) for row in rows]}
    if isinstance(stars, dict):
        gone = {f"{name}_masked" for name in SHOWN_ONCE & data.keys()}
        data = {**data, "credentials": {name: None if name in gone else one for name, one in stars.items()}}
    return _lasting(data)


# --- Idempotency-Key -------------------------------------------------------------------------------
def idempotency_key(request: Request) -> str | None:
    """Return the ``Idempotency-Key`` of a POST; raise ``ValidationError`` for what cannot be one."""
    key = request.headers.get(_IDEMPOTENCY_KEY)
    if request.method != "POST" or key is None:
        return None
    if not idempotency.is_key(key):
        longest = idempotency.LONGEST_KEY
        raise exceptions.ValidationError({_IDEMPOTENCY_KEY: [f"Must be 1 to {longest} printable ASCII characters."]})
    return key


def once(request: Request, key: str, run: Run, ahead: Callable[[], None], rolls_back: bool) -> Response:
    """Carry out a request, or answer again what it was answered before under the same key."""
    asked = _asked(request, key)
    before = idempotency.answer_of_before(asked)
    if before:
        return _again(before)
    carry_out = idempotency.together if rolls_back else idempotency.apart
    ahead()
    try:
        answer: Response = carry_out(asked, run, _kept)
    except KeyInUse:  # a twin at the same moment; where it is done already, there is its answer
        before = idempotency.answer_of_before(asked)
        if before is None:
            raise
        return _again(before)
    return answer


def _asked(request: Request, key: str) -> idempotency.Asked:
    meta, body = request.META, request._request.body
    made = idempotency.fingerprint_of(str(request.method), request.path, meta.get("QUERY_STRING", ""), body)
    return idempotency.Asked(principal_of(request.user), key, made)


def _kept(answer: Any) -> idempotency.Kept | None:
    if not isinstance(answer, Response):
        return None  # a stream is nobody's to keep
    headers = {name: answer[name] for name in _KEPT_HEADERS if name in answer}
    return idempotency.Kept(answer.status_code, _text(answer.data), headers)


def _again(kept: idempotency.Kept) -> Response:
    data = json.loads(kept.body) if kept.body else None
    return Response(data, status=kept.status, headers={**kept.headers, "Idempotent-Replayed": "true"})


def _text(data: Any) -> str:
    return JSONRenderer().render(data).decode()


# --- ETag --------------------------------------------------------------------------------------------
def tag_of(data: dict[str, Any]) -> str:
    """Return the ``ETag`` of a destination: its version, and a hash of the rest, which changes without a new version.

    ``If-Match`` looks at the version alone: health that changed meanwhile is no conflict.
    """
    digest = hashlib.sha256(_text(_lasting(data)).encode()).hexdigest()[:16]
    return f'"{data["version"]}-{digest}"'


def expected_versions(request: Request) -> frozenset[int] | None:
    """Return the versions that ``If-Match`` allows; ``None``: any. Weak tags match nothing, as RFC 9110 says."""
    tags = _tags(request, _IF_MATCH)
    if tags is None or tags == ["*"]:
        return None
    found = map(_VERSION.fullmatch, tags)
    return frozenset(int(match[1]) for match in found if match)


def known_tags(request: Request) -> list[str]:
    """Return the tags that ``If-None-Match`` names: answers that the caller has."""
    return [one.removeprefix("W/") for one in _tags(request, _IF_NONE_MATCH) or ()]


def _tags(request: Request, header: str) -> list[str] | None:
    text = request.headers.get(header)
    if text is None:
        return None
    if not _TAGS.fullmatch(text):
        raise exceptions.ValidationError({header: ['Must be * or entity tags in quotes, such as "3".']})
    return ["*"] if text.strip() == "*" else re.findall(_TAG, text)


def carried_out(request: Request, run: Run, *, ahead: Callable[[], None], dry_run: bool, rolls_back: bool) -> Response:
    """Carry out a request as its headers and parameters want it; ``ahead`` is called before a transaction begins."""
    if request.method in READS:
        return run()
    key = idempotency_key(request)
    with addresses_remembered():
        if not dry_run:
            return run() if key is None else once(request, key, run, ahead, rolls_back)
        ahead()
        return on_trial(run) if rolls_back else run()  # what cannot be rolled back looks at ``dry_run`` itself
