"""Destinations on AWS in the control plane, and an event's way through the whole hub into a bucket."""

import json
import re
from dataclasses import asdict
from typing import Any

import pytest
from django.conf import LazySettings

from destinations import services
from destinations.adapters_of import build_adapter
from destinations.checking import passed
from destinations.models import Destination
from terra_hub.checks import aws_identity_is_whole
from tests.adapters.s3_support import Folder, credentials_of, new_folder
from tests.api_support import CANARY, Api, refused, stored
from tests.hub import SAMPLES, Hub, until
from tests.services.seaweedfs import CANARY_KEY, HUB_ARN, HUB_KEY, ROLE_ARN, SeaweedServer

pytestmark = [pytest.mark.django_db, pytest.mark.databaseless]

AWS = {"bucket": "a-bucket", "region": "eu-west-1"}
KEY = {"access_key_id": "AKIAEXAMPLE", "secret_access_key": CANARY}
ROLE = {**AWS, "auth": "role", "role_arn": ROLE_ARN}


def make(config: dict[str, Any], credentials: dict[str, Any] | None = None, name: str = "bucket") -> Destination:
    made = services.create_destination(type="s3", name=name, config=config, credentials=credentials or {})
    return made.destination


@pytest.fixture
def folder(seaweed: SeaweedServer, bucket: str) -> Folder:
    return new_folder(seaweed, bucket)


@pytest.fixture
def hub_user(settings: LazySettings, seaweed: SeaweedServer) -> None:
    """Settings with the hub's own user."""
    if seaweed.process is None:
        pytest.skip("Roles need a SeaweedFS that the tests start: unset HUB_TEST_S3.")
    settings.HUB_AWS_ARN, settings.HUB_AWS_ACCESS_KEY_ID = HUB_ARN, HUB_KEY.id
    settings.HUB_AWS_SECRET_ACCESS_KEY, settings.HUB_AWS_STS_ENDPOINT = HUB_KEY.secret, seaweed.endpoint


# --- what is asked for ------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("config", "credentials", "paths"),
    [
        (AWS, {}, {"credentials.access_key_id", "credentials.secret_access_key"}),
        ({**AWS, "auth": "role"}, {}, {"config.role_arn"}),
        ({"region": "eu-west-1"}, KEY, {"config.bucket"}),
        ({**AWS, "external_id": "of-another-customer"}, KEY, {"config.external_id"}),
        (AWS, {**KEY, "external_id": "of-another-customer"}, {"credentials.external_id"}),
        ({**AWS, "endpoint_url": "http://169.254.169.254"}, KEY, {"config.endpoint_url"}),
        ({**AWS, "endpoint_url": "http://10.1.2.3:9000"}, KEY, {"config.endpoint_url"}),
        ({**AWS, "prefix": "../up"}, KEY, {"config.prefix"}),
    ],
)
def test_what_is_missing_or_not_allowed_is_said_at_its_field(
    config: dict[str, Any], credentials: dict[str, Any], paths: set[str]
) -> None:
    refusal = refused(services.create_destination, type="s3", name="b", config=config, credentials=credentials)
    assert set(refusal.errors) == paths


def test_a_role_and_the_hubs_own_user_need_no_key() -> None:
    for number, config in enumerate((ROLE, {**AWS, "auth": "ambient"})):
        assert make(config, name=str(number)).pk


def test_a_new_endpoint_asks_for_the_key_again() -> None:
    destination = make({**AWS, "endpoint_url": "http://127.0.0.1:9000"}, KEY)
    moved = {"config": {"endpoint_url": "http://127.0.0.2:9000"}}
    assert set(refused(services.update_destination, destination, **moved).errors) == {"credentials.secret_access_key"}


def test_the_secret_is_never_shown_and_the_target_is() -> None:
    destination = make(AWS, KEY)
    shown = json.dumps(Api(superuser=True).get(f"destinations/{destination.pk}"))
    assert CANARY not in shown
    assert "****" in shown
    assert services.target_of(destination) == "s3://a-bucket (eu-west-1)"


# --- the external id --------------------------------------------------------------------------
@pytest.mark.usefixtures("hub_user")
def test_each_destination_has_its_own_external_id_which_an_edit_does_not_change() -> None:
    one, other = make(ROLE, name="one"), make(ROLE, name="other")

    def external_id(destination: Destination) -> str:
        found = re.search(r'"sts:ExternalId": "([^"]+)"', services.setup_text(destination))
        assert found
        return found[1]

    before = external_id(one)
    assert before == f"terra-hub-{one.pk}" != external_id(other)
    services.update_destination(one, name="renamed", config={"prefix": "new"})
    assert external_id(stored(one)) == before
    assert HUB_ARN in services.setup_text(one)
    assert build_adapter(one).identity.external_id == before


@pytest.mark.usefixtures("hub_user")
def test_a_role_is_checked_once_it_is_saved(folder: Folder) -> None:
    config = folder.config(auth="role", role_arn=ROLE_ARN)
    (step,) = services.check_draft("s3", config, {})
    assert (step.name, "Save it" in step.hint) == ("authenticate", True)
    steps = services.check_destination(make(config))
    assert passed(steps), steps
    assert CANARY_KEY.secret not in str(steps)


def test_a_draft_with_a_key_is_checked_without_being_saved(folder: Folder) -> None:
    config = {name: value for name, value in folder.config().items() if value}
    assert passed(services.check_draft("s3", config, asdict(credentials_of(folder.server.writer))))
    assert not Destination.objects.exists()
    assert folder.names() == []


# --- the whole way ----------------------------------------------------------------------------
def test_an_event_that_is_posted_to_the_hub_is_in_the_bucket_byte_for_byte(hub: Hub, folder: Folder) -> None:
    services.create_destination(
        type="s3", name="bucket", config=folder.config(), credentials=asdict(credentials_of(folder.server.writer)),
        sources=[hub.source.slug],
    )  # fmt: skip
    hub.worker()
    posted = {name: SAMPLES[name] for name in ("activity", "sleep", "auth", "healthcheck")}
    answers = [hub.post(body) for body in posted.values()]
    assert {answer.status for answer in answers} == {200}
    until(lambda: len(folder.names()) == len(posted), what="the objects are there")
    assert sorted(folder.bodies().values()) == sorted(posted.values())
    ids = {folder.read(key)["Metadata"]["terra-event-id"] for key in folder.names()}
    assert ids == {answer.json["event_id"] for answer in answers}


@pytest.mark.databaseless
@pytest.mark.parametrize(
    ("values", "found"),
    [
        ({}, []),
        ({"HUB_AWS_ARN": HUB_ARN, "HUB_AWS_ACCESS_KEY_ID": "a", "HUB_AWS_SECRET_ACCESS_KEY": "b"}, []),
        ({"HUB_AWS_ACCESS_KEY_ID": "a"}, ["hub.E006"]),
        ({"HUB_AWS_ARN": HUB_ARN, "HUB_AWS_ACCESS_KEY_ID": "a"}, ["hub.E006"]),
        ({"HUB_AWS_AMBIENT": "allowed"}, []),
        ({"HUB_AWS_AMBIENT": "true"}, ["hub.E007"]),
    ],
)
def test_half_an_identity_does_not_start(settings: LazySettings, values: dict[str, str], found: list[str]) -> None:
    for name, value in values.items():
        setattr(settings, name, value)
    messages = aws_identity_is_whole()
    assert [message.id for message in messages] == found
    assert all(message.hint for message in messages)
