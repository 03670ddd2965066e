"""Events that a Supabase project refuses, among events that it takes (T40, T41)."""

import pytest

from destinations.adapters.base import Effect, Outcome
from destinations.adapters.supabase_errors import Blame, Unwell
from tests.adapters.contract import CANARY
from tests.adapters.postgres_support import raising
from tests.adapters.sql_support import daily, event, news, only, outcomes
from tests.adapters.supabase_support import DATA, OTHER, USERS, adapter_for, write_rows
from tests.services.supabase import Project

pytestmark = pytest.mark.databaseless

LAB_REPORT = {"type": "lab_report.completed"}  # a longer type than "daily", and no user


@pytest.mark.parametrize("position", [0, 250, 499], ids=["first", "middle", "last"])
@pytest.mark.parametrize(
    ("table", "change", "good", "bad", "code", "named"),
    [
        (OTHER, "ADD CHECK (payload_type <> 'bad')", "auth", {"type": "bad"}, "23514", f"{OTHER}_payload_type_check"),
        (DATA, "ALTER data_type TYPE varchar(8)", "daily", LAB_REPORT, "22001", f"table {DATA}"),
        (DATA, "ALTER user_id SET NOT NULL", "daily", LAB_REPORT, "23502", "column user_id"),
    ],
    ids=["check", "too long", "not null"],
)
def test_one_bad_row_of_500_is_found_by_name_in_a_few_requests(
    project: Project, position: int, table: str, change: str, good: str, bad: dict[str, str], code: str, named: str
) -> None:
    project.paste(f"ALTER TABLE {table} {change}")
    batch = [news(good, user_id=f"{CANARY}-{number % 50}") for number in range(500)]
    batch.sort(key=lambda message: message.event_id)  # the order in which rows are written
    batch[position] = event(bad, event_id=batch[position].event_id)

    faults = write_rows(project, batch)

    fault = faults[position]
    assert fault
    assert (fault.blame, fault.code) == (Blame.EVENT, code)
    assert named in fault.detail
    assert CANARY not in repr(faults)
    assert [number for number, one in enumerate(faults) if one] == [position]
    written = {key for (key,) in project.rows(table, "payload_id")}
    assert written == {message.event_id for message in batch} - {batch[position].event_id}
    inserts = [path for method, path in project.requests if method == "POST" and table in path]
    assert len(inserts) <= 12


@pytest.mark.parametrize("position", [0, 10, 19], ids=["first", "middle", "last"])
def test_a_bad_row_is_rejected_once_and_its_neighbours_are_delivered(project: Project, position: int) -> None:
    project.paste(f"ALTER TABLE {DATA} ADD CHECK (data_type <> 'sleep')")
    batch = [daily(f"{CANARY}-{number}") for number in range(20)]
    batch[position] = event({"type": "sleep", "user": {"user_id": CANARY}})
    adapter = adapter_for(project)
    results = adapter.deliver(batch)
    adapter.close()
    refused = results.pop(position)  # type: ignore[attr-defined]
    assert (refused.outcome, refused.code, refused.effect) == (Outcome.REJECTED, "23514", Effect.NONE)
    assert CANARY not in refused.detail
    assert set(outcomes(results)) == {Outcome.DELIVERED}
    assert len(project.rows(DATA)) == 19


def test_poison_is_rejected_once_and_its_neighbours_are_delivered(project: Project) -> None:
    batch = {
        "nul": daily("a\x00b"),
        "huge": daily("u" * 5_000_000),
        "long": daily("v" * 1_990 + CANARY),
        "proto": event({"type": "daily", "__proto__": {"user_id": 1}, "user": {"user_id": "p", "__proto__": []}}),
        "infinite": event(b'{"type": "daily", "user": {"user_id": "i"}, "data": [{"metadata": 1e400}]}'),
        "deep": event(b'{"type": "daily", "data": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
        "quotes": daily('a"b\\c,d(e)&f=g%h'),
        "fine": daily("fine"),
    }
    adapter = adapter_for(project)
    results = dict(zip(batch, adapter.deliver(list(batch.values())), strict=True))
    found = {name: (result.outcome, result.code) for name, result in results.items()}
    delivered = (Outcome.DELIVERED, "")
    assert found == {
        "nul": delivered,
        "huge": (Outcome.REJECTED, "user_id_too_long"),
        "long": (Outcome.REJECTED, "user_id_too_long"),
        "proto": delivered,
        "infinite": delivered,
        "deep": (Outcome.REJECTED, "unprocessable"),
        "quotes": delivered,
        "fine": delivered,
    }
    assert CANARY not in results["long"].detail
    users = sorted(user for (user,) in project.rows(DATA, "user_id"))
    assert users == ['a"b\\c,d(e)&f=g%h', "a\ufffdb", "fine", "i", "p"]
    # The same once more, now that the users' rows are there: ids in filters are quoted right.
    again = adapter.deliver([daily('a"b\\c,d(e)&f=g%h', at=99, scopes="more")])
    adapter.close()
    assert outcomes(again) == [Outcome.DELIVERED]
    scopes = project.rows(USERS, "user_id, granted_scopes")
    assert ('a"b\\c,d(e)&f=g%h', "more") in scopes


@pytest.mark.parametrize("sqlstate", ["P0001", "23514", "22023"])
@pytest.mark.parametrize(
    "user_id", [CANARY, f'column "{CANARY}" of relation "{CANARY}" violates constraint "{CANARY}"']
)
def test_what_a_trigger_says_about_a_row_is_not_repeated(project: Project, user_id: str, sqlstate: str) -> None:
    project.paste(raising(f"NEW.user_id LIKE '%{CANARY}%'", sqlstate))
    adapter = adapter_for(project)
    refused, fine = adapter.deliver([daily(user_id), daily("fine")])
    adapter.close()
    assert (refused.outcome, refused.code, fine.outcome) == (Outcome.REJECTED, sqlstate, Outcome.DELIVERED)
    assert CANARY not in refused.detail + refused.hint


def test_a_bad_user_row_takes_only_that_users_events_with_it(project: Project) -> None:
    project.paste(f"ALTER TABLE {USERS} ADD CHECK (provider <> 'BAD')")
    adapter = adapter_for(project)
    results = adapter.deliver([daily("a"), daily("b", provider="BAD"), daily("c")])
    adapter.close()
    assert outcomes(results) == [Outcome.DELIVERED, Outcome.REJECTED, Outcome.DELIVERED]
    assert ("b",) not in project.rows(DATA, "user_id")


def test_many_bad_rows_are_all_found(project: Project) -> None:
    project.paste(f"ALTER TABLE {DATA} ADD CHECK (user_id NOT LIKE '%7')")
    faults = write_rows(project, [daily(str(number)) for number in range(60)])
    assert [str(number)[-1] == "7" for number in range(60)] == [bool(one) for one in faults]


def test_a_batch_with_very_many_bad_rows_is_settled_in_a_few_tries(project: Project) -> None:
    project.paste(f"ALTER TABLE {DATA} ADD CHECK (user_id NOT LIKE 'odd%')")
    left = [daily(f"{'odd' if number % 2 else 'even'}-{number}") for number in range(60)]
    rejected = []
    for _ in range(10):
        faults = write_rows(project, left)
        rejected += [m.body for m, fault in zip(left, faults, strict=True) if fault and fault.blame is Blame.EVENT]
        left = [m for m, fault in zip(left, faults, strict=True) if fault and fault.blame is Blame.MOMENT]
        if not left:
            break
    assert not left
    assert len(rejected) == 30
    assert all(b"odd" in body for body in rejected)
    assert len(project.rows(DATA)) == 30


@pytest.mark.parametrize(
    "change",
    ["ADD CHECK (false) NOT VALID", "ADD needed int NOT NULL", "ALTER user_id TYPE int USING 1"],
    ids=["impossible check", "a column of the operator's own", "another type"],
)
@pytest.mark.parametrize("events", [5, 60])
def test_a_table_that_takes_no_row_is_at_fault_itself(project: Project, change: str, events: int) -> None:
    project.paste(f"ALTER TABLE {DATA} {change}")
    with pytest.raises(Unwell) as caught:
        write_rows(project, [daily(f"user-{number}") for number in range(events)])
    result = caught.value.fault.result()
    assert (result.outcome, result.effect) == (Outcome.RETRY, Effect.FAILURE)
    assert DATA in result.detail + result.hint
    assert project.rows(DATA) == []


def rejecting_bucket(project: Project, **limits: object) -> None:
    for name, value in limits.items():
        setattr(project.storage.buckets["terra-payloads"], name, value)


def test_a_payload_that_is_too_large_is_rejected_and_its_neighbours_are_delivered(project: Project) -> None:
    rejecting_bucket(project, file_size_limit=1000)
    adapter = adapter_for(project)
    results = adapter.deliver([daily("a"), daily("b", scopes="s" * 2000), daily("c")])
    adapter.close()
    assert outcomes(results) == [Outcome.DELIVERED, Outcome.REJECTED, Outcome.DELIVERED]
    assert (results[1].code, results[1].effect) == ("EntityTooLarge", Effect.NONE)
    assert "Raise the file size limit of bucket terra-payloads" in results[1].hint
    assert [user for (user,) in project.rows(DATA, "user_id ") if user == "b"] == []


def test_a_bucket_that_takes_no_json_is_unwell_until_it_does(project: Project) -> None:
    rejecting_bucket(project, allowed_mime_types=["image/png"])
    adapter = adapter_for(project)
    batch = [daily("a"), daily("b")]
    result = only(adapter.deliver(batch))
    assert (result.outcome, result.code, result.effect) == (Outcome.RETRY, "InvalidMimeType", Effect.FAILURE)
    assert "allowed MIME types" in result.hint
    rejecting_bucket(project, allowed_mime_types=None)
    assert outcomes(adapter.deliver(batch)) == [Outcome.DELIVERED] * 2
    adapter.close()
