"""Keys are rotated, and no credential lies or shows anywhere in clear."""

import io
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings as django_settings
from django.core.management import CommandError, call_command
from django.db import connection

from destinations.crypto import SealError, generate_key
from destinations.models import Destination
from tests.hub import SECRET, Hub, on_postgres, own_hub, signature, until
from tests.services.postgres import find_binaries, hub_server
from tests.sink import Sink
from webhooks.models import Delivery, Source
from webhooks.receiving.sources import add_signing_secret, create_source

pytestmark = pytest.mark.django_db(transaction=True)

OLD, NEW = generate_key("old"), generate_key("new")
BODY = b'{"type":"daily"}'


def tokens() -> list[str]:
    """Return every sealed value as it lies in the database."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT signing FROM webhooks_source UNION ALL SELECT credentials FROM destinations_destination "
                       "UNION ALL SELECT link_secret FROM destinations_destination ORDER BY 1")  # fmt: skip
        return [row[0] for row in cursor.fetchall()]


def rotate_keys(*arguments: str) -> str:
    out = io.StringIO()
    call_command("rotate_keys", *arguments, stdout=out)
    return out.getvalue()


@pytest.fixture
def sealed_with_old(hub: Hub, settings: Any) -> Hub:
    settings.CREDENTIAL_KEYS = [OLD]
    Source.objects.all().delete()
    hub.source = create_source(slug="sealed-with-old", secret=SECRET)
    hub.webhook("http://127.0.0.1:8099/hook")
    return hub


def test_rotation_from_an_old_key_to_a_new_one(sealed_with_old: Hub, settings: Any) -> None:
    settings.CREDENTIAL_KEYS = [NEW, OLD]
    before = tokens()
    assert len(before) == 3
    dry = rotate_keys("--dry-run")
    assert "3 values would be sealed again under the key 'new'; 0 were sealed with it before." in dry
    assert tokens() == before
    done = rotate_keys()
    assert "3 values were sealed again under the key 'new'" in done
    assert "can be taken out of CREDENTIAL_KEYS" in done
    assert all(token.startswith("sealed:1:new:") for token in tokens())
    assert "0 values were sealed again under the key 'new'; 3 were sealed with it before." in rotate_keys()
    settings.CREDENTIAL_KEYS = [NEW]
    assert Source.objects.get().signing["secrets"][0]["secret"] == SECRET
    assert Destination.objects.get().credentials["signing_secret"] == SECRET
    assert Destination.objects.get().link_secret["key"]


def test_a_missing_key_fails_and_names_the_rows(sealed_with_old: Hub, settings: Any) -> None:
    settings.CREDENTIAL_KEYS = [NEW]
    before = tokens()
    with pytest.raises(CommandError) as error:
        rotate_keys()
    row = Destination.objects.get()
    named = (f"webhooks_source:{sealed_with_old.source.pk}:signing", f"destinations_destination:{row.pk}:credentials",
             f"destinations_destination:{row.pk}:link_secret")  # fmt: skip
    assert all(name in str(error.value) for name in named)
    assert "3 values do not open" in str(error.value)
    assert SECRET not in str(error.value)
    assert tokens() == before


def test_one_unreadable_row_does_not_hold_up_the_others(sealed_with_old: Hub, settings: Any) -> None:
    settings.CREDENTIAL_KEYS = [generate_key("lost")]
    lost = create_source(slug="lost", secret=SECRET)
    settings.CREDENTIAL_KEYS = [NEW, OLD]
    with pytest.raises(CommandError, match=f"1 values do not open .*webhooks_source:{lost.pk}:signing"):
        rotate_keys()
    assert [token.split(":")[2] for token in tokens()].count("new") == 3


def test_a_new_key_of_the_same_id_is_refused_before_anything_is_written(sealed_with_old: Hub, settings: Any) -> None:
    settings.CREDENTIAL_KEYS = [generate_key("old"), OLD]
    before = tokens()
    with pytest.raises(SealError, match="twice"):
        rotate_keys()
    assert tokens() == before


def dump() -> bytes:
    """Return the database as it lies on disk."""
    if not on_postgres():
        name = Path(django_settings.DATABASES["default"]["NAME"])
        return b"".join(path.read_bytes() for path in name.parent.glob(f"{name.name}*"))
    command = [str(find_binaries() / "pg_dump"), "--dbname", hub_server().dsn(connection.settings_dict["NAME"])]
    return subprocess.run(command, check=True, capture_output=True).stdout


def test_no_credential_lies_in_the_database_or_shows_in_a_log(transactional_db: None, tmp_path: Path) -> None:
    canaries = [f"canary{os.urandom(12).hex()}" for _ in range(6)]
    with Sink() as sink, own_hub(tmp_path, LOG_LEVEL="DEBUG") as hub:
        sink.behave("/fail", status=500, body=f"no: {' '.join(canaries[3:])}")
        add_signing_secret(hub.source, canaries[0])
        add_signing_secret(hub.source, canaries[1])
        for path, secret in (("/ok", canaries[2]), ("/fail", canaries[3])):
            more = {"secret_headers": {"X-Api-Key": canaries[4]}, "secret_query": {"key": canaries[5]}}
            hub.webhook(sink.url(path), path, credentials={"signing_secret": secret, **more})
        worker = hub.worker(LOG_LEVEL="DEBUG")
        assert hub.post(BODY, {"terra-signature": signature(BODY, canaries[1])}).status == 200
        assert hub.post(BODY, {"terra-signature": signature(BODY, "wrong-secret")}).status == 400
        until(lambda: Delivery.objects.filter(attempt_count__gt=0).count() == 2, what="both were tried")
        until(lambda: Delivery.objects.filter(status="delivered").exists(), what="one was delivered")
        worker.stop()
        assert hub.server.process
        shown = {"database": dump(), "server's log": hub.server.process.log.read_bytes(),
                 "worker's log": worker.log.read_bytes()}  # fmt: skip
    assert hub.source.slug.encode() in shown["database"]  # it is the right database
    for where, content in shown.items():
        for number, canary in enumerate(canaries):
            assert canary.encode() not in content, (where, number)
    for model, rows in (("webhooks.HistoricalSource", 3), ("destinations.HistoricalDestination", 2)):
        assert apps.get_model(model).objects.count() >= rows
