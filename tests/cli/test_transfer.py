"""Destinations as a file: exported without a secret, planned, and imported all or not at all."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.db import connection

from destinations import egress, importing, transfer
from destinations.models import Destination
from destinations.registry import type_names
from destinations.rules import Refused
from destinations.services import create_destination
from tests.api_support import CANARY, make_database, make_destination, refused, stored
from tests.cli.support import hub
from tests.services.authority import Authority
from tests.services.gcs import key_file

pytestmark = pytest.mark.django_db

KEY = key_file("terra-hub@my-project.iam.gserviceaccount.com", "0123456789abcdef0123456789abcdef01234567")
AWS = {"access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": CANARY}
LOGIN = {"host": "127.0.0.1", "database": "health", "username": "hub"}
EVERY_TYPE: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "webhook": (
        {"url": "http://127.0.0.1:18999/hook", "auth": "bearer", "headers": {"X-Team": "a: b # 'c'"}},
        {"token": CANARY, "secret_headers": {"X-Api-Key": CANARY}, "secret_query": {"sig": CANARY}},
    ),
    "postgres": ({**LOGIN, "port": 5433}, {"password": CANARY}),
    "mysql": ({**LOGIN, "ca_certificate": Authority().pem.strip()}, {"password": CANARY}),
    "supabase": ({"project_url": "http://127.0.0.1:18999"}, {"api_key": f"sb_secret_{CANARY}"}),
    "s3": ({"bucket": "a-bucket", "region": "eu-west-1"}, AWS),
    "gcs": ({"bucket": "a-bucket"}, {"service_account_key": KEY}),
    "azureblob": (
        {"account": "anaccount", "container": "a-container", "auth": "account_key"}, {"account_key": "a2V5" * 22},
    ),
    "sqs": ({"queue": "123456789012/terra", "region": "eu-west-1"}, AWS),
}  # fmt: skip
SETTINGS: dict[str, Any] = {
    "event_types": ["daily", "sleep"], "schedule": [30.0, 90.0], "timeout_s": 12.5, "concurrency": 3,
    "disable_after_hours": 7, "paused": True, "active": False,
}  # fmt: skip
COLUMNS = ("name", "type", "config", *SETTINGS)


def made() -> list[Destination]:
    return [
        create_destination(
            type=name, name=f"my {name} – ø", config=config, credentials=dict(credentials), **SETTINGS
        ).destination
        for name, (config, credentials) in EVERY_TYPE.items()
    ]  # fmt: skip


def told(rows: Any) -> list[dict[str, Any]]:
    return [{**{c: getattr(row, c) for c in COLUMNS}, "credentials": row.credentials} for row in rows]


def filling(rows: list[Destination]) -> dict[str, str]:
    """Return the environment that fills the holes of an export of these rows."""
    document = transfer.exported(rows)
    return {
        transfer.hole_of(hole): row.credentials[name]
        for row, entry in zip(rows, document["destinations"], strict=True)
        for name, hole in entry["credentials"].items()
    }


def document(*entries: Mapping[str, Any]) -> str:
    text: str = yaml.safe_dump({"version": 1, "destinations": list(entries)})
    return text


WAREHOUSE = {"name": "warehouse", "type": "postgres", "config": LOGIN, "credentials": {"password": "${PW}"}}


# --- there and back -------------------------------------------------------------------------------------
def test_every_type_comes_back_the_same_on_an_empty_hub(tmp_path: Path) -> None:
    assert list(EVERY_TYPE) == type_names()
    rows = made()
    before, env = told(Destination.objects.order_by("name")), filling(sorted(rows, key=lambda row: row.name))
    file = tmp_path / "hub.yaml"
    hub("export", "-o", str(file))
    text = file.read_text()
    assert not [secret for row in rows for secret in row.credentials.values() if secret in text]
    Destination.objects.all().delete()

    hub("import", str(file), "--yes", env=env)

    assert told(Destination.objects.order_by("name")) == before
    again = hub("import", str(file), env=env)  # nothing to change, so nothing to confirm
    assert "There is nothing to change." in again.err
    assert "Plan: 8 unchanged." in hub("import", str(file)).err  # nor are the secrets needed then
    assert {row.version for row in Destination.objects.all()} == {1}


def test_what_an_export_holds_in_clear_is_said_in_it_and_beside_it(tmp_path: Path) -> None:
    hook = "http://127.0.0.1:18999/hook"
    make_destination("plain")
    make_destination("open", config={"url": f"{hook}?team=t3am", "headers": {"X-Team": "t3am"}})

    for manner in ([], ["--json"]):
        ran = hub("export", *manner)
        assert ran.err == (
            "Warning: 'open': the headers X-Team and the query string of its URL are exported in clear.\n"
        )
    assert "a webhook's URL and headers\n# are config and stand here in clear." in hub("export").out
    assert hub("export", "--destination", "plain").err == ""


def test_a_file_that_is_there_is_not_written_over_unless_forced(tmp_path: Path) -> None:
    file = tmp_path / "hub.yaml"
    file.write_text("mine")

    assert "is there already" in hub("export", "-o", str(file), code=1).err
    assert file.read_text() == "mine"
    hub("export", "-o", str(file), "--force")
    assert "version: 1" in file.read_text()


def test_one_destination_may_be_exported_and_json_is_read_too() -> None:
    make_database("warehouse")
    make_destination("orders")
    found = hub("export", "--destination", "ware", "--json")
    assert [entry["name"] for entry in found.json["destinations"]] == ["warehouse"]
    assert "1 unchanged" in hub("import", "-", input=found.out).err


def test_holes_have_names_that_a_shell_takes_and_no_two_are_one() -> None:
    rows = [make_database(name) for name in ("eu warehouse", "eu-warehouse", "1st", "ø")]
    holes = transfer.holes_in(transfer.exported(rows))
    assert holes == ["EU_WAREHOUSE_PASSWORD", "EU_WAREHOUSE_PASSWORD_2", "D_1ST_PASSWORD", "PASSWORD"]


def test_a_destination_whose_secrets_do_not_open_is_exported_too() -> None:
    row = make_database("warehouse")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE destinations_destination SET credentials = %s", ["v1:gone:AAAA"])
    assert transfer.exported([stored(row)])["destinations"][0]["credentials"] == {"password": "${WAREHOUSE_PASSWORD}"}


# --- the plan -------------------------------------------------------------------------------------------------
def test_the_plan_names_each_field_and_of_a_secret_only_its_hole(tmp_path: Path) -> None:
    row = make_database("warehouse", "old")
    entry = {**WAREHOUSE, "config": {**LOGIN, "schema": "health"}, "timeout_s": 5, "event_types": ["daily"]}

    ran = hub("import", "-", "--dry-run", input=document(entry), env={"PW": CANARY})

    assert ran.out.splitlines() == [
        "~ warehouse (postgres): changes",
        "    config.schema: public -> health",
        "    credentials.password: set from ${PW}",
        "    event_types: nothing -> daily",
        "    timeout_s: 30.0 -> 5",
    ]
    assert "Dry run: nothing was changed." in ran.err
    assert stored(row).version == row.version
    [change] = hub("import", "-", "--yes", "--json", input=document(entry), env={"PW": CANARY}).json
    assert (change["action"], change["id"]) == ("update", str(row.pk))
    assert CANARY not in str(change)
    assert stored(row).credentials["password"] == CANARY


def test_the_config_of_the_file_is_the_whole_config_and_other_things_stay() -> None:
    row = make_database("warehouse", schema="health")
    Destination.objects.update(timeout_s=7)
    hub("import", "-", "--yes", input=document({**WAREHOUSE, "credentials": {}}))
    assert (stored(row).config, stored(row).timeout_s) == (LOGIN, 7)
    assert stored(row).credentials["password"] == CANARY


def test_an_import_never_deletes() -> None:
    make_destination("other")
    hub("import", "-", "--yes", input=document(WAREHOUSE), env={"PW": CANARY})
    assert set(Destination.objects.present().values_list("name", flat=True)) == {"other", "warehouse"}


# --- holes ------------------------------------------------------------------------------------------------------
def test_a_hole_that_nothing_fills_is_refused_by_its_name() -> None:
    ran = hub("import", "-", "--yes", input=document(WAREHOUSE), code=1)
    assert "destinations.0.credentials.password: ${PW} is not set, and 'warehouse' is new here." in ran.err
    assert not Destination.objects.exists()


def test_a_hole_is_filled_from_a_file_too(tmp_path: Path) -> None:
    (tmp_path / "pw").write_text(f"{CANARY}\n")
    hub("import", "-", "--yes", input=document(WAREHOUSE), env={"PW_FILE": str(tmp_path / "pw")})
    assert Destination.objects.get().credentials["password"] == CANARY
    hub("import", "-", "--yes", input=document(WAREHOUSE), env={"PW_FILE": "/nowhere"}, code=1)


@pytest.mark.parametrize(
    "name", ["SECRET_KEY", "secret_key", "DATABASE_URL_FILE", "PAYLOAD_S3_SECRET_ACCESS_KEY", "HOME"]
)
def test_no_hole_is_filled_with_a_setting_of_the_hubs_own(name: str) -> None:
    entry = {**WAREHOUSE, "credentials": {"password": f"${{{name}}}"}}
    for env in ({name: CANARY}, {}):
        ran = hub("import", "-", "--yes", input=document(entry), env=env, code=1)
        assert f"destinations.0.credentials.password: ${{{name}}} is the hub's or the host's own." in ran.err
    assert not Destination.objects.exists()


def test_an_export_names_no_hole_like_a_setting() -> None:
    rows = [make_database("secret"), make_database("postgres")]
    assert transfer.holes_in(transfer.exported(rows)) == ["SECRET_PASSWORD", "D_POSTGRES_PASSWORD"]


def test_an_unfilled_hole_keeps_the_stored_secret_unless_it_would_go_elsewhere() -> None:
    row = make_database("warehouse")
    changed = {**WAREHOUSE, "config": {**LOGIN, "schema": "health"}}
    ran = hub("import", "-", "--yes", input=document(changed))
    assert "credentials.password: kept as it is here" in ran.out
    assert (stored(row).config["schema"], stored(row).credentials["password"]) == ("health", CANARY)

    moved = {**changed, "config": {**LOGIN, "host": "127.0.0.2"}}
    ran = hub("import", "-", "--yes", input=document(moved), code=1)

    assert "${PW} is not set, and config.host changes: the stored value is never sent elsewhere." in ran.err
    assert stored(row).config["host"] == "127.0.0.1"
    hub("import", "-", "--yes", input=document(moved), env={"PW": CANARY})
    assert stored(row).config["host"] == "127.0.0.2"


def test_a_stored_secret_is_not_sent_elsewhere_by_leaving_its_hole_out() -> None:
    make_database("warehouse")
    moved = {**WAREHOUSE, "config": {**LOGIN, "host": "127.0.0.2"}, "credentials": {}}
    ran = hub("import", "-", "--yes", input=document(moved), code=1)
    assert "destinations.0.credentials.password: Send this again: config.host changes" in ran.err


def test_a_secret_in_the_file_is_refused_unless_it_is_allowed_and_never_repeated() -> None:
    text = document({**WAREHOUSE, "credentials": {"password": CANARY}})
    ran = hub("import", "-", "--yes", input=text, code=1)
    assert "destinations.0.credentials.password: A secret stands in the file itself." in ran.err
    allowed = hub("import", "-", "--yes", "--allow-literal-secrets", input=text)
    assert "Warning: the file holds secrets: destinations.0.credentials.password" in allowed.err
    assert "set from the file" in allowed.out
    assert CANARY not in ran.out + ran.err + allowed.out + allowed.err
    assert Destination.objects.get().credentials["password"] == CANARY


def test_a_secret_that_the_hub_makes_is_printed_once() -> None:
    entry = {"name": "orders", "type": "webhook", "config": {"url": "http://127.0.0.1:18999/hook"}}
    assert "whsec_" not in hub("import", "-", "--dry-run", "--json", input=document(entry)).out
    ran = hub("import", "-", "--yes", input=document(entry))
    assert Destination.objects.get().credentials["signing_secret"] in ran.out.splitlines()


# --- all or nothing -------------------------------------------------------------------------------------------------
def test_one_wrong_entry_and_nothing_is_changed() -> None:
    row = make_destination("orders")
    good = {"name": "orders", "type": "webhook", "config": {"url": "http://127.0.0.1:18999/other"}}
    wrong = {**WAREHOUSE, "sources": ["nowhere"]}

    ran = hub("import", "-", "--yes", input=document(good, wrong), env={"PW": "x"}, code=1)

    assert "destinations.1.sources: No source has the slug 'nowhere'." in ran.err
    assert stored(row).config == row.config
    assert Destination.objects.count() == 1
    assert hub("import", "-", "--dry-run", input=document(good, wrong), env={"PW": "x"}, code=1).err == ran.err


@pytest.mark.django_db(transaction=True)
def test_no_transaction_waits_for_a_name_server(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve, waited = egress.resolve, []

    def watched(*args: Any, **options: Any) -> Any:
        waited.append(connection.in_atomic_block)
        return resolve(*args, **options)

    monkeypatch.setattr(egress, "resolve", watched)
    webhook = ("--type", "webhook", "--name", "x", "--set", "url=http://localhost:18999/hook", "--dry-run")
    hub("import", "-", "--yes", input=document(WAREHOUSE), env={"PW": "x"})
    hub("import", "-", "--dry-run", input=document({**WAREHOUSE, "name": "other"}), env={"PW": "x"})
    hub("destinations", "add", *webhook)
    hub("destinations", "set", "warehouse", "--set", "port=5433", "--dry-run", env={"HUB_SECRET_PASSWORD": "x"})
    assert waited == [False] * 4


def test_without_a_yes_nothing_is_changed() -> None:
    assert "Add --yes" in hub("import", "-", input=document(WAREHOUSE), env={"PW": "x"}, code=1).err
    assert not Destination.objects.exists()


def test_a_type_is_fixed() -> None:
    make_destination("warehouse")
    ran = hub("import", "-", "--yes", input=document(WAREHOUSE), env={"PW": "x"}, code=1)
    assert "destinations.0.type: Here it is webhook: a type is fixed." in ran.err


def test_what_was_changed_meanwhile_is_not_overwritten() -> None:
    row = make_database("warehouse")
    changes = importing.planned(transfer.read(document({**WAREHOUSE, "timeout_s": 5})), lambda hole: None)
    hub("destinations", "set", "warehouse", "--timeout-s", "9")
    assert refused(importing.apply, changes).code == "conflict"
    assert stored(row).timeout_s == 9


# --- reading ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "path", "told"),
    [
        ("", "", "must be a mapping"),
        ("[]", "", "must be a mapping"),
        ("version: 2\ndestinations: []", "version", "Must be 1"),
        ("version: true\ndestinations: []", "version", "Must be 1"),
        ("destinations: []", "version", "Must be 1"),
        ("version: 1", "destinations", "Must be a list"),
        ("version: 1\ndestinations: [x]", "destinations.0", "Must be a mapping"),
        ("version: 1\ndestinations: [{name: a}]", "destinations.0.type", "Is missing."),
        ("version: 1\ndestinations: [{name: 1, type: webhook}]", "destinations.0.name", "Must be text."),
        ("version: 1\ndestinations: [{name: a, type: webhook, config: [1]}]", "destinations.0.config", "Must be a map"),
        ("version: 1\ndestinations: [{name: a, type: webhook, id: 1}]", "destinations.0.id", "Unknown. Known here: na"),
        ("version: 1\nsources: []\ndestinations: []", "sources", "Unknown."),
        ("version: 1\ndestinations: [{name: a, type: sqs}, {name: a, type: sqs}]", "destinations.1.name", "already"),
        ("version: 1\nversion: 1\ndestinations: []", "", "'version' is there twice in line 2"),
        ("a: &x [1]\nb: *x", "", "anchors and aliases are not read in line 2"),
        ("a: !!python/object/apply:os.system [id]", "", "could not determine a constructor"),
        ("a: [", "", "in line 1"),
        ("[" * 1_000, "", "no YAML that can be read"),
        ("x" * (transfer.MOST_BYTES + 1), "", "longer than 1 MiB"),
        ("a: \x00", "", "no YAML that can be read"),
        ("? {a: b}\n: 1", "", "a name must be text"),
        ("a: 2026-99-99", "", "no YAML that can be read"),
    ],
)
def test_a_file_that_cannot_be_read_says_where_and_why(text: str, path: str, told: str) -> None:
    with pytest.raises(Refused) as caught:
        transfer.read(text)
    assert told in " ".join(caught.value.errors[path])


def test_what_cannot_be_read_is_not_repeated() -> None:
    with pytest.raises(Refused) as caught:
        transfer.read(f"version: 1\ndestinations:\n- credentials: {{password: '{CANARY}}}")
    assert CANARY not in str(caught.value.errors)


def test_an_unknown_field_or_type_is_told_with_its_place() -> None:
    ran = hub("import", "-", input=document({**WAREHOUSE, "credentials": {"pass": "${PW}"}}), code=1)
    assert "destinations.0.credentials.pass: Unknown field. Known fields: password." in ran.err
    ran = hub("import", "-", input=document({**WAREHOUSE, "type": "oracle"}), code=1)
    assert "destinations.0.type: Unknown destination type 'oracle'." in ran.err
    ran = hub("import", "-", "--yes", input=document({**WAREHOUSE, "config": {"hots": "x"}}), env={"PW": "x"}, code=1)
    assert "destinations.0.config.hots: Unknown field." in ran.err
