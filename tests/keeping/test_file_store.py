"""The payload store in the file system: bodies outlast a power cut, and a full or missing folder loses none."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.core.files.base import ContentFile

from tests.delivering.log import attempts, statuses
from tests.hub import own_hub, until
from tests.receiving.support import BODY, body_of_size, check_refused, events
from tests.sink import Sink
from webhooks.keeping.stores.files import FilePayloadStore

pytestmark = pytest.mark.databaseless

MB = 1024 * 1024
LARGE = body_of_size(200_000)


@pytest.mark.databaseless
def test_a_body_is_synced_and_so_is_every_folder_that_is_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    sync = os.fsync

    def noted(handle: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{handle}"))
        sync(handle)

    monkeypatch.setattr(os, "fsync", noted)
    store = FilePayloadStore(location=str(tmp_path / "a" / "b"))
    store.save("2026/11/25/body.json", ContentFile(b"{}"))
    ways = ("", "a", "a/b", "a/b/2026", "a/b/2026/11", "a/b/2026/11/25", "a/b/2026/11/25/body.json")
    assert {str(tmp_path / way) for way in ways} <= set(synced)


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Let processes that start here write no file beyond ``size`` bytes: the write that would fails half-way."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.django_db(transaction=True)
def test_t5_a_write_that_fails_half_way_gives_503_and_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "payloads"
    with files_of_at_most(16 * MB), own_hub(tmp_path, PAYLOAD_DIR=str(folder)) as hub:
        refused = hub.post(body_of_size(20 * MB))
        check_refused(refused, 503, "store_unavailable")
        assert refused.headers["retry-after"] == "30"
        assert (files_in(folder), events(hub)) == ([], [])
        log = hub.server.process.output() if hub.server.process else ""
        assert (f"the folder {folder}" in log, "payload_not_stored" in log, "xxxxxxxx" in log) == (True, True, False)
        for body in (BODY % 1, LARGE):
            assert hub.post(body).status == 200
        assert [path.read_bytes() for path in files_in(folder)] == [LARGE]
        assert {path.stat().st_mode & 0o777 for path in files_in(folder)} == {0o600}


@pytest.mark.django_db(transaction=True)
def test_a_folder_that_cannot_be_written_is_named_until_it_can(tmp_path: Path) -> None:
    folder = tmp_path / "mount" / "payloads"
    (tmp_path / "mount").touch()
    with own_hub(tmp_path, PAYLOAD_DIR=str(folder)) as hub:
        check_refused(hub.post(LARGE), 503, "store_unavailable")
        assert hub.post(BODY % 1).status == 200
        ready = hub.server.request("GET", "/readyz").json["checks"]["payload store"]
        assert (ready["ok"], f"the folder {folder}" in ready["detail"]) == (False, True)
        (tmp_path / "mount").unlink()
        assert hub.post(LARGE).status == 200
        assert hub.server.request("GET", "/readyz").json["checks"]["payload store"]["ok"]


@pytest.mark.django_db(transaction=True)
def test_while_the_folder_is_away_deliveries_wait_and_are_no_dead_letters(tmp_path: Path, sink: Sink) -> None:
    folder = tmp_path / "payloads"
    with own_hub(tmp_path, PAYLOAD_DIR=str(folder)) as hub:
        hub.webhook(sink.url("/hook"))
        hub.post(LARGE)
        folder.rename(tmp_path / "away")
        try:
            hub.worker(PAYLOAD_DIR=str(folder), RETRY_TIME_SCALE="0.01")
            first = until(lambda: attempts(), what="a try without the folder")[0]
            assert (first.outcome, first.error_code) == ("failed", "payload_store_down")
            (tmp_path / "away").rename(folder)
            until(lambda: statuses() == {"delivered": 1}, what="the body is delivered once its folder is back")
        finally:
            hub.stop_workers()
    assert [one.body for one in sink.requests("/hook")] == [LARGE]


@pytest.mark.django_db(transaction=True)
def test_a_body_that_is_gone_is_a_dead_letter(tmp_path: Path, sink: Sink) -> None:
    folder = tmp_path / "payloads"
    with own_hub(tmp_path, PAYLOAD_DIR=str(folder)) as hub:
        hub.webhook(sink.url("/hook"))
        hub.post(LARGE)
        files_in(folder)[0].unlink()
        try:
            hub.worker(PAYLOAD_DIR=str(folder))
            until(lambda: statuses() == {"dead": 1})
        finally:
            hub.stop_workers()
    assert [one.error_code for one in attempts()] == ["payload_missing"]
