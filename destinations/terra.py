"""What a Terra body says of itself: pure functions over bytes.

Shapes: Terra's public OpenAPI file (tryterra/openapi) and docs.tryterra.co, *Event Types*.
Branch on ``type`` only: message texts vary by year.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

DATA_TYPES = (
    "activity", "sleep", "daily", "body", "nutrition", "menstruation", "hormone", "planned_workout",
    "health_observation", "athlete", "lab_report.completed", "lab_report.failed", "route",
)  # fmt: skip
USER_TYPES = (
    "auth", "auth_cancelled", "deauth", "access_revoked", "connection_error", "permission_change",
    "google_no_datasource", "user_reauth",
)  # fmt: skip
OTHER_TYPES = (
    "large_request_processing", "large_request_sending", "rate_limit_hit", "healthcheck", "s3_payload",
    "processing",
)  # fmt: skip
EVENT_TYPES = DATA_TYPES + USER_TYPES + OTHER_TYPES

# The user of the samples that a hub makes itself, and who that was before a user_reauth: nobody.
SAMPLE_USER, SAMPLE_USER_BEFORE = "hub-sample", "hub-sample-old"

# Terra's page, *Destinations*, "IP Whitelisting", and the one address of a later list.
TERRA_ADDRESSES = (
    "18.133.218.210", "18.169.82.189", "18.132.162.19", "18.130.218.186", "13.43.183.154",
    "3.11.208.36", "35.214.201.105", "35.214.230.71", "35.214.252.53", "35.214.229.114",
)  # fmt: skip


def is_sample_user(user_id: str) -> bool:
    """Tell whether a user id is of a hub's own samples."""
    return user_id in (SAMPLE_USER, SAMPLE_USER_BEFORE)


class InvalidPayload(ValueError):
    """A body that is no JSON object with a string ``type``; the message says what is wrong."""


@dataclass(frozen=True, slots=True)
class User:
    """The ``user`` object of a body. A field that is missing or of another kind is ``None``."""

    user_id: str
    provider: str | None
    reference_id: str | None
    scopes: str | None
    created_at: datetime | None


@dataclass(frozen=True, slots=True)
class Facts:
    """What the hub and its destinations need to know of one body."""

    type: str
    user: User | None
    version: str | None
    is_data: bool
    start_time: datetime | None  # the earliest item's
    end_time: datetime | None  # the latest item's
    event_id: str | None  # of a lab report, made by Terra
    # What the user's row becomes: active, deauth, access_revoked, connection_error; None: as it was.
    user_state: str | None
    old_user: User | None  # user_reauth only

    @property
    def user_id(self) -> str | None:
        """Return the id of the event's user."""
        return self.user.user_id if self.user else None

    @property
    def provider(self) -> str | None:
        """Return the wearable's provider, as Terra names it: ``GARMIN``."""
        return self.user.provider if self.user else None


@dataclass(frozen=True, slots=True)
class Summary:
    """The few fields of a body that an event is found by."""

    type: str
    user_id: str
    reference_id: str
    provider: str
    event_id: str
    old_user_id: str = ""  # user_reauth only: the id that was replaced


def parse(body: bytes) -> dict[str, Any]:
    """Parse a body strictly: UTF-8, JSON by RFC 8259, an object with a non-empty string ``type``.

    A name that stands twice in one object keeps its last value, as in most parsers.
    """
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise InvalidPayload(f"The body is not UTF-8: byte {error.start} does not fit.") from error
    value = _parse_text(text)
    if not isinstance(value, dict):
        raise InvalidPayload("The body is JSON, but not an object.")
    if not isinstance(value.get("type"), str) or not value["type"]:
        raise InvalidPayload("The body has no text in its field 'type'.")
    return value


def _parse_text(text: str) -> Any:
    try:
        return _loads(text)
    except json.JSONDecodeError as error:
        raise InvalidPayload(
            f"The body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}."
        ) from error
    except RecursionError as error:
        raise InvalidPayload("The body's arrays or objects are nested too deeply.") from error


def _refuse_constant(name: str) -> Any:
    raise InvalidPayload(f"The body is not JSON: {name} is no JSON value.")


# Made once: json.loads makes a decoder for each call.
_decode = json.JSONDecoder(parse_constant=_refuse_constant).decode
_decode_long = json.JSONDecoder(parse_constant=_refuse_constant, parse_int=float).decode


def _loads(text: str) -> Any:
    if text.startswith("\ufeff"):
        raise InvalidPayload("The body is not JSON: it starts with a byte order mark.")
    try:
        return _decode(text)
    except (json.JSONDecodeError, InvalidPayload):
        raise
    except ValueError:
        # A whole number of more than 4,300 digits: right JSON, and none of the fields we read.
        return _decode_long(text)


def summarize(body: bytes) -> Summary:
    """Return what an event is found by; raise ``InvalidPayload``."""
    value = parse(body)
    user = _user(value.get("user")) or _user(value.get("new_user"))
    reference = (user and user.reference_id) or _reference_outside_user(value)
    return Summary(
        type=value["type"],
        user_id=(user and user.user_id) or "",
        reference_id=reference or "",
        provider=(user and user.provider) or "",
        event_id=_lab_event_id(value) or "",
        old_user_id=_old_user_id(value) or "",
    )


def _old_user_id(value: Mapping[str, Any]) -> str | None:
    old = _user(value.get("old_user")) if value["type"] == "user_reauth" else None
    return old.user_id if old else None


def _reference_outside_user(value: Mapping[str, Any]) -> str | None:
    inner = value.get("data")
    lab = inner.get("reference_id") if isinstance(inner, dict) else None
    return _text(value.get("reference_id")) or _text(lab)


def _lab_event_id(value: Mapping[str, Any]) -> str | None:
    return _text(value.get("event_id")) if value["type"].startswith("lab_report.") else None


def read(body: bytes) -> Facts:
    """Return everything that destinations need of a body; raise ``InvalidPayload``."""
    value = parse(body)
    kind = value["type"]
    times = list(_times(value.get("data")))
    user = _user(value.get("user")) or _user(value.get("new_user"))
    return Facts(
        type=kind,
        user=user,
        version=_text(value.get("version")),
        is_data=is_data_type(kind),
        start_time=min((start for start, _ in times), default=None),
        end_time=max((end for _, end in times), default=None),
        event_id=_lab_event_id(value),
        user_state=_user_state(kind, value.get("status")),
        old_user=_user(value.get("old_user")) if kind == "user_reauth" else None,
    )


def is_data_type(kind: str) -> bool:
    """Tell whether events of this type carry data of a user, in contrast to news about one."""
    return kind in DATA_TYPES or kind.startswith("lab_report.")


def _user_state(kind: str, status: Any) -> str | None:
    if kind in ("deauth", "access_revoked", "connection_error"):
        return kind
    if is_data_type(kind) or kind == "user_reauth" or (kind == "auth" and status == "success"):
        return "active"
    return None


def _user(value: Any) -> User | None:
    if not isinstance(value, dict) or not _text(value.get("user_id")):
        return None
    return User(
        user_id=value["user_id"],
        provider=_text(value.get("provider")),
        reference_id=_text(value.get("reference_id")),
        scopes=_text(value.get("scopes")),
        created_at=_time(value.get("created_at")),
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _times(items: Any) -> Iterator[tuple[datetime, datetime]]:
    for item in items if isinstance(items, list) else []:
        if isinstance(item, dict):
            start, end = _span(item)
            if start:
                yield start, end or start


def _span(item: Mapping[str, Any]) -> tuple[datetime | None, datetime | None]:
    about = item.get("metadata")
    if isinstance(about, dict) and _time(about.get("start_time")):
        return _time(about["start_time"]), _time(about.get("end_time"))
    # hormone items have a timestamp, planned workouts a planned_date, and neither has metadata.
    moment = _time(item.get("timestamp")) or _time(item.get("planned_date"))
    return moment, moment


def _time(value: Any) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
