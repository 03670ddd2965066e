"""Files that no event names are found and deleted, in each kind of store; whatever else lies there is left alone."""

import json
import os
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.db import connection

from terra_hub.payload_store import file_store, gcs_store
from tests.api_support import id_at, make_event
from tests.keeping.s3 import Bucket
from tests.retention.support import all_day, days_ago, mark, pruned
from tests.services import provide
from tests.services.gcs import gcs_service
from tests.services.seaweedfs import seaweed_server
from webhooks.keeping.retention import orphans, owner
from webhooks.keeping.retention.chore import Retention
from webhooks.keeping.stores.base import PayloadStore
from webhooks.models import Event, Payload, RetentionMark

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.databaseless]

FOREIGN = ("notes.txt", "2026/03/12/notes.json", "other/2026/03/12/" + str(uuid.uuid4()) + ".json")


def use_files(settings: Any, folder: Path) -> None:
    settings.STORAGES = settings.STORAGES | {"payloads": file_store(str(folder))}


def use_s3(settings: Any, folder: Path) -> None:
    server = provide(seaweed_server)
    Bucket(server, server.create_bucket()).use(settings)


def use_gcs(settings: Any, folder: Path) -> None:
    gcs = provide(gcs_service)
    options = {"bucket": gcs.make_bucket(), "prefix": f"hub-{uuid.uuid4().hex[:12]}", "endpoint": gcs.api}
    settings.STORAGES = settings.STORAGES | {"payloads": gcs_store(key=json.dumps(gcs.make_key()), **options)}


@pytest.fixture(params=[use_files, use_s3, use_gcs], ids=["files", "s3", "gcs"])
def store(request: pytest.FixtureRequest, settings: Any, tmp_path: Path) -> PayloadStore:
    """An empty store of the test's own."""
    request.param(settings, tmp_path / "payloads")
    return cast(PayloadStore, storages["payloads"])


@pytest.fixture
def files(settings: Any, tmp_path: Path) -> PayloadStore:
    use_files(settings, tmp_path / "payloads")
    return cast(PayloadStore, storages["payloads"])


def put(store: PayloadStore, name: str) -> str:
    return store.save(name, ContentFile(b"{}"))


def name_of(key: UUID, at: datetime) -> str:
    return f"{at:%Y/%m/%d}/{key}.json"


def orphan(store: PayloadStore, days: float) -> str:
    at = days_ago(days)
    return put(store, name_of(id_at(at), at))


def kept(store: PayloadStore, days: float) -> str:
    """Make an event whose body lies in the store."""
    at = days_ago(days)
    event = make_event(at)
    name = put(store, name_of(event.pk, at))
    Payload.objects.filter(event=event).update(body=None, store_name=name)
    return name


def all_names(store: PayloadStore, most: int = 1000) -> list[str]:
    found: list[str] = []
    after, last = "", False
    while not last:
        part = store.names(after, most)
        found, after, last = found + part.names, part.after, part.last
    return found


def there(store: PayloadStore, names: Sequence[str]) -> list[str]:
    found = []
    for name in names:
        try:
            store.open(name).close()
        except FileNotFoundError:
            continue
        found.append(name)
    return found


def test_a_store_is_listed_in_parts_in_the_order_of_names(store: PayloadStore) -> None:
    names = sorted(orphan(store, days) for days in (400, 300.2, 300.1, 300, 31, 3, 2.9, 0))
    for name in FOREIGN:
        put(store, name)
    assert [all_names(store, most) for most in (1, 2, 3, 1000)] == [names] * 4


def test_orphans_are_deleted_a_day_later_and_nothing_else(store: PayloadStore) -> None:
    old = [orphan(store, days) for days in (40, 2, 1.1)]
    young = [orphan(store, 0.9), orphan(store, 0)]
    held = [kept(store, days) for days in (20, 2)]
    for name in FOREIGN:
        put(store, name)
    all_day()
    assert there(store, old) == []
    assert there(store, [*young, *held, *FOREIGN]) == [*young, *held, *FOREIGN]
    assert mark("orphans").removed == 3


def test_files_go_behind_their_rows_and_what_a_crash_leaves_is_swept(
    files: PayloadStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = kept(files, 33), kept(files, 32)
    assert pruned("payloads", most=1).removed.rows == 1
    assert there(files, [first, second]) == [second]
    monkeypatch.setattr("webhooks.keeping.retention.steps.discard_bodies", lambda names: None)  # killed in between
    assert pruned("payloads").removed.rows == 1
    monkeypatch.undo()
    assert there(files, [second]) == [second]
    assert not pruned("orphans").removed.files  # the store is only claimed yet
    assert pruned("orphans").removed.files == [second]
    assert there(files, [second]) == []


def test_the_file_of_a_payload_that_is_removed_with_its_event_goes_too(files: PayloadStore) -> None:
    name = kept(files, 500)
    Retention("me")
    assert pruned("events").removed.files == [name]
    assert there(files, [name]) == []
    assert not Event.objects.exists()


def test_a_store_that_is_mostly_somebody_elses_is_left_alone_and_said(
    files: PayloadStore, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orphans, "TOO_MANY", 3)
    theirs, ours = [orphan(files, 5 + number) for number in range(3)], [kept(files, 4), kept(files, 3)]
    running = all_day()
    assert there(files, theirs) == theirs
    assert "3 of 5 files" in mark("orphans").problem
    assert "RETENTION_SWEEP=all" in mark("orphans").problem

    settings.RETENTION_SWEEP = "all"
    running._turns["orphans"].ready_at = 0.0
    all_day(running=running)
    assert (there(files, theirs), there(files, ours)) == ([], ours)
    assert mark("orphans").problem == ""


@pytest.mark.parametrize(("theirs", "ours"), [(90, 1), (100, 150)])
def test_another_hubs_files_stay_beside_many_of_ones_own_and_where_both_have_few(
    files: PayloadStore, theirs: int, ours: int
) -> None:
    names = [orphan(files, 5 + number / 1000) for number in range(theirs)]
    for number in range(ours):
        kept(files, 4 + number / 1000)
    all_day()
    assert there(files, names) == names
    assert f"{theirs} of {theirs + ours} files" in mark("orphans").problem


def become(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Be the hub of another database, of which a fingerprint takes nothing but its words here."""
    monkeypatch.setattr(owner, "this_database", lambda: owner.Owner(f"sha-of-{database}", database))


def sweep_anew() -> None:
    RetentionMark.objects.all().delete()
    all_day(running=Retention("one"))


def test_of_two_hubs_on_one_store_the_second_sweeps_nothing_until_it_takes_over(
    store: PayloadStore, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    first, mine = orphan(store, 5), owner.this_database().words
    sweep_anew()
    assert there(store, [first]) == []
    second = orphan(store, 4)
    with monkeypatch.context() as patch:
        become("a copy", patch)
        sweep_anew()
        assert there(store, [second]) == [second]
        told = mark("orphans").problem
        assert told.startswith(f"This payload store is swept by another database ({mine}).")
        assert "RETENTION_SWEEP=all once" in told
    sweep_anew()
    assert there(store, [second]) == []
    third = orphan(store, 3)
    with monkeypatch.context() as patch:
        become("a copy", patch)
        settings.RETENTION_SWEEP = "all"
        sweep_anew()
        settings.RETENTION_SWEEP = "on"
        fourth = orphan(store, 2)
        sweep_anew()
        assert there(store, [third, fourth]) == []
    fifth = orphan(store, 2)
    sweep_anew()
    assert there(store, [fifth]) == [fifth]
    assert "another database (a copy)" in mark("orphans").problem


def test_a_marker_that_cannot_be_read_is_another_hubs(files: PayloadStore) -> None:
    put(files, owner.MARKER)
    name = orphan(files, 5)
    sweep_anew()
    assert there(files, [name, owner.MARKER]) == [name, owner.MARKER]
    assert "another database (unknown)" in mark("orphans").problem


def test_of_two_that_claim_at_once_one_has_the_store(files: PayloadStore, monkeypatch: pytest.MonkeyPatch) -> None:
    orphan(files, 5)
    delete = type(files).delete

    def beaten(self: Any, name: str) -> None:
        delete(self, name)
        monkeypatch.setattr(type(files), "delete", delete)
        theirs = ContentFile(b'{"fingerprint": "sha", "database": "the faster one"}')
        self.save(owner.MARKER, theirs)

    monkeypatch.setattr(type(files), "delete", beaten)
    with pytest.raises(owner.AnothersStore, match="the faster one"):
        owner.owned(files, take_over=False)
    assert [path.name for path in Path(cast(Any, files).location).glob("*.json")] == [owner.MARKER]


def test_a_database_is_told_by_its_place_and_name(monkeypatch: pytest.MonkeyPatch) -> None:
    same = owner.this_database()
    assert owner.this_database() == same
    monkeypatch.setitem(connection.settings_dict, "NAME", "another")
    assert owner.this_database().fingerprint != same.fingerprint


def test_a_store_that_was_swept_is_not_listed_again_for_a_day(
    files: PayloadStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    orphan(files, 2)
    all_day()
    late = orphan(files, 2)
    all_day(running=Retention("another"))  # a worker that was started again
    assert there(files, [late]) == [late]
    type(mark("orphans")).objects.filter(pk="orphans").update(caught_up_at=days_ago(1.1), claimed_by="")
    all_day(running=Retention("another"))
    assert there(files, [late]) == []


def test_a_day_with_many_files_is_listed_with_bounded_memory(files: PayloadStore) -> None:
    at = datetime(2026, 3, 12, tzinfo=UTC)
    names = sorted(name_of(id_at(at), at) for _ in range(50))
    folder = Path(cast(Any, files).location)
    for name in names:
        path = folder / name
        os.makedirs(path.parent, exist_ok=True)
        path.write_bytes(b"{}")
    part = files.names("", 20)
    assert (part.names, part.last) == (names[:20], False)
    assert all_names(files, 20) == names
