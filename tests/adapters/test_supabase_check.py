"""What the check of a Supabase destination says, and what the operator is given to paste."""

from collections.abc import Callable
from typing import Any

import pytest

from destinations.adapters.base import Limits, Step, StepStatus
from destinations.adapters.supabase import SupabaseAdapter
from destinations.adapters.supabase_check import role_of
from destinations.adapters.supabase_config import SupabaseConfig, SupabaseCredentials
from destinations.specs import problems_of
from tests.adapters.sql_support import LOCAL
from tests.adapters.supabase_support import DATA, MISC, NEWER_FORM, OTHER, USERS, adapter_for, failed, set_up
from tests.services.supabase import Project
from tests.services.supabase_storage import Reply
from tests.sink import Sink

pytestmark = pytest.mark.databaseless

ALL = ["resolve", "connect", "TLS", "authenticate", "bucket", "tables", "write", "read back", "clean up"]


def check(project: Project, **about: Any) -> list[Step]:
    adapter = adapter_for(project, **about)
    steps = list(adapter.check())
    adapter.close()
    return steps


def traces(project: Project, *tables: str) -> list[Any]:
    """Return whatever lies in the project."""
    return [row for table in tables for row in project.rows(table)] + list(project.objects())


def test_a_good_project_passes_each_step_and_nothing_is_left(project: Project) -> None:
    steps = check(project)
    assert [step.name for step in steps] == ALL
    statuses = {step.name: step.status for step in steps if step.status is not StepStatus.PASSED}
    assert statuses == {"TLS": StepStatus.WARNING}  # the tests' project is http://
    assert any(method == "DELETE" for method, _ in project.requests)
    assert traces(project, USERS, DATA, OTHER) == []


def test_a_newer_project_passes_too_and_is_called_one(bare_project: Project) -> None:
    bare_project.paste(NEWER_FORM)
    steps = check(bare_project)
    assert [step.name for step in steps] == ALL
    assert StepStatus.FAILED not in {step.status for step in steps}
    (tables,) = [step for step in steps if step.name == "tables"]
    assert f"{MISC}: as in newer projects" in tables.detail
    assert traces(bare_project, USERS, DATA, MISC) == []


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (lambda project: project.token("anon"), "role anon"),
        (lambda project: project.token("service_role", exp=1), '"exp" claim timestamp check failed'),
        (lambda project: project.token("service_role") + "x", "signature verification failed"),
        (lambda project: "sb_secret_of_another", "Invalid API key"),
        (lambda project: "garbage", "Invalid Compact JWS"),
    ],
    ids=["anon", "expired", "changed", "other secret key", "garbage"],
)
def test_a_key_that_may_not_write_fails_at_authenticate(
    project: Project, key: Callable[[Project], str], said: str
) -> None:
    step = failed(check(project, key=key(project)))
    assert step.name == "authenticate"
    assert said in step.detail
    assert "secret key" in step.hint


def test_a_key_that_only_the_data_api_refuses_fails_at_authenticate(project: Project) -> None:
    project.rest.secret = "another-secret-of-the-data-api-alone"
    step = failed(check(project))
    assert (step.name, "PGRST301" in step.detail) == ("authenticate", True)


def test_a_missing_bucket_is_named(bare_project: Project) -> None:
    step = failed(check(bare_project))
    assert step.name == "bucket"
    assert "terra-payloads" in step.detail
    assert "SQL" in step.hint


def test_a_public_bucket_is_warned_of(project: Project) -> None:
    project.storage.buckets["terra-payloads"].public = True
    (step,) = [step for step in check(project) if step.name == "bucket"]
    assert step.status is StepStatus.WARNING
    assert "private" in step.hint


@pytest.mark.parametrize("table", [USERS, DATA, OTHER])
def test_a_missing_table_is_named_with_what_to_do(project: Project, table: str) -> None:
    project.paste(f"DROP TABLE {table}")
    step = failed(check(project))
    assert step.name == "tables"
    assert table in step.detail
    assert "SQL editor" in step.hint
    assert project.objects() == {}


@pytest.mark.parametrize(
    ("table", "column", "kind"),
    [(USERS, "state", "text"), (DATA, "end_time", "timestamptz"), (OTHER, "payload_url", "text")],
)
def test_a_missing_column_is_named_with_the_sql_that_adds_it(
    project: Project, table: str, column: str, kind: str
) -> None:
    project.paste(f"ALTER TABLE {table} DROP {column}")
    step = failed(check(project))
    assert step.name == "tables"
    assert step.detail == f"Table {table} has no column {column}."
    added = step.hint.partition("SQL editor: ")[2]
    assert added == f'ALTER TABLE "public"."{table}" ADD COLUMN {column} {kind};'
    project.paste(added)
    assert StepStatus.FAILED not in {one.status for one in check(project)}


@pytest.mark.parametrize(
    ("change", "name", "said"),
    [
        (f"REVOKE INSERT ON {DATA} FROM service_role", "write", "42501"),
        (f"REVOKE UPDATE ON {USERS} FROM service_role", "write", "42501"),
        (f"REVOKE SELECT ON {OTHER} FROM service_role", "tables", "42501"),
        (f"ALTER TABLE {OTHER} DROP CONSTRAINT {OTHER}_pkey", "write", "42P10"),
        (f"ALTER TABLE {DATA} ADD needed int NOT NULL", "write", "column needed"),
        (f"ALTER TABLE {DATA} ALTER data_type TYPE varchar(2)", "write", "22001"),
        (f"ALTER TABLE {DATA} ALTER start_time TYPE date", "read back", "start_time"),
    ],
)
def test_what_would_keep_rows_out_is_found_and_nothing_is_left(
    project: Project, change: str, name: str, said: str
) -> None:
    project.paste(change)
    step = failed(check(project))
    assert step.name == name
    assert said in step.detail
    assert step.hint
    assert traces(project, USERS, DATA, OTHER) == []


def test_a_bucket_that_takes_no_json_is_found_and_nothing_is_left(project: Project) -> None:
    project.storage.buckets["terra-payloads"].allowed_mime_types = ["image/png"]
    step = failed(check(project))
    assert (step.name, "InvalidMimeType" in step.detail) == ("write", True)
    assert traces(project, USERS, DATA, OTHER) == []


def test_an_object_that_comes_back_changed_is_found(project: Project) -> None:
    project.reply_next("GET", "/object/authenticated/", Reply(200, b"something else", {}))
    step = failed(check(project))
    assert step.name == "read back"
    assert traces(project, USERS, DATA, OTHER) == []


def test_what_cannot_be_removed_is_said(project: Project) -> None:
    project.paste(f"REVOKE DELETE ON {DATA} FROM service_role")
    steps = check(project)
    assert (steps[-1].name, steps[-1].status) == ("clean up", StepStatus.WARNING)
    assert DATA in steps[-1].detail
    assert len(project.rows(DATA)) == 1
    assert project.rows(USERS) == []
    assert project.objects() == {}


def test_a_schema_that_is_not_exposed_is_named(project: Project) -> None:
    step = failed(check(project, schema="hidden"))
    assert (step.name, "PGRST106" in step.detail) == ("tables", True)
    assert "Exposed schemas" in step.hint


def test_a_host_that_is_no_supabase_is_found(sink: Sink) -> None:
    sink.behave(status=404, body="no such page")
    config = SupabaseConfig(project_url=sink.url(""))
    adapter = SupabaseAdapter(config, SupabaseCredentials("sb_secret_x"), Limits(), LOCAL)
    step = failed(list(adapter.check()))
    assert step.name == "bucket"
    assert "no Supabase API" in step.detail


def test_tls_that_cannot_be_trusted_fails_at_tls_and_with_its_ca_passes(tls_sink: Sink) -> None:
    tls_sink.clear()
    names = []
    for ca in ("", tls_sink.ca_pem):
        config = SupabaseConfig(project_url=tls_sink.url(""), ca_certificate=ca)
        steps = list(SupabaseAdapter(config, SupabaseCredentials("sb_secret_x"), Limits(), LOCAL).check())
        names.append(failed(steps).name)
    assert names[0] == "TLS"
    assert names[1] != "TLS"


# --- set-up -----------------------------------------------------------------------------------
@pytest.mark.parametrize("schema", ["public", "Terra$Hub"])
def test_the_script_makes_all_that_is_needed_and_may_be_run_twice(bare_project: Project, schema: str) -> None:
    bare_project.rest.schemas = ("public", schema)
    for _ in range(2):
        set_up(bare_project, schema=schema)
    assert not bare_project.storage.buckets["terra-payloads"].public
    assert StepStatus.FAILED not in {step.status for step in check(bare_project, schema=schema)}


def test_the_scripts_tables_are_closed_to_the_projects_public_key(project: Project) -> None:
    project.paste(f"INSERT INTO {USERS} (user_id) VALUES ('u')")
    anon = adapter_for(project, key=project.token("anon"))
    from destinations.http import HttpClient

    client = HttpClient(LOCAL)
    answer = client.fetch(anon._api.select(USERS, ["user_id"], 10))
    client.close()
    assert (answer.status, answer.body) == (200, b"[]")


def test_names_with_quotes_stay_names(bare_project: Project) -> None:
    set_up(bare_project, bucket="it's (mine)")
    assert StepStatus.FAILED not in {step.status for step in check(bare_project, bucket="it's (mine)")}


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"project_url": "https://x.supabase.co/rest/v1"}, "project_url"),
        ({"project_url": "https://user:pass@x.supabase.co"}, "project_url"),
        ({"project_url": "x.supabase.co"}, "project_url"),
        ({"ca_certificate": "no certificate"}, "ca_certificate"),
    ],
)
def test_a_set_up_that_cannot_work_is_refused_by_field(config: dict[str, str], field: str) -> None:
    made = SupabaseConfig(**({"project_url": "https://x.supabase.co"} | config))
    assert list(SupabaseAdapter.validate(made)) == [field]


@pytest.mark.parametrize("url", ["https://x.supabase.co", "https://x.supabase.co/", "http://127.0.0.1:54321"])
def test_a_project_url_is_taken_with_and_without_its_slash(url: str) -> None:
    assert SupabaseAdapter.validate(SupabaseConfig(project_url=url)) == {}


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"bucket": "a/b"}, "bucket"),
        ({"bucket": ".."}, "bucket"),
        ({"bucket": "é"}, "bucket"),
        ({"schema": 'a"b'}, "schema"),
    ],
)
def test_names_that_do_not_fit_are_refused(values: dict[str, str], field: str) -> None:
    assert list(problems_of(SupabaseConfig, {"project_url": "https://x.supabase.co"} | values)) == [field]


@pytest.mark.parametrize("key", ["sb_publishable_abc", "with space", "line\nbreak"])
def test_keys_that_cannot_write_are_refused_at_once(key: str) -> None:
    assert list(problems_of(SupabaseCredentials, {"api_key": key})) == ["api_key"]


@pytest.mark.parametrize("key", ["", "a.b.c", "a.W10.c", "a.eyJyb2xlIjogMX0.c", "sb_secret_x", "a.é.c"])
def test_a_role_is_read_only_off_a_jwt(key: str) -> None:
    assert role_of(key) == ""


@pytest.mark.parametrize("body", [b"<html>", b"[1]", b"[" * 60_000], ids=["page", "number", "deep"])
@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("GET", "/bucket/", "bucket"),
        ("GET", f"/rest/v1/{OTHER}", "tables"),
        ("PUT", "/storage/", "write"),
        ("POST", f"/rest/v1/{DATA}", "write"),
        ("PATCH", USERS, "write"),
        ("GET", "user_id=eq.", "read back"),
    ],
)
def test_an_answer_that_is_not_supabases_fails_its_step(
    project: Project, method: str, path: str, name: str, body: bytes
) -> None:
    project.reply_next(method, path, Reply(200, body))
    step = failed(check(project))
    assert step.name == name
    assert "proxy" in step.hint


def test_a_removal_that_nobody_confirms_is_said(project: Project) -> None:
    for path in ("/storage/", "/rest/"):
        project.reply_next("DELETE", path, Reply(200, b"<html>"))
    assert "bad_response" in check(project)[-1].detail
