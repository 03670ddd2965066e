"""``hub erase``: a person goes, and nobody's id stands where it need not."""

from pathlib import Path

import pytest
from django.conf import settings

from tests.api_support import make_delivery, make_destination, make_event
from tests.cli.support import hub
from webhooks.keeping.erasures.working import Erasing
from webhooks.models import Erasure, Event

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def events(db: None) -> None:
    to = make_destination("orders")
    for _ in range(3):
        make_delivery(make_event(user_id="user-x", reference_id="ref-x"), to, "delivered")
    make_event(user_id="user-y")


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """No commit is under way that would have to be waited for."""
    monkeypatch.setattr(settings, "COMMIT_TIMEOUT_SECONDS", 0)


def carried_on() -> None:
    """Do what a worker does for erasures."""
    chore = Erasing("me")
    for _ in range(50):
        chore()


def left() -> set[str]:
    return set(Event.objects.values_list("user_id", flat=True))


def test_a_dry_run_counts_and_changes_nothing() -> None:
    ran = hub("erase", "--user", "user-x", "--dry-run")
    assert "Events:" in ran.out
    assert "orders (3 delivered)" in ran.out
    value = hub("erase", "--user", "user-x", "--destinations", "all", "--dry-run", "--json").json
    assert (value["counts"]["events"], value["counts"]["deliveries"]) == (3, 3)
    assert value["destinations"][0]["chosen"] is True
    assert left() == {"user-x", "user-y"}
    assert not Erasure.objects.exists()


def test_it_asks_first_and_prints_the_job_and_later_the_receipt() -> None:
    assert "Add --yes" in hub("erase", "--user", "user-x", code=1).err
    number = hub("erase", "--user", "user-x", "--yes").out.strip()
    assert Erasure.objects.get().created_by.startswith("command line (")
    carried_on()
    assert left() == {"user-y"}
    shown = hub("erasures", "show", number)
    assert "events 3" in shown.out
    assert "sha256" in shown.out
    assert "orders: not_asked, 3 delivered." in " ".join(shown.out.split())
    assert "tombstones" not in shown.out.split("Kept away by")[0]
    removed = Erasure.objects.get().counts
    listed = hub("erasures", "list").out
    assert f" {removed['events'] + removed['payloads'] + removed['deliveries']} " in f"{listed} ".replace("\n", " ")
    value = hub("erasures", "show", number, "--wait", "--json")
    assert value.json["receipt"]["counts"]["events"] == 3
    assert "user-x" not in shown.out + value.out
    assert [row["id"] for row in hub("erasures", "list", "--json").json] == [number]
    hub("erasures", "lift", number, "--yes")
    assert "Only an erasure that waits" in hub("erasures", "cancel", number, code=1).err
    assert "Only a stopped erasure" in hub("erasures", "resume", number, code=1).err


def test_ids_come_from_a_file_or_from_standard_input(tmp_path: Path) -> None:
    (tmp_path / "ids").write_text("user-x\n\nuser-z\n")
    value = hub("erase", "--user-file", str(tmp_path / "ids"), "--dry-run", "--json").json
    assert (value["user_ids"], value["counts"]["events"]) == (2, 3)
    ran = hub("erase", "--reference-file", "-", "--dry-run", "--json", input="ref-x\n")
    assert ran.json["counts"]["events"] == 3
    assert "cannot be read" in hub("erase", "--user-file", str(tmp_path / "none"), "--yes", code=1).err
    assert "one list only" in hub("erase", "--user-file", "-", "--reference-file", "-", code=1).err


def test_what_is_meant_must_be_clear() -> None:
    hub("erase", "--yes", code=1)
    both = hub("erase", "--user", "user-x", "--destinations", "all", "--destinations", "orders", "--yes", code=1)
    assert "not both" in both.err
    hub("erase", "--user", "user-x", "--destinations", "nowhere", "--yes", code=3)
    assert left() == {"user-x", "user-y"}


def test_many_users_go_only_where_their_number_is_confirmed() -> None:
    for number in range(6):
        make_event(user_id=f"user-{number}", reference_id="undefined")
    ran = hub("erase", "--reference", "undefined", "--yes", code=1)
    assert "This erases 6 user ids" in ran.err
    assert not Erasure.objects.exists()
    assert "not 7" in hub("erase", "--reference", "undefined", "--yes", "--confirm-users", "7", code=1).err
    hub("erase", "--reference", "undefined", "--yes", "--confirm-users", "6")
    assert Erasure.objects.count() == 1


def test_a_yes_to_the_question_confirms_the_number_that_it_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(6):
        make_event(user_id=f"user-{number}", reference_id="undefined")

    def one_more(question: str, yes: bool) -> None:
        make_event(user_id="user-new", reference_id="undefined")

    monkeypatch.setattr("terra_hub.cli.erase.confirm", one_more)  # somebody says yes to six, and a seventh comes
    assert "This erases 7 user ids, not 6" in hub("erase", "--reference", "undefined", code=1).err
    monkeypatch.setattr("terra_hub.cli.erase.confirm", lambda question, yes: None)
    hub("erase", "--reference", "undefined")
    assert Erasure.objects.count() == 1


def test_a_note_tells_erasures_apart() -> None:
    hub("erase", "--user", "user-x", "--yes", "--note", "OPS-7")
    hub("erase", "--user", "user-y", "--yes")
    listed = hub("erasures", "list").out
    assert "OPS-7" in listed
    assert [row["note"] for row in hub("erasures", "list", "--json").json] == ["", "OPS-7"]
    assert "Note:" in hub("erasures", "show", str(Erasure.objects.get(note="OPS-7").pk)).out
    assert "note: Must be at most 200" in hub("erase", "--user", "z", "--yes", "--note", "x" * 201, code=1).err
