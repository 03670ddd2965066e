"""What is told of secrets: enough to tell which one is set, since when and by whom, and never the secret."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.core import serializers as dump

from destinations import services
from destinations.models import Destination
from destinations.registry import adapter_classes
from destinations.secrets_about import LONG, told
from destinations.specs import spec_fields
from tests.admin_support import Person
from tests.api_support import Api, make_database, make_destination, make_user, stored
from webhooks.models import Source
from webhooks.receiving import sources

pytestmark = pytest.mark.django_db

KEY = "sk_live_CANARY-4f2a-9d1c-77e0"


@pytest.fixture(autouse=True)
def _one_day() -> Iterator[None]:
    """A test that names the day begins at noon: it must not go on past midnight."""
    with time_machine.travel(datetime.now(UTC).replace(hour=12)):
        yield


def today() -> str:
    return f"{datetime.now(UTC):%-d %b %Y}"


def hook(token: str, **more: Any) -> Destination:
    return make_destination(
        config={"url": "http://127.0.0.1:18999/hook", "auth": "bearer"}, credentials={"token": token}, **more
    )


def test_a_long_key_is_told_by_its_end_and_a_password_never_is() -> None:
    ana = make_user()
    long, short = hook(KEY, by=ana, name="long"), hook("short-token-77e0", by=ana, name="short")
    database = make_database(password="a-very-long-password-of-a-person-77e0")

    assert told(stored(long))["token"] == f"Set, ends …77e0, changed {today()} by {ana.username}."
    assert told(stored(short))["token"] == f"Set, changed {today()} by {ana.username}."
    assert told(stored(database))["password"] == f"Set, changed {today()}."
    assert services.masked_credentials(stored(database)) == {"password_masked": "****"}


def test_no_types_password_is_told_by_its_end() -> None:
    told_by_end = {
        f"{kind.type}.{field.name}"
        for kind in adapter_classes()
        for field in spec_fields(kind.credentials_spec)
        if field.about.tail
    }
    assert not [name for name in told_by_end if "password" in name or "user" in name]
    assert "webhook.signing_secret" in told_by_end
    assert LONG >= 20


def test_each_secret_has_its_own_time_and_name() -> None:
    ana, ben = make_user(), make_user()
    row = hook(KEY, by=ana)
    about = {name: {**entry, "changed_at": "2026-05-12T06:00:00+00:00"} for name, entry in row.secrets_about.items()}
    Destination.objects.update(secrets_about=about)

    services.update_destination(stored(row), by=ben, credentials={"token": "another-long-token-of-a-machine-0a1b"})

    lines = told(stored(row))
    assert lines["token"] == f"Set, ends …0a1b, changed {today()} by {ben.username}."
    assert lines["signing_secret"].endswith(f"changed 12 May 2026 by {ana.username}.")
    services.update_destination(stored(row), by=ben, credentials={"token": ""}, timeout_s=5)  # blank: it stays
    services.update_destination(stored(row), by=ben, name="renamed")
    assert told(stored(row)) == lines


def test_a_secret_that_is_taken_away_is_told_of_no_more() -> None:
    row = hook(KEY)
    services.update_destination(row, config={"auth": "none"}, credentials={"token": None})

    assert "token" not in told(stored(row))
    assert "token" not in stored(row).secrets_about
    services.delete_destination(stored(row))
    assert Destination.objects.get().secrets_about == {}


def test_a_rotated_secret_says_how_long_the_one_before_still_signs() -> None:
    ana = make_user()
    row = make_destination()

    secret = services.rotate_signing_secret(row, 3600, by=ana)

    line = told(stored(row))["signing_secret"]
    assert line.startswith(
        f"Set, ends …{secret[-4:]}, changed {today()} by {ana.username}. The one before it signs too"
    )
    services.rotate_signing_secret(stored(row), 0, by=ana)
    assert "before" not in told(stored(row))["signing_secret"]


def test_when_it_was_last_used_is_said_of_the_secret_of_now_only() -> None:
    row, now = stored(hook(KEY)), datetime.now(UTC)
    row.secrets_about["token"]["changed_at"] = (now - timedelta(hours=1)).isoformat()

    assert told(row, now - timedelta(minutes=3))["token"].endswith(" Last used 3 minutes ago.")
    assert "Last used" not in told(row, now - timedelta(hours=2))["token"]
    assert "Last used" not in told(row)["token"]


def test_a_row_of_before_says_that_it_is_set() -> None:
    row = hook(KEY)
    Destination.objects.update(secrets_about={})

    assert told(stored(row))["token"] == "Set, ends …77e0."


def test_the_form_says_it_beside_the_field_and_never_the_secret() -> None:
    ana = Person()
    row = hook(KEY, by=ana.user)

    page = ana.look(row)

    assert f"Set, ends …77e0, changed {today()} by {ana.user.username}. Leave it empty to keep it" in page.text
    assert "CANARY" not in page.source
    viewer = Person("destinations.view_destination")
    assert "Set, ends …77e0" in viewer.look(row).text
    assert "CANARY" not in viewer.look(row).source


def test_nothing_of_a_secret_is_kept_in_clear_or_in_history() -> None:
    row = hook(KEY, by=make_user())
    services.update_destination(stored(row), credentials={"token": f"{KEY}-2"}, timeout_s=5)

    rows = [*Destination.objects.all(), *Destination.history.all()]
    kept = dump.serialize("json", rows)

    assert "CANARY" not in kept
    for end in ("77e0", "e0-2"):
        assert end not in json.dumps([one.secrets_about for one in Destination.objects.all()])
    assert not hasattr(Destination.history.first(), "secrets_about")
    shown = Api(superuser=True).get(f"destinations/{row.pk}")
    assert "secrets_about" not in shown
    assert "CANARY" not in json.dumps(shown)


def test_a_sources_secrets_are_told_in_the_same_words() -> None:
    ana = Person()
    source = sources.create_source(slug="main", secret=KEY, by=ana.user)
    sources.add_signing_secret(source, "another-long-signing-secret-0a1b", by=ana.user)

    page = ana.look(source)

    assert f"Set, ends …0a1b, changed {today()} by {ana.user.username}. Current." in page.text
    assert f"Set, ends …77e0, changed {today()} by {ana.user.username}. Live until" in page.text
    assert "CANARY" not in page.source
    assert "changed" in page.text


def test_a_sources_secret_of_before_and_a_short_one_are_told_of_without_their_end() -> None:
    source = sources.create_source(slug="old", secret="12345678")
    source.signing = {"secrets": [{"secret": "short-secret", "not_after": None}]}
    source.save()

    assert [one["said"] for one in sources.signing_secrets_summary(Source.objects.get())] == ["Set."]
    assert sources.as_live(Source.objects.get()).secrets[0].value == b"short-secret"


def test_a_name_that_is_html_ends_as_text() -> None:
    ana = Person()
    ana.user.username = "<img src=x onerror=alert(1)>"
    ana.user.save()
    row = hook(KEY, by=ana.user)

    assert "<img src=x" not in ana.look(row).source
