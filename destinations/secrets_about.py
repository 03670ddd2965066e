"""What may be told of a destination's secrets: whether one is set, when it was changed and by whom, and its end.

The end is told of long secrets that machines make, where the type says so (``option(tail=True)``): four of at
least twenty random characters help people to tell keys apart and nobody to guess one. Of passwords nothing is
told. Ends are read from the sealed credentials when somebody looks; what is kept in clear holds none of them.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.utils import timezone

from destinations.models import Destination
from destinations.rules import kind_of
from destinations.shown import relative
from destinations.specs import SpecField, spec_fields

LONG, TAIL = 20, 4
_STARS = "****"
_PREVIOUS, _PREVIOUS_UNTIL = "previous_signing_secret", "previous_valid_until"


def noted(about: Mapping[str, Any], sent: Mapping[str, Any], by: Any) -> dict[str, Any]:
    """Return what is kept of each secret after a change: ``sent`` has the new values, ``None`` for those taken away."""
    now = timezone.now().isoformat()
    kept = {name: entry for name, entry in about.items() if sent.get(name, "") is not None}
    changed = {name: {"changed_at": now, "by": who(by)} for name, value in sent.items() if value}
    return kept | changed


def who(by: Any) -> str:
    """Return the name of the user who did it; ``""`` where no user did."""
    return by.get_username() if hasattr(by, "get_username") else ""


def told(row: Destination, last_used_at: datetime | None = None) -> dict[str, str]:
    """Return one line for each credential that is set: ``Set, ends …4f2a, changed 12 May 2026 by ana.``

    ``last_used_at`` is when something was last delivered: with the secrets of now, where it is later than their
    change. Raises ``SealError`` where the stored credentials do not open.
    """
    lines = {
        field.name: _line(field, value, row.secrets_about.get(field.name, {}), last_used_at)
        for field, value in _stored_by_field(row)
        if value
    }
    before = _about_previous(row)
    return {name: f"{line} {before}" if before and name == "signing_secret" else line for name, line in lines.items()}


def _line(field: SpecField, value: str, about: Mapping[str, Any], last_used_at: datetime | None) -> str:
    facts = ", ".join(filter(None, field.about.facts(value).values())) if field.about.facts else ""
    end = end_of(field, value)
    changed_at = datetime.fromisoformat(about["changed_at"]) if about.get("changed_at") else None
    said = [f"Set: {facts}" if facts else "Set", f"ends …{end}" if end else ""]
    said.append(changed_text(changed_at, about.get("by", "")))
    used = last_used_at and changed_at and last_used_at > changed_at
    return ", ".join(filter(None, said)) + "." + (f" Last used {relative(last_used_at)}." if used else "")  # type: ignore[arg-type]  # used says that it is there


def changed_text(moment: datetime | None, by: str) -> str:
    """Return when and by whom something was changed, as far as that is known: ``changed 12 May 2026 by ana``."""
    return f"changed {moment:%-d %b %Y}{f' by {by}' if by else ''}" if moment else ""


def _about_previous(row: Destination) -> str:
    stored = row.credentials
    until = stored.get(_PREVIOUS_UNTIL)
    if not stored.get(_PREVIOUS) or not until or datetime.fromisoformat(until) <= timezone.now():
        return ""
    return f"The one before it signs too, for {relative(datetime.fromisoformat(until)).removeprefix('in ')} more."


def end_of(field: SpecField, value: str) -> str:
    """Return the end of a secret by which people tell it, or ``""`` where none may be told."""
    return tail_of(value) if field.about.tail else ""


def tail_of(value: str) -> str:
    """Return the last characters of what a machine made; nothing of what is short enough to be guessed from them."""
    return value[-TAIL:] if len(value) >= LONG else ""


def masked(value: str) -> str:
    """Return stars for what a machine made, with the end by which people tell it."""
    return f"{_STARS}{tail_of(value)}"


def masked_credentials(destination: Destination) -> dict[str, Any]:
    """Return ``<field>_masked`` of each credential: stars, with the end of a long key; ``None`` where it is not set.

    Where a field says what may be shown of it: ``has_<field>``, and that. Raises ``SealError`` where the
    stored credentials do not open.
    """
    shown: dict[str, Any] = {}
    for field, value in _stored_by_field(destination):
        shown |= _shown(field, value)
    return shown


def _shown(field: SpecField, value: str) -> dict[str, Any]:
    if field.about.facts is None:
        return {f"{field.name}_masked": f"{_STARS}{end_of(field, value)}" if value else None}
    return {f"has_{field.name}": bool(value), **field.about.facts(value)}


def _stored_by_field(destination: Destination) -> list[tuple[SpecField, str]]:
    stored = destination.credentials
    fields = spec_fields(kind_of(destination.type).credentials_spec)
    return [(field, str(stored.get(field.name) or "")) for field in fields]
