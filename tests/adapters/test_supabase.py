"""What an operator finds in a Supabase project."""

import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from destinations.adapters.base import Effect, Message, Outcome
from destinations.adapters.supabase import SupabaseAdapter
from tests.adapters.contract import CANARY, AdapterContract, Site, sample_events
from tests.adapters.erasing import ErasingContract
from tests.adapters.sql_rows_suite import DATA_SAMPLES, GARMIN, OTHER_SAMPLES
from tests.adapters.sql_support import LOCAL, RECEIVED, USER, daily, event, news, outcomes, sample
from tests.adapters.supabase_support import (
    DATA,
    MISC,
    NEWER_FORM,
    OTHER,
    USERS,
    adapter_for,
    key_of,
    set_up,
    stored,
    write_rows,
)
from tests.services import free_port
from tests.services.supabase import Project

pytestmark = pytest.mark.databaseless

DAY = "2026-07-01T00:00:00+00:00"


class TestSupabaseContract(ErasingContract, AdapterContract):
    @pytest.fixture
    def site(self, project: Project) -> Site:
        project.secret_key = f"sb_secret_{CANARY}"
        return Site(
            kind=SupabaseAdapter,
            config={"project_url": project.url},
            credentials={"api_key": project.secret_key},
            policy=LOCAL,
            read_back=lambda: stored(project),
            repeats_leave_one=True,
            unreachable={"project_url": f"http://127.0.0.1:{free_port()}"},
            wrong_config={},
            wrong_credentials={"api_key": f"sb_secret_{CANARY}-of-another-project"},
            wrong_step="authenticate",
        )


@pytest.fixture
def adapter(project: Project) -> Iterator[SupabaseAdapter]:
    made = adapter_for(project)
    yield made
    made.close()


def activity(text: str, at: int, user: str = USER) -> Message:
    """Return an event of the one activity that all of these are about; ``at`` says which is the newer one."""
    body = {"type": "activity", "user": {"user_id": user}, "data": [{"metadata": {"start_time": DAY}, "note": text}]}
    return event(body, at)


def only_object(project: Project) -> bytes:
    (body,) = project.objects().values()
    return body


# --- rows ------------------------------------------------------------------------------------
def test_each_sample_gives_its_rows_and_its_object(project: Project, adapter: SupabaseAdapter) -> None:
    for name in [*DATA_SAMPLES, *OTHER_SAMPLES]:
        assert outcomes(adapter.deliver([sample(name)])) == [Outcome.DELIVERED]
        url, objects = f"{project.url}/storage/v1/object/authenticated/terra-payloads/", project.objects()
        table = DATA if name in DATA_SAMPLES else OTHER
        ((*row, link),) = project.rows(table)
        if name in DATA_SAMPLES:
            user, kind, span = DATA_SAMPLES[name]
            assert tuple(row) == (name, user and user[0], kind, RECEIVED, *span)
        else:
            user, kind = OTHER_SAMPLES[name]
            assert tuple(row) == (name, user and user[0], kind, RECEIVED)
        replaced = [(*GARMIN, "user_reauth")] if name == "user_reauth" else []
        assert project.rows(USERS) == replaced + ([user] if user else [])
        assert link.startswith(url)
        assert objects == {key_of(link): sample(name).body}
        set_up_again(project)


def set_up_again(project: Project) -> None:
    project.paste(f"TRUNCATE {USERS}, {DATA}, {OTHER}")
    project.storage.buckets["terra-payloads"].objects.clear()


def test_objects_carry_what_they_are_of(project: Project, adapter: SupabaseAdapter) -> None:
    message = replace(
        sample("activity"), headers={"terra-reference": "réf 1", "x-terra-ordering-timestamp": "1782900000123"}
    )
    adapter.deliver([message])
    (held,) = project.storage.buckets["terra-payloads"].objects.values()
    assert held.key == f"2022-03-16/activity/{GARMIN[0]}-2026-07-01T06:04:11Z.json"
    assert held.mime == "application/json"
    assert held.user_metadata == {
        "terra-event-id": "activity",
        "terra-reference": "r%C3%A9f%201",
        "terra-ordering-timestamp": "1782900000123",
    }


def test_ids_and_types_that_storage_refuses_as_keys_are_hashed(project: Project, adapter: SupabaseAdapter) -> None:
    batch = [daily(name) for name in ("üser", "[a]", "a/../b", "..", "a b?c#d%e", "日本" * 40)]
    batch.append(event({"type": "[new] typé", "user": {"user_id": "u"}}))
    assert set(outcomes(adapter.deliver(batch))) == {Outcome.DELIVERED}
    assert Counter(project.objects().values()) == Counter(message.body for message in batch)
    assert all(key.isascii() and not set(key) & set("[]?#% ") for key in project.objects())
    users = [user for (user,) in project.rows(USERS, "user_id")]
    assert sorted(users) == sorted({json.loads(message.body)["user"]["user_id"] for message in batch})


# --- the same event, and events of the same key ----------------------------------------------------
def test_the_same_event_again_leaves_one_row_and_one_object(project: Project, adapter: SupabaseAdapter) -> None:
    message = sample("sleep")
    for batch in ([message, message], [message], [message, sample("auth"), message]):
        assert set(outcomes(adapter.deliver(batch))) == {Outcome.DELIVERED}
    assert project.rows(DATA, "payload_id") == [("sleep",)]
    assert len(project.objects()) == 2  # the other one is of auth
    assert "PUT" not in {method for method, _ in project.requests}  # what is there already is not sent again


@pytest.mark.parametrize("together", [False, True], ids=["batch by batch", "one batch"])
@pytest.mark.parametrize("order", [(1, 2, 3), (3, 2, 1), (2, 3, 1, 3, 1)], ids=str)
def test_a_late_older_event_does_not_replace_the_newest_object(
    project: Project, adapter: SupabaseAdapter, order: tuple[int, ...], together: bool
) -> None:
    made = {at: activity(f"the words of {at}", at) for at in (1, 2, 3)}
    batch = [made[at] for at in order]
    for some in [batch] if together else [[one] for one in batch]:
        assert set(outcomes(adapter.deliver(some))) == {Outcome.DELIVERED}
    assert only_object(project) == made[3].body
    assert len(project.rows(DATA)) == 3


def test_an_object_that_is_not_the_hubs_gives_way(project: Project, adapter: SupabaseAdapter) -> None:
    message = activity("the event's own words", 1)
    adapter.deliver([message])
    (held,) = project.storage.buckets["terra-payloads"].objects.values()
    held.body, held.user_metadata = b"by hand", {}
    assert outcomes(adapter.deliver([message])) == [Outcome.DELIVERED]
    assert only_object(project) == message.body


def test_four_workers_that_deliver_the_same_events_leave_one_row_and_one_object_each(project: Project) -> None:
    batch = [daily(f"user-{number % 17}", number) for number in range(60)]

    def deliver(turn: int) -> list[Outcome]:
        adapter = adapter_for(project)
        found = outcomes(adapter.deliver(batch if turn % 2 else batch[::-1]))
        adapter.close()
        return found

    with ThreadPoolExecutor(4) as pool:
        found = [outcome for some in pool.map(deliver, range(4)) for outcome in some]
    assert set(found) == {Outcome.DELIVERED}
    keys = [key for (key,) in project.rows(DATA, "payload_id")]
    assert keys == sorted(message.event_id for message in batch)
    assert Counter(project.objects().values()) == Counter(message.body for message in batch)
    assert len(project.rows(USERS)) == 17


# --- what rows of users say ------------------------------------------------------------------------
@pytest.mark.parametrize("steps", [[0, 1], [1, 0], [0, 1, 0, 1]], ids=["in order", "late", "repeated"])
@pytest.mark.parametrize("separate", [False, True], ids=["one batch", "batch by batch"])
def test_an_older_event_does_not_undo_a_newer_one(
    project: Project, adapter: SupabaseAdapter, steps: list[int], separate: bool
) -> None:
    events = [daily(at=1, scopes="old", reference_id="ref"), news("deauth", 2, scopes="new", reference_id=None)]
    chosen = [events[step] for step in steps]
    for batch in [[one] for one in chosen] if separate else [chosen]:
        assert set(outcomes(adapter.deliver(batch))) == {Outcome.DELIVERED}
    assert project.rows(USERS, "state, granted_scopes, reference_id") == [("deauth", "new", "ref")]


def test_a_user_who_comes_back_is_active_again(project: Project, adapter: SupabaseAdapter) -> None:
    for message in (news("auth", 1), news("access_revoked", 2), news("rate_limit_hit", 3)):
        adapter.deliver([message])
    assert project.rows(USERS, "state") == [("access_revoked",)]
    adapter.deliver([daily(at=4)])
    assert project.rows(USERS, "state") == [("active",)]


def test_a_replaced_id_never_becomes_active_again(project: Project, adapter: SupabaseAdapter) -> None:
    moved = event({"type": "user_reauth", "old_user": {"user_id": USER}, "new_user": {"user_id": "new"}}, at=5)
    for message in (daily(at=6), moved, daily(at=4), daily(at=9)):
        adapter.deliver([message])
    assert project.rows(USERS, "user_id, state") == [(USER, "user_reauth"), ("new", "active")]


COUNT_CHANGES = f"""
CREATE TABLE changes (n int);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS
  $$ BEGIN INSERT INTO public.changes VALUES (1); RETURN NEW; END $$;
CREATE TRIGGER noted BEFORE UPDATE ON {USERS} FOR EACH ROW EXECUTE FUNCTION note();
"""


def test_a_user_of_whom_nothing_is_new_is_not_written_again(project: Project, adapter: SupabaseAdapter) -> None:
    adapter.deliver([daily(at=1)])
    project.paste(COUNT_CHANGES)
    for at in (2, 3):
        adapter.deliver([daily(at=at)])
    assert project.rows("changes") == []
    adapter.deliver([daily(at=4, scopes="more")])
    assert project.rows("changes") == [(1,)]


NEWER_DEAUTH = f"""
INSERT INTO {OTHER} VALUES ('e', '{USER}', 'deauth', '{(RECEIVED + timedelta(seconds=9)).isoformat()}', '');
UPDATE {USERS} SET state = 'deauth';
"""


def test_a_row_that_another_worker_changes_meanwhile_is_judged_anew(project: Project, adapter: SupabaseAdapter) -> None:
    adapter.deliver([news("connection_error", 1)])
    project.do_before_next("PATCH", USERS, lambda: project.paste(NEWER_DEAUTH))
    assert outcomes(adapter.deliver([daily(at=2)])) == [Outcome.DELIVERED]
    assert project.rows(USERS, "state") == [("deauth",)]


def test_a_row_that_changes_each_time_is_left_for_the_retry(project: Project, adapter: SupabaseAdapter) -> None:
    adapter.deliver([news("auth", 1)])
    change = f"UPDATE {USERS} SET granted_scopes = clock_timestamp()::text"
    project.do_before_next("PATCH", USERS, lambda: project.paste(change), times=100)
    (result,) = adapter.deliver([news("deauth", 2)])
    assert (result.outcome, result.code, result.effect) == (Outcome.RETRY, "changed_meanwhile", Effect.NONE)


def test_rows_of_users_that_fill_more_than_one_answer_are_all_read(project: Project) -> None:
    long = "s" * 5_000  # an answer of the HTTP client ends at 64 KiB
    first = [daily(f"user-{number}", at=1, scopes=long) for number in range(40)]
    second = [daily(f"user-{number}", at=2, scopes=long + "2") for number in range(40)]
    for batch in (first, second):
        assert [fault for fault in write_rows(project, batch) if fault] == []
    assert {len(scopes) for (scopes,) in project.rows(USERS, "granted_scopes")} == {5_001}


def test_a_users_row_that_no_answer_holds_spoils_no_other(project: Project) -> None:
    faults = write_rows(project, [daily("a"), daily("b", scopes="s" * 70_000), daily("c")])
    assert [fault and fault.code for fault in faults] == [None, "user_too_large", None]


# --- the tables that the project has -----------------------------------------------------------------
def test_newer_projects_get_the_columns_that_they_have(bare_project: Project) -> None:
    bare_project.paste(NEWER_FORM)
    adapter = adapter_for(bare_project)
    results = adapter.deliver([sample("activity"), sample("auth")])
    adapter.close()
    assert outcomes(results) == [Outcome.DELIVERED] * 2
    user, kind, span = DATA_SAMPLES["activity"]
    assert bare_project.rows(DATA) == [("activity", user[0], kind, RECEIVED, *span)]
    assert bare_project.rows(MISC) == [("auth", GARMIN[0], None, "auth", RECEIVED)]
    assert bare_project.rows(USERS) == [(*GARMIN, "active")]
    assert len(bare_project.objects()) == 2
    assert results[1].request["table"] == f"public.{MISC}"


def test_a_newer_project_that_asks_for_a_user_says_so_of_an_event_without_one(bare_project: Project) -> None:
    bare_project.paste(NEWER_FORM)
    adapter = adapter_for(bare_project)
    refused, fine = adapter.deliver([sample("healthcheck"), sample("auth")])
    adapter.close()
    assert (refused.outcome, refused.code, fine.outcome) == (Outcome.REJECTED, "23502", Outcome.DELIVERED)
    assert f'ALTER TABLE "public"."{MISC}" ALTER COLUMN user_id DROP NOT NULL' in refused.hint


def test_newer_tables_with_a_link_get_it(bare_project: Project) -> None:
    bare_project.paste(NEWER_FORM + f"ALTER TABLE {DATA} ADD payload_url text; ALTER TABLE {MISC} DROP data_type")
    adapter = adapter_for(bare_project)
    assert outcomes(adapter.deliver([sample("activity"), sample("auth")])) == [Outcome.DELIVERED] * 2
    adapter.close()
    ((url,),) = bare_project.rows(DATA, "payload_url")
    assert bare_project.objects()[key_of(url)] == sample("activity").body


def test_rows_go_to_the_schema_that_was_chosen(bare_project: Project) -> None:
    bare_project.rest.schemas = ("public", "Terra$Hub")
    set_up(bare_project, schema="Terra$Hub")
    adapter = adapter_for(bare_project, schema="Terra$Hub")
    assert outcomes(adapter.deliver([sample("body"), daily(at=1, scopes="more")])) == [Outcome.DELIVERED] * 2
    adapter.close()
    bare_project.rest.schemas = ("public",)
    assert len(bare_project.rows(DATA, schema="Terra$Hub")) == 2


@pytest.mark.parametrize("key", ["service_role", "secret"])
def test_keys_of_both_kinds_write(project: Project, key: str) -> None:
    adapter = adapter_for(project, key=project.secret_key if key == "secret" else project.token("service_role"))
    batch = sample_events()[:5]
    assert set(outcomes(adapter.deliver(batch))) == {Outcome.DELIVERED}
    adapter.close()
