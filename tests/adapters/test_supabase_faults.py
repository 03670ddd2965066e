"""What a Supabase destination does when the project or the network misbehaves (T38, T57 to T59)."""

import json
from collections.abc import Callable, Iterator

import pytest

from destinations.adapters.base import Effect, Limits, ListFeed, Outcome
from destinations.adapters.supabase import SupabaseAdapter
from destinations.adapters.supabase_config import SupabaseConfig, SupabaseCredentials
from tests.adapters.contract import CANARY
from tests.adapters.postgres_support import raising
from tests.adapters.sql_support import LOCAL, daily, news, only, outcomes, sample
from tests.adapters.supabase_support import DATA, OTHER, USERS, adapter_for, of_one_day, set_up
from tests.services.supabase import Project
from tests.services.supabase_storage import Reply
from tests.sink import Sink

pytestmark = pytest.mark.databaseless


@pytest.fixture
def adapter(project: Project) -> Iterator[SupabaseAdapter]:
    made = adapter_for(project)
    yield made
    made.close()


# --- answers that are lost: T38 -----------------------------------------------------------------
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/storage/v1/object/"),
        ("POST", f"/rest/v1/{USERS}"),
        ("POST", f"/rest/v1/{DATA}"),
    ],
    ids=["object", "user", "payload"],
)  # fmt: skip
def test_a_write_whose_answer_was_lost_leaves_one_row_and_one_object(
    project: Project, adapter: SupabaseAdapter, method: str, path: str
) -> None:
    message = sample("sleep")
    project.lose_next_answer(method, path)
    result = only(adapter.deliver([message]))
    assert (result.outcome, result.code, result.effect) == (Outcome.RETRY, "connection_closed", Effect.FAILURE)
    assert not project.rules
    assert len(project.objects()) == 1  # it is in, and the hub cannot know

    assert outcomes(adapter.deliver([message])) == [Outcome.DELIVERED]
    assert project.rows(DATA, "payload_id") == [("sleep",)]
    assert len(project.rows(USERS)) == 1
    assert list(project.objects().values()) == [message.body]


@pytest.mark.parametrize(("method", "path"), [("PUT", "/storage/"), ("PATCH", f"/rest/v1/{USERS}")])
def test_a_change_whose_answer_was_lost_is_made_once(
    project: Project, adapter: SupabaseAdapter, method: str, path: str
) -> None:
    older, newer = (of_one_day(at, scopes) for at, scopes in ((1, "some"), (2, "more")))
    adapter.deliver([older])
    project.lose_next_answer(method, path)
    assert only(adapter.deliver([newer])).code == "connection_closed"
    assert outcomes(adapter.deliver([newer])) == [Outcome.DELIVERED]
    assert list(project.objects().values()) == [newer.body]
    assert project.rows(USERS, "granted_scopes") == [("more",)]


def test_an_answer_that_comes_too_late_is_a_timeout(sink: Sink) -> None:
    sink.behave(mode="hang")
    config = SupabaseConfig(project_url=sink.url(""))
    adapter = SupabaseAdapter(config, SupabaseCredentials("sb_secret_x"), Limits(timeout_s=0.5), LOCAL)
    results = adapter.deliver([daily(), daily()])
    adapter.close()
    found = {(result.outcome, result.code, result.effect) for result in results}
    assert found == {(Outcome.RETRY, "timeout", Effect.FAILURE)}


def test_a_hung_upload_holds_no_other_event(project: Project) -> None:
    hold = project.hold_next("POST", "/storage/v1/object/")
    adapter = adapter_for(project, limits=Limits(timeout_s=20, concurrency=4))
    batch = [daily(f"user-{number}") for number in range(30)]
    finished = []
    for group in adapter.stream(ListFeed(batch)):
        finished += group
        if len(finished) == len(batch) - 1:
            hold.set()  # all others are through
    adapter.close()
    assert len(finished) == len(batch)
    assert {result.outcome for _, result in finished} == {Outcome.DELIVERED}


# --- keys: T57 ------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("key", "code"),
    [
        (lambda project: project.token("anon"), "AccessDenied"),
        (lambda project: project.token("service_role", exp=1), "AccessDenied"),
        (lambda project: project.token("service_role") + "x", "AccessDenied"),
        (lambda project: "sb_secret_of_another_project", "http_401"),
        (lambda project: "not-a-jwt", "AccessDenied"),
    ],
    ids=["anon", "expired", "changed", "other secret key", "garbage"],
)
def test_a_key_that_is_refused_is_named_and_nothing_is_lost(
    project: Project, key: Callable[[Project], str], code: str
) -> None:
    adapter = adapter_for(project, key=key(project))
    batch = [daily(), news("auth")]
    result = only(adapter.deliver(batch))
    adapter.close()
    assert (result.outcome, result.code, result.effect) == (Outcome.RETRY, code, Effect.FAILURE)
    assert "key" in result.hint
    assert key(project) not in repr(result)
    good = adapter_for(project)
    assert outcomes(good.deliver(batch)) == [Outcome.DELIVERED] * 2
    good.close()


def test_a_key_that_only_the_tables_refuse_is_named_by_postgrest(project: Project, adapter: SupabaseAdapter) -> None:
    project.rest.secret = "another-secret-of-the-data-api-alone"
    result = only(adapter.deliver([daily()]))
    assert (result.outcome, result.code, result.effect) == (Outcome.RETRY, "PGRST301", Effect.FAILURE)


# --- what the project lacks: T59 ---------------------------------------------------------------------
def test_a_missing_bucket_is_named_and_nothing_is_lost_once_it_is_made(bare_project: Project) -> None:
    set_up(bare_project)
    bucket = bare_project.storage.buckets.pop("terra-payloads")
    adapter = adapter_for(bare_project)
    batch = [daily(), news("auth")]
    result = only(adapter.deliver(batch))
    assert (result.outcome, result.code, result.effect) == (Outcome.RETRY, "NoSuchBucket", Effect.FAILURE)
    assert "terra-payloads" in result.detail
    bare_project.storage.buckets["terra-payloads"] = bucket
    assert outcomes(adapter.deliver(batch)) == [Outcome.DELIVERED] * 2
    adapter.close()


@pytest.mark.parametrize("table", [USERS, DATA, OTHER])
@pytest.mark.parametrize("known", [False, True], ids=["from the start", "later"])
def test_a_table_that_is_dropped_is_named_and_nothing_is_lost_once_it_is_made_again(
    project: Project, adapter: SupabaseAdapter, table: str, known: bool
) -> None:
    if known:
        assert outcomes(adapter.deliver([sample("body"), sample("deauth")])) == [Outcome.DELIVERED] * 2
    project.paste(f"DROP TABLE {table}")
    batch = [sample("sleep"), sample("auth")]
    found = adapter.deliver(batch)
    assert {(one.outcome, one.code, one.effect) for one in found if one.outcome is not Outcome.DELIVERED} == {
        (Outcome.RETRY, "PGRST205", Effect.FAILURE)
    }
    named = next(one for one in found if one.code)
    assert table in named.detail
    assert "SQL editor" in named.hint
    set_up(project)
    assert outcomes(adapter.deliver(batch)) == [Outcome.DELIVERED] * 2
    assert ("sleep",) in project.rows(DATA, "payload_id")
    assert ("auth",) in project.rows(OTHER, "payload_id")


@pytest.mark.parametrize("known", [False, True], ids=["from the start", "later"])
@pytest.mark.parametrize(
    ("table", "column", "kind"),
    [(USERS, "granted_scopes", "text"), (DATA, "start_time", "timestamptz"), (OTHER, "payload_url", "text")],
)
def test_a_column_that_is_renamed_is_named_until_it_is_back(
    project: Project, adapter: SupabaseAdapter, table: str, column: str, kind: str, known: bool
) -> None:
    if known:
        adapter.deliver([sample("body"), sample("deauth")])
    project.paste(f"ALTER TABLE {table} RENAME {column} TO renamed")
    batch = [sample("sleep"), sample("auth")]
    found = [one for one in adapter.deliver(batch) if one.outcome is not Outcome.DELIVERED]
    assert {(one.outcome, one.effect) for one in found} == {(Outcome.RETRY, Effect.FAILURE)}
    assert f"Table {table} has no column {column}." in found[0].detail
    assert f'ALTER TABLE "public"."{table}" ADD COLUMN {column} {kind};' in found[0].hint
    project.paste(f"ALTER TABLE {table} RENAME renamed TO {column}")
    assert outcomes(adapter.deliver(batch)) == [Outcome.DELIVERED] * 2


def test_tables_that_turn_into_those_of_newer_projects_are_followed(project: Project, adapter: SupabaseAdapter) -> None:
    adapter.deliver([sample("auth")])
    project.paste(f"ALTER TABLE {OTHER} RENAME TO terra_misc_payloads; ALTER TABLE {DATA} DROP payload_url")
    assert outcomes(adapter.deliver([sample("deauth"), sample("sleep")])) == [Outcome.DELIVERED] * 2
    assert project.rows("terra_misc_payloads", "payload_id") == [("auth",), ("deauth",)]


@pytest.mark.parametrize(
    ("breaks", "mends", "code", "said"),
    [
        (
            f"REVOKE ALL ON {DATA} FROM service_role",
            f"GRANT ALL ON {DATA} TO service_role",
            "42501",
            f'GRANT SELECT, INSERT, UPDATE, DELETE ON "public"."{DATA}" TO service_role',
        ),
        (
            f"REVOKE UPDATE ON {USERS} FROM service_role",
            f"GRANT UPDATE ON {USERS} TO service_role",
            "42501",
            f'"public"."{USERS}"',
        ),
        (
            "REVOKE USAGE ON SCHEMA public FROM service_role, public",
            "GRANT USAGE ON SCHEMA public TO service_role",
            "42501",
            "GRANT",
        ),
        (
            f"ALTER TABLE {DATA} DROP CONSTRAINT {DATA}_pkey",
            f"ALTER TABLE {DATA} ADD PRIMARY KEY (payload_id)",
            "42P10",
            f'Make payload_id the primary key of "public"."{DATA}"',
        ),
    ],
)
def test_a_right_or_a_key_that_is_taken_away_is_named_until_it_is_back(
    project: Project, adapter: SupabaseAdapter, breaks: str, mends: str, code: str, said: str
) -> None:
    adapter.deliver([daily(at=1)])
    project.paste(breaks)
    batch = [daily(at=2, scopes="changed")]
    result = only(adapter.deliver(batch))
    assert (result.outcome, result.code, result.effect) == (Outcome.RETRY, code, Effect.FAILURE)
    assert said in result.hint
    project.paste(mends)
    assert outcomes(adapter.deliver(batch)) == [Outcome.DELIVERED]
    assert project.rows(USERS, "granted_scopes") == [("changed",)]


def test_row_level_security_that_holds_the_keys_role_is_named(project: Project) -> None:
    """A role of the operator's own may be let in by policies, and is refused without them."""
    project.paste(
        "DO $$ BEGIN CREATE ROLE writer NOLOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;"
        "GRANT USAGE ON SCHEMA public TO writer; GRANT ALL ON ALL TABLES IN SCHEMA public TO writer"
    )
    adapter = adapter_for(project, key=project.token("service_role"))
    # Storage lets the key pass here; its own refusal is the transcript's "upload with anon".
    project.rest_key = project.token("writer")
    result = only(adapter.deliver([daily()]))
    project.rest_key = ""
    assert (result.outcome, result.code, result.effect) == (Outcome.RETRY, "42501", Effect.FAILURE)
    assert "Row-level security" in result.detail
    assert "service_role" in result.hint
    assert outcomes(adapter.deliver([daily()])) == [Outcome.DELIVERED]
    adapter.close()


def test_a_schema_that_is_not_exposed_is_named(project: Project) -> None:
    adapter = adapter_for(project, schema="hidden")
    result = only(adapter.deliver([daily()]))
    adapter.close()
    assert (result.outcome, result.code, result.effect) == (Outcome.RETRY, "PGRST106", Effect.FAILURE)
    assert "Exposed schemas" in result.hint
    assert "hidden" in result.hint


# --- answers of the moment, and of servers that fail: T58 ---------------------------------------------
@pytest.mark.parametrize(
    ("sqlstate", "effect"),
    [
        ("40001", Effect.NONE),
        ("40P01", Effect.NONE),
        ("55P03", Effect.NONE),
        ("25006", Effect.FAILURE),
        ("53100", Effect.FAILURE),
        ("57014", Effect.FAILURE),
        ("57P03", Effect.FAILURE),
        ("XX000", Effect.FAILURE),
    ],
)
def test_an_error_of_the_moment_or_of_the_database_is_retried_as_a_whole(
    project: Project, adapter: SupabaseAdapter, sqlstate: str, effect: Effect
) -> None:
    project.paste(raising("true", sqlstate))
    batch = [daily(CANARY), daily("other")]
    results = adapter.deliver(batch)
    assert {(one.outcome, one.code, one.effect) for one in results} == {(Outcome.RETRY, sqlstate, effect)}
    assert all(CANARY not in one.detail for one in results)
    project.paste("DROP FUNCTION refuse CASCADE")
    assert outcomes(adapter.deliver(batch)) == [Outcome.DELIVERED] * 2


PLAIN = {"content-type": "text/plain"}


@pytest.mark.parametrize("path", ["/storage/v1/object/", f"/rest/v1/{DATA}"], ids=["object", "row"])
@pytest.mark.parametrize(
    ("status", "headers", "effect", "wait"),
    [
        (429, {"retry-after": "77"}, Effect.PAUSE, 77.0),
        (429, {}, Effect.PAUSE, 5.0),
        (503, {}, Effect.PAUSE, 5.0),
        (503, {"retry-after": "9"}, Effect.PAUSE, 9.0),
        (500, {}, Effect.FAILURE, None),
        (502, {}, Effect.FAILURE, None),
        (522, {}, Effect.FAILURE, None),
        (540, {}, Effect.FAILURE, None),
        (404, {}, Effect.FAILURE, None),
        (418, {}, Effect.NONE, None),
        (302, {"location": "https://example.com/"}, Effect.NONE, None),
    ],
)
def test_what_the_gateway_says_is_retried(
    project: Project,
    adapter: SupabaseAdapter,
    path: str,
    status: int,
    headers: dict[str, str],
    effect: Effect,
    wait: float | None,
) -> None:
    message = daily()
    project.reply_next("POST", path, Reply(status, b"<html>so it is</html>", PLAIN | headers))
    (result,) = adapter.deliver([message])
    assert (result.outcome, result.code, result.effect) == (Outcome.RETRY, f"http_{status}", effect)
    assert (result.status_code, result.retry_after) == (status, wait)
    assert outcomes(adapter.deliver([message])) == [Outcome.DELIVERED]


def storage_says(status: str, error: str, message: str, code: str = "") -> Reply:
    """Return Storage's answer in its own form; older versions have no ``code``."""
    said = {"statusCode": status, "error": error, "message": message} | ({"code": code} if code else {})
    return Reply(400, json.dumps(said).encode(), {"content-type": "application/json; charset=utf-8"})


NO_SUCH_BUCKET = storage_says("404", "Bucket not found", "Bucket not found")
BY_POLICY = storage_says("403", "Unauthorized", "new row violates row-level security policy", "AccessDenied")
TOO_LARGE = storage_says("413", "Payload too large", "The object exceeded the maximum allowed size")
BAD_KEY = storage_says("400", "InvalidKey", "Invalid key: x", "InvalidKey")
LOCKED = storage_says("423", "ResourceLocked", "The resource is locked", "ResourceLocked")
SLOW_DOWN = storage_says("503", "SlowDown", "Too many requests", "SlowDown")
INTERNAL = storage_says("500", "Internal", "Internal server error", "InternalError")
UNKNOWN = storage_says("418", "Teapot", "short and stout", "Teapot")


@pytest.mark.parametrize(
    ("reply", "outcome", "effect", "code"),
    [
        (NO_SUCH_BUCKET, Outcome.RETRY, Effect.FAILURE, "NoSuchBucket"),
        (BY_POLICY, Outcome.RETRY, Effect.FAILURE, "AccessDenied"),
        (TOO_LARGE, Outcome.REJECTED, Effect.NONE, "EntityTooLarge"),
        (BAD_KEY, Outcome.REJECTED, Effect.NONE, "InvalidKey"),
        (LOCKED, Outcome.RETRY, Effect.NONE, "ResourceLocked"),
        (SLOW_DOWN, Outcome.RETRY, Effect.PAUSE, "SlowDown"),
        (INTERNAL, Outcome.RETRY, Effect.FAILURE, "http_500"),
        (UNKNOWN, Outcome.RETRY, Effect.NONE, "http_418"),
    ],
)
def test_storages_own_word_counts_and_not_the_answers_400(
    project: Project, adapter: SupabaseAdapter, reply: Reply, outcome: Outcome, effect: Effect, code: str
) -> None:
    message = daily()
    project.reply_next("POST", "/storage/", reply)
    (result,) = adapter.deliver([message])
    assert (result.outcome, result.effect, result.code) == (outcome, effect, code)
    assert result.detail
    assert outcomes(adapter.deliver([message])) == [Outcome.DELIVERED]


@pytest.mark.parametrize(
    "path", ["/storage/v1/object/", f"/rest/v1/{USERS}", f"/rest/v1/{DATA}"], ids=["object", "user", "payload"]
)
def test_a_key_that_the_other_side_repeats_is_not_shown(project: Project, adapter: SupabaseAdapter, path: str) -> None:
    for status in (401, 500):
        said = json.dumps({"message": f"Invalid API key {project.key}, \u202e sent by {project.key}"})
        project.reply_next("POST", path, Reply(status, said.encode(), {"content-type": "application/json"}))
        (result,) = adapter.deliver([daily()])
        assert "Invalid API key ****" in result.detail
        assert project.key not in repr(result)
        assert "\u202e" not in result.detail


def test_an_answer_that_is_no_list_of_rows_is_said_to_be_none(project: Project, adapter: SupabaseAdapter) -> None:
    project.reply_next("GET", "user_id=in.", Reply(200, b"<html>a portal</html>", PLAIN))
    (result,) = adapter.deliver([daily()])
    assert (result.outcome, result.code, result.effect) == (Outcome.RETRY, "bad_response", Effect.FAILURE)
