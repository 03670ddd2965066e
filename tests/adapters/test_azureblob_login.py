"""How an Azure Blob destination signs in: keys and tokens, what they allow, what the check says, what may be saved."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.storage.blob import AccessPolicy, ContainerSasPermissions, ResourceTypes, generate_account_sas

from destinations.adapters.azureblob import AzureBlobAdapter
from destinations.adapters.azureblob_api import string_to_sign
from destinations.adapters.azureblob_config import AzureBlobConfig, AzureBlobCredentials
from destinations.adapters.azureblob_secrets import facts_of_token, read_key, read_token
from destinations.adapters.base import Effect, Outcome, Step, StepStatus
from destinations.specs import load, problems_of
from tests.adapters.azureblob_support import Place
from tests.adapters.contract import event, text_of
from tests.services.azurite import new_key
from tests.services.proxy import FaultProxy

pytestmark = pytest.mark.databaseless
FAILED, PASSED, SKIPPED, WARNING = StepStatus.FAILED, StepStatus.PASSED, StepStatus.SKIPPED, StepStatus.WARNING


def checked(place: Place, credentials: dict[str, str] | None = None, **config: Any) -> list[Step]:
    before = place.blobs()
    steps = list(place.adapter(credentials, **config).check())
    assert place.blobs() == before
    return steps


def refused(place: Place, credentials: dict[str, str], **config: Any) -> Step:
    """Return the step that fails, and see that a delivery fails as well and harms nothing."""
    (result,) = place.deliver(event(), credentials=credentials, **config)
    assert (result.outcome, result.effect) == (Outcome.RETRY, Effect.FAILURE), text_of([result])
    assert result.hint
    assert place.blobs() == {}
    step = checked(place, credentials, **config)[-1]
    assert step.status is FAILED
    return step


# --- what is refused (T57) ----------------------------------------------------------------------------------
def test_a_wrong_key_or_token_fails_at_authenticate(azure_place: Place) -> None:
    for wrong in ({"account_key": new_key()}, azure_place.token(account_key=new_key())):
        step = refused(azure_place, wrong)
        assert step.name == "authenticate"
        assert "the key or the token is wrong" in step.detail
        assert "a new SAS token" in step.hint


def test_a_token_of_another_container_fails_at_authenticate(azure_place: Place) -> None:
    other = azure_place.server.make_container()
    assert refused(azure_place, azure_place.token(), container=other).name == "authenticate"


@pytest.mark.parametrize(
    "more", [{"hours": -1}, {"start": datetime.now(UTC) + timedelta(hours=5), "hours": 9}], ids=["ended", "not begun"]
)
def test_a_token_that_is_not_good_now_fails_at_authenticate(azure_place: Place, more: dict[str, Any]) -> None:
    step = refused(azure_place, azure_place.token(**more))
    assert step.name == "authenticate"
    assert "the key or the token" in step.detail or "the SAS token has ended" in step.detail
    if more["hours"] == -1:
        assert "the SAS token has ended" in step.detail
        assert step.hint == "Make a new SAS token as the set-up text says, and put it in."


@pytest.mark.parametrize(
    ("permissions", "lacks"), [("r", "write (w)"), ("rl", "write (w)"), ("l", "read (r) and write (w)")]
)
def test_the_check_names_the_rights_that_a_token_lacks(azure_place: Place, permissions: str, lacks: str) -> None:
    step = refused(azure_place, azure_place.token(permissions))
    assert (step.name, step.detail) == (
        "permission", f"The token lacks {lacks} on {azure_place.server.endpoint}/{azure_place.container}.",
    )  # fmt: skip
    assert "rcw" in step.hint


@pytest.mark.parametrize(("permissions", "lacks"), [("rc", "write (w)"), ("cw", "read (r)")])
def test_a_token_that_may_make_but_not_replace_fails_where_it_has_to(
    azure_place: Place, permissions: str, lacks: str
) -> None:
    credentials, message = azure_place.token(permissions), event()
    first, again = (azure_place.deliver(message, credentials=credentials)[0] for _ in range(2))
    assert (first.outcome, again.outcome) == (Outcome.DELIVERED, Outcome.RETRY)
    assert again.code == "AuthorizationPermissionMismatch"
    assert "rcw" in again.hint
    step = checked(azure_place, credentials)[-1]
    assert (step.name, step.status) == ("permission", FAILED)
    assert lacks in step.detail


@pytest.mark.parametrize("way", ["key", "token"])
def test_a_container_that_is_not_there_is_named(azure_place: Place, way: str) -> None:
    name = f"{azure_place.container}-gone"
    credentials = azure_place.key if way == "key" else {"sas_token": read_token(azure_place.server.token(name))}
    step = refused(azure_place, credentials, container=name)
    assert step.name == "permission"
    assert step.detail.startswith("ContainerNotFound: ")
    assert step.hint.endswith(f"az storage container create --account-name {azure_place.server.account} --name {name}")


def test_without_a_secret_nothing_is_sent(azure_place: Place) -> None:
    for auth, held in (("sas_token", {"account_key": azure_place.server.key}), ("account_key", azure_place.token())):
        adapter = azure_place.adapter(held, auth=auth)
        (result,) = adapter.deliver([event()])
        assert (result.outcome, result.code, result.effect) == (Outcome.RETRY, "credentials_missing", Effect.FAILURE)
        step = list(adapter.check())[-1]
        assert (step.name, step.status) == ("authenticate", FAILED)
        assert result.hint == step.hint == f"Edit the destination and fill in {auth}."


# --- what is enough ------------------------------------------------------------------------------------------
def test_a_policys_token_works_until_the_policy_goes(azure_place: Place) -> None:
    """As the set-up text makes it: the rights in the policy, the end in the token."""
    container = azure_place.server.client.get_container_client(azure_place.container)
    policy = AccessPolicy(permission=ContainerSasPermissions(read=True, create=True, write=True))
    container.set_container_access_policy({"terra-hub": policy})
    credentials = azure_place.token(policy_id="terra-hub")
    adapter, message = azure_place.adapter(credentials), event()
    for _ in range(2):
        assert adapter.deliver([message])[0].outcome is Outcome.DELIVERED
    assert [step.status for step in checked(azure_place, credentials)][-2:] == [PASSED, SKIPPED]
    container.set_container_access_policy({})
    revoked = adapter.deliver([message])[0]
    adapter.close()
    assert (revoked.outcome, revoked.effect) == (Outcome.RETRY, Effect.FAILURE)
    assert "a new SAS token" in revoked.hint


def test_an_accounts_token_for_blobs_works(azure_place: Place) -> None:
    token = generate_account_sas(
        azure_place.server.account, azure_place.server.key, ResourceTypes(object=True), "rcw",
        datetime.now(UTC) + timedelta(days=30), protocol="https,http",
    )  # fmt: skip
    assert azure_place.deliver(event(), credentials={"sas_token": read_token(token)})[0].outcome is Outcome.DELIVERED


def test_the_string_to_sign_is_that_of_microsofts_page() -> None:
    """The second one is the example of *Authorize with Shared Key*, word for word."""
    headers = {
        "content-length": "0", "content-type": "text/plain; charset=UTF-8", "if-none-match": "*",
        "x-ms-version": "2015-02-21", "x-ms-date": "Fri, 26 Jun 2015 23:39:12 GMT", "x-ms-blob-type": "BlockBlob",
    }  # fmt: skip
    assert string_to_sign("PUT", headers, "/acme/acme/events/a.json") == (
        "PUT\n\n\n\n\ntext/plain; charset=UTF-8\n\n\n\n*\n\n\n"
        "x-ms-blob-type:BlockBlob\nx-ms-date:Fri, 26 Jun 2015 23:39:12 GMT\nx-ms-version:2015-02-21\n"
        "/acme/acme/events/a.json"
    )
    headers = {"x-ms-version": "2015-02-21", "x-ms-date": "Fri, 26 Jun 2015 23:39:12 GMT"}
    resource = "/myaccount/mycontainer\ncomp:metadata\nrestype:container\ntimeout:20"
    assert string_to_sign("GET", headers, resource) == (
        "GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:Fri, 26 Jun 2015 23:39:12 GMT\nx-ms-version:2015-02-21\n"
        "/myaccount/mycontainer\ncomp:metadata\nrestype:container\ntimeout:20"
    )


# --- the check ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("rights", "ends"),
    [
        ("rcw", [("write", SKIPPED)]),
        ("rcwd", [("write", PASSED), ("read back", PASSED), ("clean up", PASSED), ("least rights", WARNING)]),
        ("key", [("write", PASSED), ("read back", PASSED), ("clean up", PASSED), ("least rights", WARNING)]),
    ],
)
def test_the_check_tells_each_step_and_leaves_nothing(
    azure_place: Place, rights: str, ends: list[tuple[str, StepStatus]]
) -> None:
    credentials = azure_place.key if rights == "key" else azure_place.token(rights)
    steps = [(step.name, step.status) for step in checked(azure_place, credentials, prefix="team")]
    assert steps == [
        ("resolve", PASSED), ("connect", PASSED), ("TLS", WARNING), ("authenticate", PASSED), ("permission", PASSED),
        *ends,
    ]  # fmt: skip


def test_a_token_that_ends_soon_is_told_before_it_does(azure_place: Place) -> None:
    soon = azure_place.token(hours=24)
    step = next(step for step in checked(azure_place, soon) if step.name == "authenticate")
    assert step.status is WARNING
    assert facts_of_token(soon["sas_token"])["sas_expires"][:10] in step.detail
    assert "before this one ends" in step.hint


def test_a_check_whose_write_lost_its_answer_leaves_nothing(azure_place: Place) -> None:
    with FaultProxy(azure_place.server.address) as proxy:
        proxy.cut_answer_to(b"if-none-match: *")
        made = azure_place.through(proxy)
        held = load(AzureBlobCredentials, azure_place.token("rcwd"))
        steps = list(AzureBlobAdapter(made.config, held, None, made.policy).check())
    assert (steps[-1].name, steps[-1].status) == ("write", FAILED)
    assert azure_place.blobs() == {}


def test_the_set_up_text_has_the_names_and_the_least_rights(azure_place: Place) -> None:
    text = AzureBlobAdapter.setup(azure_place.adapter().config)
    assert f"ACCOUNT={azure_place.server.account}\nCONTAINER={azure_place.container}\n" in text
    assert "--permissions rcw\n" in text
    assert "az storage container generate-sas" in text
    text = AzureBlobAdapter.setup(azure_place.adapter(auth="account_key").config)
    assert "az storage account keys list" in text
    assert "generate-sas" not in text


# --- what may be saved ---------------------------------------------------------------------------------------
GOOD = {"account": "acme", "container": "events"}


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"account": "Acme"}, "account"), ({"account": "ac"}, "account"), ({"account": "https://acme"}, "account"),
        ({"container": "Up"}, "container"), ({"container": "a--b"}, "container"), ({"container": "-ab"}, "container"),
        ({"container": "ab"}, "container"), ({"container": "x" * 64}, "container"), ({"container": "a/b"}, "container"),
        ({"prefix": "../up"}, "prefix"), ({"prefix": "a b"}, "prefix"), ({"prefix": "a./b"}, "prefix"),
        ({"prefix": "a/" * 127 + "b/c"}, "prefix"), ({"auth": "password"}, "auth"),
        ({"endpoint_url": "acme.blob.core.windows.net"}, "endpoint_url"),
        ({"endpoint_url": "https://acme.blob.core.windows.net/events"}, "endpoint_url"),
        ({"endpoint_url": "https://acme.blob.core.windows.net/?sv=1&sig=x"}, "endpoint_url"),
        ({"endpoint_url": "https://other.blob.core.chinacloudapi.cn"}, "endpoint_url"),
        ({"endpoint_url": "http://127.0.0.1:10000/devstoreaccount1"}, "endpoint_url"),
        ({"ca_certificate": "none"}, "ca_certificate"),
    ],
)  # fmt: skip
def test_a_config_that_cannot_be_is_refused_at_its_field(config: dict[str, str], field: str) -> None:
    values = GOOD | config
    assert list(problems_of(AzureBlobConfig, values) or AzureBlobAdapter.validate(load(AzureBlobConfig, values))) == [
        field
    ]


@pytest.mark.parametrize(
    ("config", "target"),
    [
        ({}, "https://acme.blob.core.windows.net/events"),
        ({"prefix": "/a//b/"}, "https://acme.blob.core.windows.net/events/a/b"),
        (
            {"endpoint_url": "https://acme.blob.core.chinacloudapi.cn/"},
            "https://acme.blob.core.chinacloudapi.cn/events",
        ),
        ({"endpoint_url": "http://10.0.0.8:10000/acme"}, "http://10.0.0.8:10000/acme/events"),
        ({"endpoint_url": "https://blobs.example.com"}, "https://blobs.example.com/events"),
    ],
)
def test_a_config_as_azure_has_them_is_taken(config: dict[str, str], target: str) -> None:
    values = GOOD | config
    assert problems_of(AzureBlobConfig, values) == {}
    made = load(AzureBlobConfig, values)
    assert AzureBlobAdapter.validate(made) == {}
    assert AzureBlobAdapter(made, AzureBlobCredentials()).target() == target


STORED = "sv=2021-12-02&sr=c&sp=rcw&se=2027-01-01T00%3A00%3A00Z&sig=a%2Bb%2Fc%3D"
AS_IT_COMES = STORED.replace("%3A", ":")


@pytest.mark.parametrize(
    "sent",
    [
        STORED, AS_IT_COMES, f"?{AS_IT_COMES}", f" {AS_IT_COMES}\n", f'"{AS_IT_COMES}"',
        f"https://acme.blob.core.windows.net/events?{AS_IT_COMES}", AS_IT_COMES.replace("a%2Bb%2Fc%3D", "a+b/c="),
    ],
)  # fmt: skip
def test_a_token_is_stored_in_one_form_however_it_was_pasted(sent: str) -> None:
    assert read_token(sent) == STORED
    assert facts_of_token(STORED) == {
        "sas_permissions": "rcw", "sas_expires": "2027-01-01T00:00:00Z", "sas_policy": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ("secret-text", "Not a SAS token"),
        ("sv=1&sig=secret-text&x y", "Not a SAS token"),
        ("sv=1&sr=c&sp=rcw", "field sig"),
        ("sr=c&sp=rcw&sig=secret-text", "field sv"),
        ("sv=1&sr=c&sig=secret-text&sig=2", "twice"),
        ("sv=1&sr=b&sig=secret-text", "one blob"),
        ("sv=1&ss=q&srt=o&sig=secret-text", "not for blobs"),
        ("sv=1&ss=b&srt=c&sig=secret-text", "not for blobs"),
        (
            "BlobEndpoint=https://a.blob.core.windows.net/;SharedAccessSignature=sv=1&sig=secret-text",
            "connection string",
        ),
        (f"sv=1&sig={'secret-text' * 500}", "Not a SAS token"),
        (7, "text"),
    ],
)
def test_what_is_no_token_of_a_container_is_refused_without_a_word_of_it(sent: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        read_token(sent)
    assert "secret-text" not in str(caught.value)


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ("secret-text", "Not an account key"),
        ("", "Not an account key"),
        (new_key()[:-5], "Not an account key"),
        ("YQ==", "Not an account key"),
        ("AccountName=a;AccountKey=secret-text==;EndpointSuffix=core.windows.net", "value of AccountKey"),
        (STORED, "SAS token"),
        (None, "text"),
    ],
)
def test_what_is_no_key_is_refused_without_a_word_of_it(sent: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        read_key(sent)
    assert "secret-text" not in str(caught.value)


def test_a_key_is_taken_as_azure_shows_it() -> None:
    key = new_key()
    assert read_key(f" {key}\n") == key
