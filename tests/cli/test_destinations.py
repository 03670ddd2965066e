"""Destinations, sources and keys from the command line: what is typed, what is stored, and what is never shown."""

from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from destinations.access.keys import find_key
from destinations.models import ApiKey, Destination
from destinations.registry import type_names
from tests.api_support import CANARY, history, make_database, make_destination, make_source, stored
from tests.cli.support import hub
from tests.cli.terminal import Terminal
from tests.services.authority import Authority
from webhooks.models import Delivery, Event, Source
from webhooks.receiving.sources import signing_secrets_summary

WEBHOOK = ("destinations", "add", "--type", "webhook", "--name", "orders", "--set", "url=http://127.0.0.1:18999/hook")
POSTGRES = (
    "destinations", "add", "--type", "postgres", "--name", "warehouse", "--set", "host=127.0.0.1",
    "--set", "database=health", "--set", "username=hub",
)  # fmt: skip
pytestmark = [pytest.mark.django_db, pytest.mark.databaseless]


# --- fields -----------------------------------------------------------------------------------------
def test_what_is_typed_is_stored_as_the_fields_are(tmp_path: Path) -> None:
    certificate = Authority().pem
    (tmp_path / "ca.pem").write_text(certificate)
    make_source("clinic")

    hub(
        *POSTGRES, "--set", "port=5433", "--set", f"ca_certificate=@{tmp_path / 'ca.pem'}", "--event-types",
        "daily,sleep", "--event-types", "body", "--sources", "clinic", "--schedule", "30,90.5", "--timeout-s", "12",
        "--concurrency", "3", "--disable-after-hours", "0", env={"HUB_SECRET_PASSWORD": CANARY},
    )  # fmt: skip

    row = Destination.objects.get(name="warehouse")
    assert row.config == {
        "host": "127.0.0.1", "database": "health", "username": "hub", "port": 5433,
        "ca_certificate": certificate.rstrip("\n"),
    }  # fmt: skip
    assert row.event_types == ["daily", "sleep", "body"]
    assert (row.sources, row.schedule, row.timeout_s, row.concurrency) == (["clinic"], [30, 90.5], 12, 3)
    assert row.disable_after_hours == 0
    assert row.credentials == {"password": CANARY}
    assert history(row)[0].startswith("created by command line (")


def test_json_and_truth_are_read() -> None:
    hub(*WEBHOOK, "--set", 'config.headers={"X-Team": "care"}')
    assert Destination.objects.get().config["headers"] == {"X-Team": "care"}
    hub("destinations", "set", "orders", "--unset", "headers")
    assert "headers" not in Destination.objects.get().config
    assert "headers: '[1' is not JSON" in hub("destinations", "set", "orders", "--set", "headers=[1", code=1).err


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("port=many", "port: 'many' is not a whole number."),
        ("prot=1", "Did you mean port?"),
        ("port", "--set takes NAME=VALUE"),
        ("port=70000", "config.port: Must be at most 65535."),
    ],
)
def test_a_wrong_field_says_what_to_change(said: str, told: str) -> None:
    assert told in hub(*POSTGRES, "--set", said, code=1, env={"HUB_SECRET_PASSWORD": "x"}).err
    assert not Destination.objects.exists()


def test_a_change_names_only_what_changes() -> None:
    row = make_destination("orders", event_types=["daily"])
    hub("destinations", "set", "orders", "--name", "renamed", "--timeout-s", "5")
    now = stored(row)
    assert (now.name, now.timeout_s, now.event_types, now.config) == ("renamed", 5, ["daily"], row.config)
    hub("destinations", "set", "renamed", "--event-types", "")
    assert stored(row).event_types == []
    assert "Nothing was named" in hub("destinations", "set", "renamed", code=1).err


@pytest.mark.parametrize(
    "arguments",
    [
        ("set", "orders", "--name", "other"),
        ("pause", "orders"),
        ("resume", "orders"),
        ("disable", "orders"),
        ("enable", "orders"),
        ("remove", "orders"),
        ("rotate-secret", "orders"),
        ("test", "orders"),
        (*WEBHOOK[1:5], "new", *WEBHOOK[6:]),
    ],
)
def test_a_dry_run_changes_nothing_and_shows_no_secret(arguments: tuple[str, ...]) -> None:
    make_source()
    row = make_destination("orders", paused=True, active="enable" not in arguments)
    before = list(Destination.objects.values()), Destination.history.count(), Event.objects.count()

    ran = hub("destinations", *arguments, "--dry-run")

    assert "Dry run: nothing was changed." in ran.err
    assert "whsec_" not in ran.out
    assert (list(Destination.objects.values()), Destination.history.count(), Event.objects.count()) == before
    assert stored(row).version == row.version


# --- which one ------------------------------------------------------------------------------------------
def test_a_name_an_id_or_the_beginning_of_one_chooses() -> None:
    long, short = make_destination("orders-eu"), make_destination("orders")
    assert hub("destinations", "show", "orders", "--json").json["id"] == str(short.pk)  # the whole name wins
    assert hub("destinations", "show", "orders-", "--json").json["id"] == str(long.pk)
    assert hub("destinations", "show", str(long.pk), "--json").json["name"] == "orders-eu"

    refusal = hub("destinations", "show", "ord", code=1).err

    assert "names more than one destination" in refusal
    assert str(long.pk) in refusal
    assert str(short.pk) in refusal
    assert hub("destinations", "show", "", code=3).out == ""


def test_two_keys_of_one_name_are_told_apart_by_their_beginnings() -> None:
    first, second = (hub("keys", "add", "dash", "--scopes", "events:read").out.strip()[:17] for _ in range(2))

    refusal = hub("keys", "revoke", "dash", "--yes", code=1).err
    hub("keys", "revoke", second, "--yes")

    assert "Hint: Give its id, or its beginning (hub_live_…)." in refusal
    assert first in refusal
    assert [row["prefix"] for row in hub("keys", "list", "--json").json] == [first]


def test_a_deleted_one_is_not_there() -> None:
    make_destination("orders")
    hub("destinations", "remove", "orders", "--yes")
    assert "There is none yet" in hub("destinations", "show", "orders", code=3).err


# --- secrets ----------------------------------------------------------------------------------------------
def test_a_secret_comes_from_variables_files_and_standard_input(tmp_path: Path) -> None:
    row = make_database("warehouse", "before")
    (tmp_path / "secret").write_text("from a file\n")
    for arguments, given, secret in [
        ((), {"env": {"HUB_SECRET_PASSWORD": "from its variable"}}, "from its variable"),
        (("--secret-env", "password=PGPASSWORD"), {"env": {"PGPASSWORD": "from another"}}, "from another"),
        (("--secret-file", f"password={tmp_path / 'secret'}"), {}, "from a file"),
        (("--secret-file", "credentials.password=-"), {"input": "from a pipe\r\n"}, "from a pipe"),
    ]:
        hub("destinations", "set", "warehouse", *arguments, **given)  # type: ignore[arg-type]
        assert stored(row).credentials["password"] == secret


@pytest.mark.parametrize("said", [f"password={CANARY}", f"credentials.password={CANARY}"])
def test_a_secret_among_the_arguments_is_refused_and_not_repeated(said: str) -> None:
    for command in (POSTGRES, ("destinations", "set", make_database("other").name)):
        ran = hub(*command, "--set", said, code=1)
        assert "credentials.password: A secret is never given as an argument" in ran.err
        assert "HUB_SECRET_PASSWORD" in ran.err
        assert CANARY not in ran.out + ran.err


def test_where_nobody_can_be_asked_a_missing_secret_is_refused_with_the_ways_to_give_it() -> None:
    ran = hub(*POSTGRES, code=1)
    assert "credentials.password: This field is required." in ran.err
    assert "HUB_SECRET_PASSWORD, --secret-env password=VARIABLE or --secret-file password=PATH" in ran.err
    assert "no variable NOPE" in hub(*POSTGRES, "--secret-env", "password=NOPE", code=1).err
    assert "cannot be read" in hub(*POSTGRES, "--secret-file", "password=/nowhere", code=1).err
    assert "Secrets here: password" in hub(*POSTGRES, "--secret-env", "host=HOME", code=1).err


def test_no_command_shows_a_stored_secret() -> None:
    make_database("warehouse")
    for arguments in (("list",), ("show", "warehouse"), ("set", "warehouse", "--timeout-s", "5"), ("setup", "ware")):
        for manner in ((), ("--json",)):
            ran = hub("destinations", *arguments, *manner)
            assert CANARY not in ran.out + ran.err


def test_what_the_hub_makes_is_shown_once() -> None:
    ran = hub(*WEBHOOK, "--json")
    assert ran.json["signing_secret"] == Destination.objects.get().credentials["signing_secret"]
    rotated = hub("destinations", "rotate-secret", "orders", "--grace-s", "60")
    assert rotated.out.splitlines() == [Destination.objects.get().credentials["signing_secret"]]
    assert rotated.out.strip() not in hub("destinations", "show", "orders", "--json").out


def test_at_a_terminal_what_is_missing_is_asked_for_and_secrets_are_not_shown(terminal: Terminal) -> None:
    answers = ["postgres", "warehouse", "127.0.0.1", "health", "hub", CANARY]
    printed = terminal.run("terra-hub destinations add --set port=5433", answers)
    assert "Password:" in printed
    assert CANARY not in printed
    row = Destination.objects.get()
    assert (row.name, row.config["port"], row.credentials["password"]) == ("warehouse", 5433, CANARY)

    printed = terminal.run("terra-hub destinations set warehouse --set host=127.0.0.2", ["another-secret"])

    assert "config.host changes" in printed
    assert "another-secret" not in printed
    assert stored(row).credentials["password"] == "another-secret"


# --- the other commands -------------------------------------------------------------------------------------
def test_types_and_their_fields_are_listed_without_a_database() -> None:
    out = hub("destinations", "types").out
    assert [line.split()[0] for line in out.splitlines()[1:]] == type_names()
    fields = hub("destinations", "types", "postgres").out
    assert "A secret: prompt, environment or file." in fields
    assert hub("destinations", "types", "postgres", "--json").json["type"] == "postgres"
    assert "Known types" in hub("destinations", "types", "oracle", code=1).err


def test_setup_prints_what_is_to_be_pasted() -> None:
    make_database("warehouse")
    assert "GRANT" in hub("destinations", "setup", "warehouse").out
    assert hub("destinations", "setup", "warehouse", "--json").json[0]["name"] == "steps"


def test_a_test_event_is_queued_for_the_one_destination() -> None:
    make_source()
    row, other = make_destination("orders"), make_destination("other")
    ran = hub("destinations", "test", "orders")
    delivery = Delivery.objects.get(pk=int(ran.out))
    assert (delivery.destination, other.pk in Delivery.objects.values_list("destination", flat=True)) == (row, False)


def test_a_source_is_made_changed_and_given_another_secret(tmp_path: Path) -> None:
    ran = hub("sources", "add", "clinic", "--allowlist", "10.0.0.0/8", env={"HUB_SECRET_SECRET": "first-of-terra"})
    assert "webhooks/terra/clinic" in ran.err
    hub("sources", "set", "clinic", "--name", "Clinic", "--enforce-allowlist", "--strict", "--tolerance-s", "60")
    hub("sources", "add-secret", "cli", "--secret-file", "secret=-", input="second-of-terra\n")

    row = Source.objects.get(slug="clinic")
    assert (row.name, row.strict, row.tolerance_s) == ("Clinic", True, 60)
    assert (row.allowlist, row.allowlist_enforced) == (["10.0.0.0/8"], True)
    assert [entry["current"] for entry in signing_secrets_summary(row)] == [True, False]
    assert hub("sources", "url", "clinic").out == "http://localhost:8000/webhooks/terra/clinic\n"
    for arguments in (("list",), ("show", "clinic"), ("show", "clinic", "--json")):
        assert "-of-terra" not in hub("sources", *arguments).out
    short = hub("sources", "add-secret", "clinic", code=1, env={"HUB_SECRET_SECRET": "x"})
    assert "secret: Paste the signing secret" in short.err
    assert "slug:" in hub("sources", "add", "Not A Slug", code=1).err
    assert "--secret-file secret=PATH" in hub("sources", "add-secret", "clinic", code=1).err


def test_a_key_is_printed_once_alone_and_opens_the_api(client: Client) -> None:
    make_source("clinic")
    ran = hub("keys", "add", "dash", "--scopes", "destinations:read", "--expires-in-days", "30")
    text = ran.out.strip()
    assert ran.out == f"{text}\n"
    assert find_key(text) == ApiKey.objects.get()
    assert text not in ran.err + hub("keys", "show", "dash").out + hub("keys", "list", "--json").out
    headers: dict[str, Any] = {"headers": {"Authorization": f"Bearer {text}"}}
    assert client.get("/api/v1/destinations", **headers).status_code == 200

    hub("keys", "revoke", "dash", "--yes")

    assert client.get("/api/v1/destinations", **headers).status_code == 401
    assert hub("keys", "list", "--json").json == []
    assert [row["state"] for row in hub("keys", "list", "--all", "--json").json] == ["revoked"]
    assert ApiKey.objects.get().created_by.startswith("command line (")
    assert "scopes: Give one or more of" in hub("keys", "add", "x", "--scopes", "everything", code=1).err


def test_a_key_lives_for_ninety_days_unless_never_is_said() -> None:
    said = hub("keys", "add", "a", "--scopes", "events:read")
    hub("keys", "add", "b", "--scopes", "events:read", "--never-expires")
    both = hub("keys", "add", "c", "--scopes", "events:read", "--never-expires", "--expires-in-days", "9", code=1)

    ends = dict(ApiKey.objects.values_list("name", "expires_at"))
    assert "It ends in 90 days: --expires-in-days or --never-expires say otherwise." in said.err
    assert (ends["a"] - timezone.now()).days in (89, 90)
    assert ends["b"] is None
    assert "give one of them" in both.err
