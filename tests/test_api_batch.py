"""Making many destinations at once: all of them, or none and every reason why."""

from typing import Any

import pytest

from destinations.batches import MOST
from destinations.models import Destination
from tests.api_support import CANARY, DATABASE, Api, make_destination, make_source, messages
from tests.control_support import key_api

pytestmark = pytest.mark.django_db

PATH = "destinations/batch-create"


@pytest.fixture
def api() -> Api:
    return Api(superuser=True)


def hook(name: str, **more: Any) -> dict[str, Any]:
    return {"type": "webhook", "name": name, "config": {"url": "http://127.0.0.1:18999/hook"}, **more}


def test_all_are_made_in_order_each_with_its_own_secret_shown_once(api: Api) -> None:
    tables = {"type": "postgres", "name": "db", "config": DATABASE, "credentials": {"password": CANARY}}

    made = api.post(PATH, {"destinations": [hook("a"), tables, hook("b", event_types=["sleep"])]}, 201)["data"]

    assert [row["name"] for row in made] == ["a", "db", "b"]
    assert made[0]["signing_secret"].startswith("whsec_")
    assert made[0]["signing_secret"] != made[2]["signing_secret"]
    assert "signing_secret" not in made[1]
    assert made[2]["event_types"] == ["sleep"]
    for row in made:
        row.pop("signing_secret", None)
        assert api.get(f"destinations/{row['id']}") == row
        record = Destination.history.get(id=row["id"])
        assert (record.history_user, record.history_change_reason) == (api.user, "created")


def test_where_some_are_wrong_none_is_made_and_every_error_has_its_path(api: Api) -> None:
    make_destination("taken")
    wrong = [
        hook("right"),
        hook("taken"),
        hook("far", config={"url": "http://10.0.0.1/hook"}),
        {**hook("fax"), "type": "fax"},
        hook("slep", event_types=["slep"], config={"url": "no url"}),
        hook("right"),
    ]

    problem = api.post(PATH, {"destinations": wrong}, 400)

    assert messages(problem).keys() == {
        "destinations.1.name", "destinations.2.config.url", "destinations.3.type", "destinations.4.event_types",
        "destinations.4.config.url", "destinations.5.name",
    }  # fmt: skip
    assert [row.name for row in Destination.objects.all()] == ["taken"]


def test_one_kind_of_error_keeps_its_own_code_and_hint(api: Api) -> None:
    problem = api.post(PATH, {"destinations": [hook("a"), hook("b", config={"url": "http://10.0.0.1/"})]}, 400)

    assert problem["code"] == "address_not_allowed"
    assert "EGRESS_ALLOW" in problem["hint"]


@pytest.mark.parametrize(
    ("entry", "field"),
    [
        ({"colour": "red"}, "destinations.1.colour"),
        ({"config": "url"}, "destinations.1.config"),
        ({"schedule": ["soon"]}, "destinations.1.schedule.0"),
        ({"name": None}, "destinations.1.name"),
    ],
)
def test_a_field_that_makes_no_sense_is_named_by_its_place(api: Api, entry: dict[str, Any], field: str) -> None:
    problem = api.post(PATH, {"destinations": [hook("a"), {**hook("b"), **entry}]}, 400)

    assert messages(problem).keys() == {field}


@pytest.mark.parametrize("body", [{}, {"destinations": []}, {"destinations": {}}, {"destinations": None}])
def test_a_batch_is_a_list_of_one_to_a_hundred(api: Api, body: dict[str, Any]) -> None:
    assert messages(api.post(PATH, body, 400)).keys() == {"destinations"}


def test_a_hundred_are_made_and_one_more_is_too_many(api: Api) -> None:
    entries = [hook(f"hook {number}") for number in range(MOST + 1)]

    assert messages(api.post(PATH, {"destinations": entries}, 400)).keys() == {"destinations"}
    assert len(api.post(PATH, {"destinations": entries[:MOST]}, 201)["data"]) == MOST == Destination.objects.count()


def test_a_name_that_somebody_else_takes_at_that_moment_undoes_the_whole(api: Api, monkeypatch: Any) -> None:
    from destinations import batches

    kept = batches.keep

    def meanwhile(created: Any, by: Any) -> None:
        if created.destination.name == "b":
            make_destination("b")
        kept(created, by)

    monkeypatch.setattr(batches, "keep", meanwhile)
    problem = api.post(PATH, {"destinations": [hook("a"), hook("b")]}, 400)

    assert messages(problem) == {"destinations.1.name": "Another destination has this name."}
    assert not Destination.objects.filter(name="a").exists()


def test_a_key_that_is_limited_to_sources_makes_destinations_of_these_only() -> None:
    for slug in ("mine", "theirs"):
        make_source(slug)
    key = key_api("destinations:write", sources=("mine",))

    problem = key.post(PATH, {"destinations": [hook("a", sources=["mine"]), hook("b")]}, 403)
    assert (problem["code"], messages(problem).keys()) == ("beyond_sources", {"destinations.1.sources"})
    assert key.post("destinations", hook("c", sources=["mine", "theirs"]), 403)["code"] == "beyond_sources"
    (made,) = key.post(PATH, {"destinations": [hook("a", sources=["mine"])]}, 201)["data"]
    other = make_destination("other")
    assert [row["name"] for row in key.get("destinations")["data"]] == ["a"]
    assert key.patch(f"destinations/{made['id']}", {"sources": []}, 403)["code"] == "beyond_sources"
    assert key.get(f"destinations/{other.pk}", 404)["code"] == "not_found"


def test_a_trial_makes_none_and_shows_no_secret(api: Api) -> None:
    own = hook("c", credentials={"signing_secret": "whsec_" + "bWFkZS1ieS10aGUtY2FsbGVyLWl0c2VsZg=="})
    made = api.post(f"{PATH}?dry_run=true", {"destinations": [hook("a"), hook("b"), own]}, 201)["data"]
    alone = api.post("destinations?dry_run=true", hook("a"), 201)

    assert [row["name"] for row in made] == ["a", "b", "c"]
    assert not any("signing_secret" in row for row in [*made, alone])
    masks = [row["credentials"]["signing_secret_masked"] for row in [*made, alone]]
    assert masks == [None, None, "****Zg==", None]
    assert not Destination.objects.exists()
