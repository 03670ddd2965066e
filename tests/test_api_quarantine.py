"""The quarantine over the API: what was refused and why, its bytes, verified again, admitted."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import storages

from tests.api_support import Api, id_at, make_destination, make_event, make_source, messages
from tests.keys_support import api_of
from tests.test_admin_quarantine import NEW_SECRET, refused
from webhooks.models import REASONS, Delivery, Event, PayloadView, QuarantinedRequest
from webhooks.receiving.refusals import REMEDIES
from webhooks.receiving.sources import add_signing_secret

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 12, 12, 0, tzinfo=UTC)
NOBODY = "01a20a6f-c2ec-7047-87b3-6cff4e9b9dc4"


@pytest.fixture
def api() -> Api:
    return Api("webhooks.view_quarantinedrequest", "webhooks.admit_quarantinedrequest", "webhooks.view_payload")


def another(trace: str, **columns: Any) -> QuarantinedRequest:
    item = refused(**columns)
    item.headers["x-terra-trace-id"] = trace
    item.save()
    return item


def mended(slug: str = "main") -> None:
    """Give the source the secret that the refused requests were signed with."""
    add_signing_secret(make_source(slug), NEW_SECRET)


def test_one_shows_its_headers_its_reason_in_words_and_what_to_change_and_not_its_body(api: Api) -> None:
    item = refused()

    shown = api.get(f"quarantine/{item.pk}")

    assert (shown["source"], shown["reason"], shown["state"]) == ("main", "signature_mismatch", "kept")
    assert shown["reason_words"] == REASONS["signature_mismatch"]
    assert shown["remedy"] == REMEDIES["signature_mismatch"]
    assert shown["headers"]["x-terra-trace-id"] == "trace-1"
    assert (shown["body_kept"], shown["event"], shown["remote_address"]) == (True, None, "18.133.218.210")
    assert "user-1" not in str(shown)
    assert "user-1" not in str(api.get("quarantine"))


def test_the_list_is_newest_first_and_keeps_what_each_filter_says(api: Api) -> None:
    make_source("second")
    rows = [
        refused(
            id=id_at(NOON + timedelta(minutes=n)), received_at=NOON + timedelta(minutes=n),
            reason=("ip_not_allowed", "signature_mismatch")[n % 2], source=make_source(("main", "second")[n % 3 == 0]),
            admitted_at=NOON if n in (1, 5) else None, event=make_event() if n in (1, 2) else None,
        )
        for n in range(6)
    ]  # fmt: skip
    expected: dict[tuple[tuple[str, str], ...], list[int]] = {
        (): [5, 4, 3, 2, 1, 0],
        (("reason", "ip_not_allowed"),): [4, 2, 0],
        (("source", "second"),): [3, 0],
        (("state", "kept"),): [4, 3, 0],
        (("state", "admitted"),): [5, 1],
        (("state", "repeats"),): [2],
        (("since", "2026-03-12T12:02:00Z"), ("until", "2026-03-12T12:05:00Z")): [4, 3, 2],
        (("source", "main"), ("reason", "signature_mismatch"), ("state", "admitted")): [5, 1],
    }
    for query, numbers in expected.items():
        found, cursor = [], {}
        while True:
            page = api.get("quarantine", limit=2, **dict(query), **cursor)
            found += [row["id"] for row in page["data"]]
            if not page["has_more"]:
                break
            cursor = {"cursor": page["next_cursor"]}
        assert found == [str(rows[n].pk) for n in numbers], query


@pytest.mark.parametrize(
    "query", [{"reason": "nothing"}, {"source": "nowhere"}, {"state": "lost"}, {"since": "x"}, {"colour": "red"}]
)
def test_a_filter_that_makes_no_sense_is_refused_by_its_name(api: Api, query: dict[str, str]) -> None:
    assert messages(api.get("quarantine", 400, **query)).keys() == query.keys()


def files() -> set[Path]:
    """Return what is in the payload store."""
    return set(Path(storages["payloads"].location).rglob("*"))  # type: ignore[attr-defined]


# --- its bytes ------------------------------------------------------------------------------------------------
def test_the_exact_bytes_are_for_those_who_may_see_payloads_and_each_look_is_written_down(api: Api) -> None:
    item = refused(b"\x00\xff not JSON")
    answer = api.client.get(f"/api/v1/quarantine/{item.pk}/body", HTTP_ACCEPT="application/octet-stream")

    assert answer.getvalue() == b"\x00\xff not JSON"
    assert (answer["Content-Type"], answer["Cache-Control"]) == ("application/octet-stream", "no-store")
    assert Api("webhooks.view_quarantinedrequest").get(f"quarantine/{item.pk}/body", 403)
    assert b"".join(api_of("payloads:read").client.get(f"/api/v1/quarantine/{item.pk}/body").streaming_content)
    assert PayloadView.objects.get().event_id == item.pk


def test_a_body_that_was_not_kept_is_gone(api: Api) -> None:
    item = refused(None, reason="body_too_large")

    assert api.get(f"quarantine/{item.pk}/body", 410)["code"] == "payload_gone"
    assert not PayloadView.objects.exists()


# --- verified again, admitted -----------------------------------------------------------------------------------
def test_it_is_verified_with_the_secrets_of_now_and_changes_nothing(api: Api) -> None:
    item = refused()

    before = api.post(f"quarantine/{item.pk}/verify")
    mended()
    after = api.post(f"quarantine/{item.pk}/verify")

    assert before["passes"] is False
    assert before["reason"].startswith("signature_mismatch")
    assert after == {"passes": True, "reason": ""}
    assert not Event.objects.exists()


def test_what_passes_becomes_an_event_with_its_deliveries_once(api: Api) -> None:
    make_destination()
    item = refused()
    mended()

    made = api.post(f"quarantine/{item.pk}/admit", status=201)
    again = api.post(f"quarantine/{item.pk}/admit", status=200)

    assert (made["type"], made["user_id"], again["id"]) == ("daily", "user-1", made["id"])
    assert [str(row.event_id) for row in Delivery.objects.all()] == [made["id"]]
    shown = api.get(f"quarantine/{item.pk}")
    assert (shown["state"], shown["event"], shown["remedy"]) == ("admitted", made["id"], "")


def test_what_would_be_refused_again_is_not_admitted_and_says_why(api: Api) -> None:
    item = refused()

    problem = api.post(f"quarantine/{item.pk}/admit", status=409)

    assert problem["code"] == "rejected_by_source"
    assert problem["detail"].startswith("signature_mismatch")
    assert not Event.objects.exists()


def test_a_trial_verifies_and_writes_nothing_anywhere(api: Api, settings: Any) -> None:
    settings.INLINE_BODY_BYTES = 10  # so its body would go into the payload store
    item = refused()
    mended()
    held = files()

    assert api.post(f"quarantine/{item.pk}/admit?dry_run=true") == {"passes": True, "reason": ""}
    many = api.post("quarantine/admit?dry_run=true", {"ids": [str(item.pk)]})

    assert (many["admitted"], many["data"][0]["event"]) == (1, None)
    assert (Event.objects.count(), files()) == (0, held)
    item.refresh_from_db()
    assert item.admitted_at is None


def test_many_are_admitted_each_for_itself(api: Api) -> None:
    good, bad, gone = another("t1"), another("t2", secret="unknown-secret-of-nobody"), another("t3", body=None)
    mended()
    before = another("t4")
    api.post(f"quarantine/{before.pk}/admit", status=201)
    ids = [str(one.pk) for one in (good, bad, gone, before)]

    found = api.post("quarantine/admit", {"ids": ids})

    assert (found["admitted"], found["refused"], found["has_more"], found["next_cursor"]) == (1, 3, False, None)
    by_id = {one["id"]: one for one in found["data"]}
    assert by_id[ids[0]]["event"] == str(Event.objects.exclude(quarantined=before).get().pk)
    assert by_id[ids[1]]["reason"].startswith("signature_mismatch")
    assert "not kept" in by_id[ids[2]]["reason"]
    assert by_id[ids[3]]["reason"] == "It was admitted before."


def test_a_filter_admits_a_bounded_number_and_its_cursor_goes_past_those_that_are_refused(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webhooks.api.quarantine.MOST_ADMITTED", 2)
    for n in range(5):
        another(f"t{n}", secret=NEW_SECRET if n % 2 else "unknown-secret-of-nobody")
    another("other", reason="ip_not_allowed")
    mended()
    asked: dict[str, Any] = {"filter": {"reason": "signature_mismatch", "source": "main"}}
    pages = []
    while not pages or pages[-1]["has_more"]:
        pages.append(api.post("quarantine/admit", asked))
        asked["cursor"] = pages[-1]["next_cursor"]

    assert [len(page["data"]) for page in pages] == [2, 2, 1]
    assert sum(page["admitted"] for page in pages) == 2 == Event.objects.count()
    assert sum(page["refused"] for page in pages) == 3


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "ids"),
        ({"ids": []}, "ids"),
        ({"ids": ["x"]}, "ids.0"),
        ({"ids": [NOBODY] * 201}, "ids"),
        ({"ids": [NOBODY], "filter": {}}, "ids"),
        ({"ids": [NOBODY], "cursor": "x"}, "cursor"),
        ({"filter": {"state": "kept"}}, "filter.state"),
        ({"filter": {"source": "nowhere"}}, "source"),
        ({"filter": {}, "cursor": "MQ"}, "cursor"),
    ],
)
def test_what_makes_no_sense_is_refused_by_its_field(api: Api, body: Any, field: str) -> None:
    assert list(messages(api.post("quarantine/admit", body, 400))) == [field]


@pytest.mark.parametrize("path", ["quarantine/x", f"quarantine/{NOBODY}", "quarantine/7"])
def test_what_is_not_there_is_not_found(api: Api, path: str) -> None:
    assert api.get(path, 404)["code"] == "not_found"
    assert api.post(f"{path}/admit", status=404)["code"] == "not_found"
    assert api.post("quarantine/admit", {"ids": [NOBODY]}, 404)["code"] == "not_found"


def test_a_limited_key_knows_of_its_own_sources_requests_only() -> None:
    own, other = another("t1", source=make_source("second")), another("t2")
    mended()
    key = api_of("deliveries:write", "events:read", "payloads:read", sources=["second"])

    assert [row["id"] for row in key.get("quarantine")["data"]] == [str(own.pk)]
    assert key.get("quarantine", 400, source="main")
    for path in ("verify", "admit"):
        assert key.post(f"quarantine/{other.pk}/{path}", status=404)["code"] == "not_found"
    assert key.get(f"quarantine/{other.pk}/body", 404)
    assert key.post("quarantine/admit", {"ids": [str(own.pk), str(other.pk)]}, 404)
    assert [one["id"] for one in key.post("quarantine/admit", {"filter": {}})["data"]] == [str(own.pk)]
