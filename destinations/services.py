"""The use cases of the control plane: make, change, delete, pause and check destinations.

Each write is one transaction that also raises the routing version and adds a history record,
which never holds a credential. Whatever needs the network is done before the transaction.
"""

import base64
import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from destinations import checking
from destinations.access.limits import refuse_beyond
from destinations.adapters.base import Limits, Step
from destinations.adapters_of import AdapterCache as AdapterCache
from destinations.adapters_of import Unusable as Unusable
from destinations.adapters_of import build_adapter as build_adapter
from destinations.adapters_of import config_of, make_adapter
from destinations.crypto import SealError
from destinations.identity import current_identity
from destinations.models import Destination
from destinations.notices import tell_disabled
from destinations.rules import (
    NAME_TAKEN,
    Errors,
    Kind,
    cleaned,
    credentials_to_send_again,
    judge,
    kind_of,
    settings_errors,
    together,
    without_blanks,
)
from destinations.rules import Refused as Refused
from destinations.rules import look_up_ahead as look_up_ahead
from destinations.rules import register_lookup as register_lookup
from destinations.secrets_about import masked_credentials as masked_credentials
from destinations.secrets_about import noted
from destinations.signals import destination_deleted
from destinations.specs import load, spec_fields
from destinations.writing import changing, free, present, save, unique_name

# What every type has besides config and credentials.
SETTINGS = (
    "name", "event_types", "sources", "schedule", "timeout_s", "concurrency", "disable_after_hours", "active", "paused",
)  # fmt: skip
_HEALTHY = {
    "consecutive_failures": 0, "failing_since": None, "paused_until": None, "pause_reason": "", "warned_percent": 0,
}  # fmt: skip
_UNCHECKED: dict[str, Any] = {"checked_at": None, "check_passed": None, "check_steps": [], "proven_at": None}
NAME_LENGTH = 100
SIGNING_SECRET = "signing_secret"  # noqa: S105  # the field's name


@dataclass(frozen=True, slots=True)
class Created:
    """A new destination, and the secrets that the hub made for it: shown once, never again."""

    destination: Destination
    secrets: dict[str, str]


def create_destination(*, by: Any = None, **values: Any) -> Created:
    """Make a destination; raise ``Refused`` with what to change, per field. ``values`` are those of ``prepared``."""
    created = prepared(by=by, **values)
    keep(created, by)
    return created


def prepared(
    *,
    type: str,
    name: str,
    config: dict[str, Any],
    credentials: dict[str, Any],
    by: Any = None,
    id: UUID | None = None,
    **settings: Any,
) -> Created:
    """Return a destination that can be kept, with the secrets made for it; raise ``Refused``.

    A blank field takes its default; a secret that the hub can make and that is blank is made.
    ``settings`` are the names in ``SETTINGS``. ``by`` is the user of the history record. ``id`` is
    one that the hub gave out before (``destinations.drafts``), for nobody else to choose.
    """
    refuse_beyond(by, settings.get("sources", []))
    kind = kind_of(type)
    config = without_blanks(cleaned(kind.config_spec, config, "config"))
    credentials = without_blanks(cleaned(kind.credentials_spec, credentials, "credentials"))
    secrets = _made_secrets(kind, credentials)
    row = Destination(type=type, config=config, **({"id": free(id)} if id else {}))
    _put(row, {"credentials": credentials | secrets, "link_secret": _new_link_secret()})
    row.secrets_about = noted({}, credentials | secrets, by)
    together(
        lambda: _apply_settings(row, {"name": name, **settings}, by),
        lambda: judge(kind, config, credentials | secrets),
    )
    return Created(row, secrets)


def keep(created: Created, by: Any = None) -> None:
    """Write a new destination; raise ``Refused`` where somebody else took its name meanwhile."""
    with unique_name(created.destination), transaction.atomic():
        save(created.destination, by, "created")


def update_destination(destination: Destination, *, by: Any = None, **changes: Any) -> Destination:
    """Change a destination and return its new state; raise ``Refused``.

    ``config`` is merged: a field that is not named stays, an empty one goes back to its default.
    ``credentials`` too: a blank one stays, ``None`` takes it away. Secrets must come again where a
    field that says where they are sent changes. ``type`` is fixed; the other names are those in
    ``SETTINGS``. Failures are forgotten and the breaker is closed, so that deliveries try again.
    """
    row = present(destination)
    if changes.pop("type", row.type) != row.type:
        raise Refused({"type": ["The type of a destination is fixed. Make a new destination."]}, code="type_is_fixed")
    if "sources" in changes:
        refuse_beyond(by, changes["sources"])
    reason = _reason(changes)
    settings = {name: value for name, value in changes.items() if name not in ("config", "credentials")}
    values = together(lambda: _merged(row, changes), lambda: _apply_settings(row, settings, by))
    if "credentials" in values:
        values["secrets_about"] = noted(row.secrets_about, changes["credentials"], by)
    with unique_name(row), changing(row, by, reason) as fresh:
        if fresh.version != row.version:
            raise Refused({"": ["It was changed by somebody else meanwhile. Load it again."]}, code="conflict")
        _put(fresh, values)
    return fresh


def delete_destination(destination: Destination, by: Any = None) -> None:
    """Delete a destination: its secrets are wiped, its name is free, its pending deliveries are cancelled.

    The row stays, because deliveries and their attempts refer to it.
    """
    with changing(destination, by, "deleted") as row:
        row.deleted_at = timezone.now()
        row.active, row.disabled_reason = False, "Deleted."
        row.credentials, row.link_secret, row.secrets_about = {}, {}, {}
        suffix = f" (deleted {row.pk})"
        row.name = row.name[: NAME_LENGTH - len(suffix)] + suffix
        transaction.on_commit(lambda: destination_deleted.send_robust(Destination, destination_id=row.pk))


def pause(destination: Destination, by: Any = None) -> Destination:
    """Send nothing more until ``resume``; deliveries collect, none is lost."""
    with changing(destination, by, "paused") as row:
        row.paused = True
    return row


def resume(destination: Destination, by: Any = None) -> Destination:
    """End a pause, also one that the hub made by itself; what is due is sent at once."""
    with changing(destination, by, "resumed") as row:
        row.paused = False
        _put(row, _HEALTHY)
    return row


def enable(destination: Destination, by: Any = None) -> Destination:
    """Take new events again; deliveries that were kept while it was disabled go out too."""
    with changing(destination, by, "enabled") as row:
        row.active, row.disabled_reason = True, ""
        _put(row, _HEALTHY)
    return row


def disable(destination: Destination, by: Any = None, reason: str = "") -> Destination:
    """Take no new events and send nothing; deliveries that wait are kept. Twice does no more than once."""
    with changing(destination, by, f"disabled: {reason}" if reason else "disabled", deleted_too=True) as row:
        if row.active:
            row.active, row.disabled_reason = False, reason[:200] or _disabled_by(by)
            if by is None and reason:  # nobody did it who would know
                tell_disabled(row)
    return row


def rotate_signing_secret(destination: Destination, grace_s: int = 24 * 3600, by: Any = None) -> str:
    """Make a new signing secret and return it: shown once. Both sign for ``grace_s`` more seconds."""
    if not has_signing_secret(kind_of(destination.type)):
        raise Refused({"": ["Destinations of this type have no signing secret."]}, code="no_signing_secret")
    if not 0 <= grace_s <= 30 * 24 * 3600:
        raise Refused({"grace_s": ["Must be from 0 to 2592000 seconds (30 days)."]})
    secret = new_secret()
    ends = (timezone.now() + timedelta(seconds=grace_s)).isoformat()
    with changing(destination, by, f"credentials changed: {SIGNING_SECRET}") as row:
        held = _opened(row)
        previous = held.pop(SIGNING_SECRET, "")
        kept = {"previous_signing_secret": previous, "previous_valid_until": ends} if grace_s and previous else {}
        others = {name: value for name, value in held.items() if not name.startswith("previous_")}
        row.credentials = {**others, **kept, SIGNING_SECRET: secret}
        row.secrets_about = noted(row.secrets_about, {SIGNING_SECRET: secret}, by)
    return secret


def _opened(row: Destination) -> dict[str, Any]:
    try:
        return dict(row.credentials)
    except SealError as error:
        raise Refused({"": [str(error)]}, code="unusable") from error


def revoke_payload_links(destination: Destination, by: Any = None) -> Destination:
    """Make every payload link that this destination was given before open nothing."""
    with changing(destination, by, "payload links revoked") as row:
        row.link_secret = _new_link_secret()
    return row


# --- looking ----------------------------------------------------------------------------------
def check_destination(
    destination: Destination, tell: Callable[[Step], None] | None = None, noted: bool = True
) -> list[Step]:
    """Try the stored set-up step by step, for at most 15 s, and keep the result on the row where it is to be noted.

    ``tell`` is called with each step as soon as it is done.
    """
    row = present(destination)
    try:
        adapter, secrets = build_adapter(row, checking.BUDGET_S), _secrets(row.type, row.credentials)
        steps = checking.run_check(adapter, secrets, checking.BUDGET_S, tell)
    except Unusable as error:
        raise Refused({"": [str(error)]}, code="unusable") from error
    result = {
        "checked_at": timezone.now(),
        "check_passed": checking.passed(steps),
        "check_steps": [checking.as_row(step) for step in steps],
    }
    # Not on a row that was changed meanwhile: the result is not about that set-up.
    if noted:
        Destination.objects.filter(pk=row.pk, version=row.version).update(**result)
    _put(destination, result)
    return steps


def check_draft(type: str, config: dict[str, Any], credentials: dict[str, Any], destination_id: str = "") -> list[Step]:
    """Try a set-up that is not saved, for at most 15 s; raise ``Refused`` where it could not be saved.

    ``destination_id`` is the one that it is going to have: a role's external id is made from it.
    """
    kind = kind_of(type)
    config = without_blanks(cleaned(kind.config_spec, config, "config"))
    credentials = without_blanks(cleaned(kind.credentials_spec, credentials, "credentials"))
    credentials |= _made_secrets(kind, credentials)
    judge(kind, config, credentials)
    adapter = make_adapter(
        kind,
        load(kind.config_spec, config),
        load(kind.credentials_spec, credentials),
        Limits(timeout_s=checking.BUDGET_S),
        destination_id,
    )
    return checking.run_check(adapter, _secrets(type, credentials))


def setup_text(destination: Destination) -> str:
    """Return what the operator pastes on the other side, filled in; raise ``Unusable``."""
    return kind_of(destination.type).setup_for(config_of(destination), current_identity(str(destination.pk)))


def target_of(destination: Destination) -> str:
    """Return where deliveries go, in one line without secrets; ``""`` where that cannot be told."""
    try:
        adapter = build_adapter(destination)
    except Unusable:
        return ""
    try:
        return adapter.target()
    finally:
        adapter.close()


def has_signing_secret(kind: Kind) -> bool:
    """Tell whether destinations of a type sign what they send."""
    return any(field.name == SIGNING_SECRET for field in spec_fields(kind.credentials_spec))


# --- secrets ------------------------------------------------------------------------------------
def new_secret() -> str:
    """Return a new signing secret: ``whsec_`` and base64 of 32 random bytes.

    Standard Webhooks takes the decoded bytes as the key (24 to 64 of them), Terra's scheme the
    whole text, so one secret serves receivers of both kinds.
    https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
    """
    return "whsec_" + base64.b64encode(os.urandom(32)).decode()


def _made_secrets(kind: Kind, given: Mapping[str, Any]) -> dict[str, str]:
    fields = spec_fields(kind.credentials_spec)
    return {field.name: new_secret() for field in fields if field.about.generated and not given.get(field.name)}


def _new_link_secret() -> dict[str, str]:
    return {"key": base64.b64encode(os.urandom(32)).decode()}


def _secrets(type_name: str, credentials: Mapping[str, Any]) -> dict[str, Any]:
    shown = {field.name for field in spec_fields(kind_of(type_name).credentials_spec) if not field.about.secret}
    return {name: value for name, value in credentials.items() if name not in shown}


# --- changes ------------------------------------------------------------------------------------
def _merged(row: Destination, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns that a change of config and credentials gives; raise ``Refused``."""
    if "config" not in changes and "credentials" not in changes:
        return {}
    kind = kind_of(row.type)
    sent = cleaned(kind.credentials_spec, changes.get("credentials", {}), "credentials")
    sent = {name: value for name, value in sent.items() if value != ""}
    stored = _stored_credentials(row)
    new = without_blanks({**row.config, **cleaned(kind.config_spec, changes.get("config", {}), "config")})
    errors = credentials_to_send_again(kind, row.config, new, stored, sent)
    if errors:
        raise Refused(errors, code="credentials_needed", hint="A stored secret is never sent to a new address.")
    names = {field.name for field in spec_fields(kind.credentials_spec)}
    held = {name: value for name, value in stored.items() if name in names}
    judge(kind, new, without_blanks({**held, **sent}))
    columns = {"config": new, **_UNCHECKED}
    return columns | ({"credentials": without_blanks({**stored, **sent})} if sent else {})


def _stored_credentials(row: Destination) -> Mapping[str, Any]:
    """Return what is stored; nothing where it does not open, so that sending all of it again mends it."""
    try:
        credentials: Mapping[str, Any] = row.credentials
    except SealError:
        return {}
    return credentials


def _apply_settings(row: Destination, settings: Mapping[str, Any], by: Any) -> dict[str, Any]:
    """Put settings on ``row`` and return the columns that this gives; raise ``Refused``."""
    errors: Errors = {
        name: [f"Unknown setting. Known settings: {', '.join(SETTINGS)}."] for name in settings if name not in SETTINGS
    }
    columns = {**{name: settings[name] for name in SETTINGS if name in settings}, **_HEALTHY}
    if "active" in settings and settings["active"] != row.active:
        columns["disabled_reason"] = "" if settings["active"] else _disabled_by(by)
    _put(row, columns)
    errors |= settings_errors(columns)
    errors = _model_errors(row, but=errors) | errors
    if errors:
        raise Refused(errors)
    return {name: getattr(row, name) for name in columns}


def _model_errors(row: Destination, but: Collection[str]) -> Errors:
    try:
        row.full_clean(exclude={"type", "config", "credentials", "link_secret", *but})
    except ValidationError as error:
        return {name: [_text(item) for item in items] for name, items in error.error_dict.items()}
    return {}


def _text(error: ValidationError) -> str:
    return NAME_TAKEN if error.code == "unique" else " ".join(error.messages)


def _disabled_by(by: Any) -> str:
    return f"Disabled by {by}."[:200] if by else ""


def _put(row: Destination, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        setattr(row, name, value)


def _reason(changes: Mapping[str, Any]) -> str:
    """Say what a change is about, by names and never by values."""
    names = [name for name in changes if name != "credentials"]
    given = changes.get("credentials")
    sent = [name for name, value in given.items() if value != ""] if isinstance(given, Mapping) else []
    texts = [f"credentials changed: {', '.join(sent)}"] if sent else []
    texts += [f"changed: {', '.join(names)}"] if names else []
    return "; ".join(texts) or "saved"
