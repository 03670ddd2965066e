"""``hub quarantine``: what was refused, why, and taking it in after all."""

from typing import Any

import pytest

from tests.api_support import make_destination
from tests.cli.support import hub
from tests.hub import SECRET, signature
from tests.receiving.support import BODY
from webhooks.models import Event, QuarantinedRequest
from webhooks.receiving.refusals import Refusal, keep
from webhooks.receiving.sources import add_signing_secret, create_source

pytestmark = pytest.mark.django_db
REASON = ("--reason", "signature_mismatch")


@pytest.fixture(autouse=True)
def source(db: None) -> Any:
    """A source whose secret is not the one that requests are signed with."""
    return create_source(slug="main", secret="the-wrong-secret")


def refuse(source: Any, count: int = 1, code: str = "signature_mismatch", body: bytes | None = None) -> list[str]:
    """Keep requests as receiving does; return their ids."""
    for number in range(count):
        sent = body or BODY % number
        keep(source.pk, Refusal(code, "No signature fits."), {"terra-signature": signature(sent)}, sent)
    return [str(pk) for pk in QuarantinedRequest.objects.order_by("pk").values_list("pk", flat=True)]


def mend(source: Any) -> None:
    add_signing_secret(source, SECRET)


def ids(*options: str) -> set[str]:
    return {row["id"] for row in hub("quarantine", "list", "--json", *options).json}


def test_a_list_takes_the_filters_of_the_admin(source: Any) -> None:
    (one,) = refuse(source)
    _, two = refuse(source, code="ip_not_allowed")
    assert ids() == {one, two}
    assert ids(*REASON) == ids(*REASON, "--source", "main", "--state", "kept", "--since", "1h") == {one}
    assert ids("--state", "admitted") == ids("--until", "1h") == set()
    assert "Must be one of" in hub("quarantine", "list", "--reason", "bad luck", code=1).err
    assert "signature_mismatch" in hub("quarantine", "list").out


def test_a_request_is_shown_with_what_to_change_and_whether_it_would_pass_now(source: Any) -> None:
    (one,) = refuse(source)
    shown = hub("quarantine", "show", one).out
    assert "paste it anew" in shown
    assert "signature_mismatch: No signature fits the body" in shown
    assert hub("quarantine", "verify", one, code=4).out.count("signature_mismatch") == 1
    mend(source)
    assert "It would pass" in hub("quarantine", "show", one).out
    assert hub("quarantine", "verify", one, "--json").json == [{"id": one, "passes": True, "verdict": ""}]
    assert hub("quarantine", "show", one, "--json").json["passes"] is True
    assert not Event.objects.exists()


def test_all_of_a_reason_are_admitted_once_the_secret_is_right(source: Any) -> None:
    make_destination("orders")
    refuse(source, 3)
    refuse(source, 1, code="invalid_payload", body=b"no json")
    admit = ("quarantine", "admit", "--all", *REASON)
    assert "3 refused still: signature_mismatch" in hub(*admit, "--yes", code=1).err
    mend(source)
    assert "3 would be admitted" in hub(*admit, "--dry-run").err
    assert not Event.objects.exists()
    assert "Add --yes" in hub(*admit, code=1).err
    assert hub(*admit, "--yes", "--json").json == {"admitted": 3, "refused": 0, "reasons": {}, "dry_run": False}
    assert Event.objects.count() == 3
    assert Event.objects.filter(deliveries__destination__name="orders").count() == 3
    assert "Nothing is kept that fits." in hub(*admit, "--yes").err
    assert len(ids("--state", "admitted")) == 3


def test_named_requests_are_admitted_and_the_others_stay(source: Any) -> None:
    one, two = refuse(source, 2)
    mend(source)
    assert "1 admitted" in hub("quarantine", "admit", one).err
    assert ids("--state", "kept") == {two}
    again = hub("quarantine", "admit", one, code=1)
    assert "refused still" in again.err


def test_nothing_is_admitted_by_accident(source: Any) -> None:
    (one,) = refuse(source)
    for arguments in ((), ("--reason", "signature_mismatch"), (one, "--all"), (one, *REASON)):
        assert "Name requests; or say --all" in hub("quarantine", "admit", *arguments, "--yes", code=1).err
    hub("quarantine", "admit", "nothing", code=3)
