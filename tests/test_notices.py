"""What operators are told of a destination, by a real mail server and a real webhook."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import SystemCheckError

from destinations import services
from destinations.adapters.base import Effect, Outcome, Result
from destinations.models import Destination, Notice
from destinations.notice_sending import send_notices
from destinations.notices import state_of_sending, warn_of_failing
from terra_hub.notify import email_settings
from tests.admin_support import Person, page_of
from tests.api_support import make_destination, stored
from tests.services.smtp import PASSWORD, SmtpServer
from tests.sink import Sink
from webhooks.delivering.breaker import record, tally

pytestmark = pytest.mark.django_db

HOOK = "/services/T0/CANARY-4f2a-9d1c"  # Slack's own URLs are secrets too
FAILED = Result(Outcome.RETRY, "http_500", "It answered 500.", effect=Effect.FAILURE)
NOTICES = "/admin/destinations/notice/"


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as running:
        yield running


@pytest.fixture
def mail(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[SmtpServer]:
    """A mail server that the hub is set to, and whose certificate it trusts."""
    with SmtpServer() as server:
        monkeypatch.setenv("SSL_CERT_FILE", str(server.ca_file))
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"  # pytest-django puts another one there
        settings.EMAIL_URL, settings.NOTIFY_EMAIL_TO = server.url, ["ops@example.com", "ana@example.com"]
        settings.NOTIFY_EMAIL_FROM = "hub@example.com"
        for name, value in email_settings(server.url).items():
            setattr(settings, name, value)
        yield server


@pytest.fixture
def hook(settings: Any, sink: Sink) -> Sink:
    """A webhook that the hub is set to."""
    settings.NOTIFY_WEBHOOK_URL = sink.url(HOOK)
    return sink


def fail_since(destination: Destination, hours: float) -> None:
    Destination.objects.filter(pk=destination.pk).update(failing_since=datetime.now(UTC) - timedelta(hours=hours))


def kinds() -> list[str]:
    return list(Notice.objects.order_by("pk").values_list("kind", flat=True))


def at_later(**span: int) -> None:
    """Let time go by for the notices that are to be sent."""
    for row in Notice.objects.all():
        row.created_at -= timedelta(**span)
        row.next_try_at = row.next_try_at and row.next_try_at - timedelta(**span)
        row.save()


# --- when -----------------------------------------------------------------------------------------
def test_each_share_of_the_time_is_told_once_also_where_nothing_is_due() -> None:
    destination = make_destination(disable_after_hours=100)
    found = []
    for hours in (49, 51, 52, 71, 91, 99):
        fail_since(destination, hours)
        warn_of_failing()
        warn_of_failing()
        found.append(kinds())

    assert found == [
        [], ["failing_50"], ["failing_50"], ["failing_50", "failing_70"],
        ["failing_50", "failing_70", "failing_90"], ["failing_50", "failing_70", "failing_90"],
    ]  # fmt: skip
    assert "70 % of the 100 hours" in Notice.objects.get(kind="failing_70").text
    assert stored(destination).version == destination.version


def test_a_hub_that_was_off_tells_the_highest_share_only() -> None:
    fail_since(make_destination(disable_after_hours=100), 95)

    warn_of_failing()

    assert kinds() == ["failing_90"]


@pytest.mark.parametrize("how", ["paused", "disabled", "never", "deleted", "well"])
def test_nobody_is_warned_of_a_destination_that_will_not_be_disabled(how: str) -> None:
    destination = make_destination(disable_after_hours=0 if how == "never" else 100)
    if how != "well":
        fail_since(destination, 95)
    changes = {"paused": {"paused": True}, "disabled": {"active": False}, "deleted": {"deleted_at": datetime.now(UTC)}}
    if how in changes:
        Destination.objects.update(**changes[how])

    warn_of_failing()

    assert kinds() == []


def test_what_the_hub_disables_is_told_once_and_what_a_person_disables_is_not() -> None:
    gone, late, by_hand = (make_destination(name, disable_after_hours=100) for name in ("gone", "late", "by hand"))
    fail_since(late, 101)

    record(gone.pk, tally([Result(Outcome.RETRY, "http_410", "The receiver answered 410.", effect=Effect.DISABLE)]))
    for _ in range(2):
        record(late.pk, tally([FAILED]))
    services.disable(by_hand, by=Person().user)

    assert [(row.destination.name, row.kind) for row in Notice.objects.order_by("pk")] == [
        ("gone", "disabled"), ("late", "disabled"),
    ]  # fmt: skip
    assert "answered 410" in Notice.objects.get(destination=gone).text
    assert "for 100 hours" in Notice.objects.get(destination=late).text


def test_a_recovery_is_told_to_those_who_were_warned() -> None:
    warned, brief = make_destination("warned", disable_after_hours=100), make_destination("brief")
    fail_since(warned, 60)
    fail_since(brief, 1)
    warn_of_failing()

    for _ in range(2):
        for row in (warned, brief):
            record(row.pk, tally([Result(Outcome.DELIVERED)]))

    assert kinds() == ["failing_50", "recovered"]
    assert stored(warned).warned_percent == 0
    fail_since(warned, 60)
    warn_of_failing()
    assert kinds() == ["failing_50", "recovered", "failing_50"]


def test_a_change_by_a_person_forgets_what_was_warned_of() -> None:
    destination = make_destination(disable_after_hours=100)
    for change in (services.resume, services.enable, lambda row: services.update_destination(row, timeout_s=9)):
        Destination.objects.update(warned_percent=70)
        change(stored(destination))
        assert stored(destination).warned_percent == 0


def test_a_change_that_is_rolled_back_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    destination = make_destination()
    monkeypatch.setattr("destinations.writing.save", lambda *_: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        services.disable(destination, reason="Nothing but failures.")

    assert kinds() == []


# --- sending --------------------------------------------------------------------------------------
def test_a_notice_goes_out_by_mail_and_by_webhook(mail: SmtpServer, hook: Sink) -> None:
    destination = make_destination("<!channel> & co\r\nBcc: x", config={"url": "https://example.com/CANARY-path?k=v"})
    fail_since(destination, 61)
    warn_of_failing()

    send_notices()
    send_notices()

    (taken,) = mail.mails
    assert (taken.sender, taken.recipients) == ("hub@example.com", ["ops@example.com", "ana@example.com"])
    assert taken.message["Subject"].startswith("[Terra hub] <!channel> & co")
    assert taken.message["Bcc"] is None
    assert "50 % of the 120 hours" in taken.text
    (posted,) = hook.requests(HOOK)
    body = json.loads(posted.body)
    assert "&lt;!channel&gt; &amp; co" in body["text"]
    assert body["kind"] == "failing_50"
    assert body["destination"]["target"] == "example.com"
    assert body["url"].endswith(page_of(destination))
    row = Notice.objects.get()
    assert (row.next_try_at, row.problem, row.sent_through) == (None, "", ["e-mail", "webhook"])
    assert "CANARY" not in taken.message.as_string() + posted.body.decode()


def test_a_channel_that_fails_is_tried_again_and_the_other_one_gets_nothing_twice(mail: SmtpServer, hook: Sink) -> None:
    hook.behave(HOOK, status=500, times=2)
    services.disable(make_destination(), reason="Nothing but failures.")

    for _ in range(4):
        send_notices()
        at_later(hours=1)

    assert len(mail.mails) == 1
    assert hook.count(HOOK) == 3
    row = Notice.objects.get()
    assert (row.tries, row.problem, row.sent_through) == (3, "", ["e-mail", "webhook"])


def test_the_waits_grow_and_a_day_later_it_is_given_up(hook: Sink) -> None:
    hook.behave(HOOK, status=404)
    services.disable(make_destination(), reason="Nothing but failures.")
    waits = []
    for _ in range(3):
        send_notices()
        row = Notice.objects.get()
        waits.append(round((row.next_try_at - datetime.now(UTC)).total_seconds()))
        at_later(minutes=5)
    assert waits == [30, 60, 120]

    at_later(days=1)
    send_notices()
    at_later(days=1)
    send_notices()

    row = Notice.objects.get()
    assert (row.next_try_at, row.sent_at, hook.count(HOOK)) == (None, None, 4)
    assert state_of_sending(row) == "Given up after 4 tries: webhook: The webhook answered 404."
    assert "The webhook answered 404." in Person().look(row).text


def test_a_worker_that_dies_while_it_sends_leaves_it_to_another(hook: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    services.disable(make_destination(), reason="Nothing but failures.")
    monkeypatch.setattr("destinations.notice_sending._settle", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        send_notices()
    monkeypatch.undo()
    send_notices()  # its lease has not ended yet
    assert hook.count(HOOK) == 1

    at_later(minutes=3)
    send_notices()

    assert hook.count(HOOK) == 2  # at least once
    assert Notice.objects.get().sent_at


@pytest.mark.parametrize("wrong", ["password", "certificate", "refused", "address", "away"])
def test_no_problem_holds_a_secret(
    wrong: str, mail: SmtpServer, hook: Sink, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    if wrong == "password":
        settings.EMAIL_HOST_PASSWORD = "other-CANARY-4f2a"
    if wrong == "certificate":
        monkeypatch.delenv("SSL_CERT_FILE")
    if wrong == "refused":
        mail.answer = f"550 5.1.1 {PASSWORD} nobody"
    if wrong == "address":
        settings.NOTIFY_WEBHOOK_URL = f"http://169.254.169.254{HOOK}"
    if wrong == "away":
        settings.NOTIFY_WEBHOOK_URL = f"http://127.0.0.1:1{HOOK}"
    services.disable(make_destination(), reason="Nothing but failures.")

    send_notices()

    row = Notice.objects.get()
    assert row.problem
    assert "CANARY" not in row.problem
    expected = {"address": "egress_refused", "certificate": "certificate", "password": "535"}
    assert expected.get(wrong, ":") in row.problem
    assert "CANARY" not in Person().get(NOTICES).source


def test_without_a_channel_a_notice_is_in_the_admin_only() -> None:
    services.disable(make_destination("Research"), reason="Nothing but failures.")

    send_notices()

    row = Notice.objects.get()
    assert (row.tries, row.next_try_at) == (0, None)
    page = Person().get(NOTICES)
    assert "Research" in page.text
    assert "Shown here" in page.text
    assert "Shown here only" in Person().look(row).text
    assert Person("webhooks.view_event").client.get(NOTICES).status_code == 403


# --- settings -------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"EMAIL_URL": "mail.example.com"}, "EMAIL_URL does not begin with"),
        ({"EMAIL_URL": "smtp+tls://mail.example.com:x"}, "EMAIL_URL is no URL"),
        ({"EMAIL_URL": "smtp://u:secret-CANARY@mail.example.com"}, "password in clear"),
        ({"NOTIFY_EMAIL_TO": ["ops@example.com"]}, "not EMAIL_URL and NOTIFY_EMAIL_FROM"),
        ({"NOTIFY_EMAIL_TO": ["ops"]}, "'ops', which is no e-mail address"),
        ({"NOTIFY_WEBHOOK_URL": "hooks.example.com/CANARY"}, "NOTIFY_WEBHOOK_URL is no URL"),
    ],
)
def test_the_hub_refuses_channels_that_are_malformed(values: Any, said: str, settings: Any) -> None:
    for name, value in values.items():
        setattr(settings, name, value)

    with pytest.raises(SystemCheckError) as caught:
        call_command("check")

    assert said in str(caught.value)
    assert "CANARY" not in str(caught.value)


def test_a_mail_servers_url_is_read_as_it_is_written() -> None:
    read = email_settings("smtps://u%40x:p%2Fw@mail.example.com")
    assert read["EMAIL_HOST_USER"] == "u@x"
    assert read["EMAIL_HOST_PASSWORD"] == "p/w"
    assert (read["EMAIL_HOST"], read["EMAIL_PORT"], read["EMAIL_USE_SSL"]) == ("mail.example.com", 465, True)
