"""What every destination type must pass from which a person can be erased; a type's contract tests inherit it too."""

import json
from typing import Any

import pytest

from destinations.adapters.base import Message, Outcome, Person
from tests.adapters.contract import AnyAdapter, Site, event, text_of

ANA = "user-1"
NEIGHBOUR = "user-1-2026"  # whose id begins with Ana's
MANY = 60  # Google and Supabase are asked for pages of 50
OLD = "user-0"  # what Ana was called before a reauth


def data_of(user_id: str, moment: str) -> Message:
    """Return an event of a user's data, which began at ``moment``."""
    user = {"user_id": user_id, "provider": "GARMIN", "reference_id": f"reference of {user_id}", "scopes": None}
    body = {"type": "sleep", "user": user, "data": [{"metadata": {"start_time": moment}}], "version": "2022-03-16"}
    return event(json.dumps(body).encode(), type="sleep", user_id=user_id)


def auth_of(user_id: str, kind: str = "auth") -> Message:
    """Return an event that is no data."""
    user = {"user_id": user_id, "provider": "GARMIN", "reference_id": None, "scopes": None}
    return event(json.dumps({"type": kind, "status": "success", "user": user}).encode(), type=kind, user_id=user_id)


def without_user() -> Message:
    """Return a failed log-in: it names no user of Terra's."""
    body = {"type": "auth", "status": "error", "reference_id": "reference of user-1"}
    return event(json.dumps(body).encode(), type="auth", user_id="")


class ErasingContract:
    """The suite: ``site`` and ``adapter`` are those of the type's own contract tests."""

    @pytest.fixture
    def eraser(self, site: Site) -> Any:
        """An adapter that may erase: a type overrides it where delivering takes fewer rights."""
        adapter = site.adapter()
        yield adapter
        adapter.close()

    def delivered(self, adapter: AnyAdapter, messages: list[Message]) -> list[Message]:
        results = adapter.deliver(messages)
        assert {result.outcome for result in results} == {Outcome.DELIVERED}, text_of(results)
        return messages

    def test_a_person_is_erased_and_nobody_else(self, site: Site, adapter: AnyAdapter, eraser: AnyAdapter) -> None:
        hers = [data_of(ANA, f"2026-07-0{day}T06:00:00.000000+00:00") for day in range(1, 4)]
        hers += [data_of(OLD, "2026-01-01T22:00:00.250000+01:00"), auth_of(ANA), without_user()]
        others = [data_of(NEIGHBOUR, "2026-07-01T06:00:00.000000+00:00"), auth_of(NEIGHBOUR), without_user()]
        self.delivered(adapter, hers + others)

        erased = eraser.erase(Person((ANA, OLD), ("reference of user-1",)), hers)

        assert erased.failed is None, text_of([erased.failed] if erased.failed else [])
        assert erased.count >= len(hers)  # rows of users count, too
        assert sorted(one.event_id for one in site.read_back()) == sorted(one.event_id for one in others)

    def test_what_the_hub_has_pruned_is_found_by_the_persons_id(
        self, site: Site, adapter: AnyAdapter, eraser: AnyAdapter
    ) -> None:
        self.delivered(adapter, [data_of(ANA, "2026-07-01T06:00:00.000000+00:00"), auth_of(ANA)])
        assert eraser.erase(Person((ANA,)), []).failed is None
        assert list(site.read_back()) == []

    def test_she_is_found_behind_more_folders_than_one_page_lists(
        self, site: Site, adapter: AnyAdapter, eraser: AnyAdapter
    ) -> None:
        others = [auth_of(NEIGHBOUR, f"a_new_type_{number}") for number in range(MANY)]
        for start in range(0, MANY, 20):
            self.delivered(adapter, others[start : start + 20])
        self.delivered(adapter, [auth_of(ANA), data_of(ANA, "2026-07-01T06:00:00.000000+00:00")])
        erased = eraser.erase(Person((ANA,)), [])
        assert (erased.failed, erased.count >= 2) == (None, True)
        assert sorted(one.event_id for one in site.read_back()) == sorted(one.event_id for one in others)

    def test_erasing_twice_finds_nothing_more(self, adapter: AnyAdapter, eraser: AnyAdapter) -> None:
        self.delivered(adapter, [data_of(ANA, "2026-07-01T06:00:00.000000+00:00")])
        first, second = (eraser.erase(Person((ANA,)), []) for _ in range(2))
        assert (first.count >= 1, second.count, second.failed) == (True, 0, None)

    def test_of_somebody_unknown_nothing_is_there_to_erase(
        self, site: Site, adapter: AnyAdapter, eraser: AnyAdapter
    ) -> None:
        self.delivered(adapter, [data_of(NEIGHBOUR, "2026-07-01T06:00:00.000000+00:00")])
        for stranger in (ANA, "../../etc/passwd", "nul\x00", "%", "_", "*", "x" * 300):
            assert eraser.erase(Person((stranger,)), []).count == 0
        assert len(site.read_back()) == 1

    def test_a_place_that_does_not_answer_is_told_and_holds_no_secret(self, site: Site) -> None:
        adapter: Any = site.adapter(**site.unreachable)
        try:
            erased = adapter.erase(Person((ANA,)), [])
        finally:
            adapter.close()
        assert erased.failed is not None
        assert erased.failed.code
        assert "canary" not in text_of([erased.failed])
