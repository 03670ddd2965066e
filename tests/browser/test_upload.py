"""A key that is uploaded as a file, in a real browser: checked, saved, and shown by its account only."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from destinations.models import Destination
from tests.adapters.gcs_support import Place, as_stored
from tests.admin_support import DESTINATIONS
from tests.browser.conftest import Operator
from tests.hub import Server


@pytest.fixture
def web_server(transactional_db: None, tmp_path: Path, place: Place) -> Iterator[Server]:
    """A server that speaks to the test's emulator in Google's place."""
    server = Server(tmp_path, **place.server.environment)
    yield server
    server.stop()


def test_a_key_file_is_checked_before_it_is_saved_and_stays_chosen(
    operator: Callable[..., Operator], place: Place, tmp_path: Path
) -> None:
    file = tmp_path / "key.json"
    file.write_text(json.dumps(place.key))
    ana = operator()
    page = ana.open(f"{DESTINATIONS}add/?type=gcs")
    page.locator("#id_name").fill("Archive")
    page.locator("[name='config.bucket']").fill(place.bucket)
    page.get_by_label("Service account key*", exact=True).set_input_files(file)

    page.get_by_role("button", name="Check before saving").click()
    expect(page.locator("#draft-result")).to_contain_text("The object is deleted.")
    assert not Destination.objects.exists()

    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text(f"Set: {place.key['client_email']}, changed").first).to_be_visible()
    assert Destination.objects.get().credentials == as_stored(place.key)
    assert place.key["private_key_id"] not in page.content()
    assert ana.complaints == []
