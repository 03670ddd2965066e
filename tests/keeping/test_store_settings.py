"""The payload store by settings: what is missing is said, and what is not chosen is not loaded."""

import json
import subprocess
import sys
from typing import Any

import pytest
from django.core.checks import Tags, run_checks

from destinations.egress import own_endpoints
from terra_hub.checks import payloads_travel_by_tls
from tests.hub import ROOT, environment
from tests.test_egress import hub_settings

pytestmark = pytest.mark.databaseless

S3 = {"PAYLOAD_STORE": "s3", "PAYLOAD_S3_BUCKET": "b", "PAYLOAD_S3_REGION": "eu-west-1"}
GCS = {"PAYLOAD_STORE": "gcs", "PAYLOAD_GCS_BUCKET": "b"}


NOTHING = {
    "PAYLOAD_S3_BUCKET": "", "PAYLOAD_S3_REGION": "", "PAYLOAD_S3_ENDPOINT": "", "PAYLOAD_S3_ACCESS_KEY_ID": "",
    "PAYLOAD_S3_SECRET_ACCESS_KEY": "", "PAYLOAD_GCS_BUCKET": "", "PAYLOAD_GCS_KEY": "",
}  # fmt: skip


def said_by_the_check(settings: Any, given: dict[str, str]) -> str:
    for name, value in (NOTHING | given).items():
        setattr(settings, name, value)
    return " ".join(message.msg for message in run_checks(tags=[Tags.files]))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"PAYLOAD_STORE": "s3"}, ["PAYLOAD_S3_BUCKET is not set", "PAYLOAD_S3_REGION is not set"]),
        ({**S3, "PAYLOAD_S3_ACCESS_KEY_ID": "AK"}, ["PAYLOAD_S3_SECRET_ACCESS_KEY go together"]),
        ({"PAYLOAD_STORE": "gcs"}, ["PAYLOAD_GCS_BUCKET is not set"]),
        ({**GCS, "PAYLOAD_GCS_KEY": '{"type": "authorized_user"}'}, ["PAYLOAD_GCS_KEY is not the JSON key"]),
        ({**GCS, "PAYLOAD_GCS_KEY": "no JSON"}, ["PAYLOAD_GCS_KEY is not the JSON key"]),
    ],
)
def test_a_store_without_what_it_needs_is_refused_in_words(
    settings: Any, given: dict[str, str], said: list[str]
) -> None:
    found = said_by_the_check(settings, given)
    assert [words for words in said if words not in found] == []


def test_a_store_with_what_it_needs_passes(settings: Any) -> None:
    endpoint = S3 | {"PAYLOAD_S3_REGION": "", "PAYLOAD_S3_ENDPOINT": "http://127.0.0.1:9000"}
    key = GCS | {"PAYLOAD_GCS_KEY": json.dumps({"type": "service_account"})}
    assert [said_by_the_check(settings, given) for given in (S3, endpoint, GCS, key)] == [""] * 4


def test_a_store_that_is_reached_in_clear_is_warned_of(settings: Any) -> None:
    settings.PAYLOAD_S3_ENDPOINT = "http://minio.internal:9000"
    said = [message.id for message in payloads_travel_by_tls()]
    for endpoint in ("https://minio.internal:9000", "http://127.0.0.1:9000", ""):
        settings.PAYLOAD_S3_ENDPOINT = endpoint
        assert payloads_travel_by_tls() == []
    assert said == ["hub.W002"]


def test_the_commands_refuse_to_start_with_a_store_that_is_not_complete() -> None:
    done = manage("check", PAYLOAD_STORE="s3")
    assert (done.returncode, "PAYLOAD_S3_BUCKET is not set" in done.stderr) == (1, True)


def test_a_store_that_the_hub_does_not_have_is_refused_in_words() -> None:
    ran = manage("check", PAYLOAD_STORE="azure")
    assert (
        ran.stderr
        == "Error: PAYLOAD_STORE is 'azure', which is not one of file, s3, gcs. Example: PAYLOAD_STORE=file\n"
    )


def manage(command: str, **env: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "manage.py", command], cwd=ROOT, env=environment(**env), capture_output=True, text=True
    )


def test_no_store_is_loaded_before_a_large_body_needs_it() -> None:
    """Else every process would start a second later and 30 MB larger, for bodies that it may never see."""
    code = (
        "import sys, django; django.setup()\n"
        "from django.core.files.storage import storages\n"
        "import terra_hub.asgi, webhooks.views, webhooks.delivering.worker\n"
        "def loaded(): return {'boto3', 'google', 'storages'} & {name.split('.')[0] for name in sys.modules}\n"
        "print(loaded()); storages['payloads']; print(sorted(loaded()))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment(**S3), capture_output=True, text=True)
    assert done.stdout.splitlines() == ["set()", "['boto3', 'storages']"], done.stderr


def test_destinations_do_not_dial_a_payload_store_in_the_hubs_own_network() -> None:
    def own(endpoint: str, store: str = "s3") -> set[tuple[str, int]]:
        name = f"PAYLOAD_{store.upper()}_ENDPOINT"
        return set(own_endpoints(hub_settings(PAYLOAD_STORE=store, **{name: endpoint}))) - {("hub.example", 443)}

    assert own("http://10.1.1.4:9000/") == {("10.1.1.4", 9000)}
    assert own("https://192.168.3.4", "gcs") == {("192.168.3.4", 443)}
    assert ("localhost", 9000) in own("http://localhost:9000")
    # A provider's address: destinations may have buckets there.
    assert own("https://8.8.8.8") == set()
    assert own_endpoints(hub_settings(PAYLOAD_STORE="file", PAYLOAD_S3_ENDPOINT="http://10.1.1.4")) == (
        ("hub.example", 443),
    )
