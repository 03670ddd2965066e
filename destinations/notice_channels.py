"""The channels that notices leave by: e-mail, and a webhook such as Slack's. Set by the operator, in settings."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from smtplib import SMTPAuthenticationError, SMTPException
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage

from destinations import egress
from destinations.http import HttpClient, HttpRequest
from destinations.httperrors import HttpError
from destinations.scrubbing import Scrubber
from destinations.texts import visible

EMAIL, WEBHOOK = "e-mail", "webhook"
TIMEOUT_S = 10.0
PROBLEM_LENGTH = 500
_GOOD = range(200, 300)


class NotSent(Exception):
    """A channel did not take a notice; the message says why, without secrets."""


@dataclass(frozen=True, slots=True)
class Message:
    """What a notice says, ready to leave the hub."""

    notice_id: int
    kind: str
    name: str  # of the destination
    text: str
    url: str  # of the destination's page
    facts: Mapping[str, Any]  # for programs

    @property
    def headline(self) -> str:
        """Return the first line; a name cannot break it."""
        return f"{self.name}: {self.kind.replace('_', ' at ') + ' %' if '_' in self.kind else self.kind}"


def channels() -> dict[str, Callable[[Message], None]]:
    """Return the channels that are set, by name. Each sends a message or raises ``NotSent``."""
    found: dict[str, Callable[[Message], None]] = {}
    if settings.EMAIL_URL and settings.NOTIFY_EMAIL_TO:
        found[EMAIL] = _send_email
    if settings.NOTIFY_WEBHOOK_URL:
        found[WEBHOOK] = _post
    return found


def _send_email(message: Message) -> None:
    mail = EmailMessage(
        f"[Terra hub] {message.headline}",
        f"{message.name}\n\n{message.text}\n\n{message.url}\n",
        settings.NOTIFY_EMAIL_FROM,
        settings.NOTIFY_EMAIL_TO,
        # The same notice sent twice, after a crash, is one conversation to whoever reads it.
        headers={"X-Terra-Hub-Notice": str(message.notice_id), "Auto-Submitted": "auto-generated"},
    )
    try:
        mail.send()
    except (SMTPException, OSError) as error:
        raise NotSent(_without_secrets(_said(error))) from error


def _said(error: Exception) -> str:
    """Return what a mail server said. Not what it says of a log-in: it may spell the password in its own way."""
    if isinstance(error, SMTPAuthenticationError):
        return f"The mail server refused user and password ({error.smtp_code})."
    return f"{type(error).__name__}: {error}"


def _post(message: Message) -> None:
    """Post JSON whose ``text`` Slack and those that speak its webhooks show; the rest is for programs."""
    text = f"{_slack(message.headline)}\n{_slack(message.text)}\n{message.url}"
    body = {"text": text, "notice_id": message.notice_id, "kind": message.kind, "url": message.url, **message.facts}
    request = HttpRequest(
        "POST", settings.NOTIFY_WEBHOOK_URL, ["Content-Type: application/json"], json.dumps(body).encode(), TIMEOUT_S
    )
    client = HttpClient(egress.current_policy(), concurrency=1)
    try:
        status = client.fetch(request).status
    except HttpError as error:
        raise NotSent(_without_secrets(f"{error.code}: {error.detail} {error.hint}".strip())) from error
    finally:
        client.close()
    if status not in _GOOD:
        raise NotSent(f"The webhook answered {status}.")


def _slack(text: str) -> str:
    """Return text in which nothing is a link or calls people: https://docs.slack.dev/messaging/formatting-message-text"""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _without_secrets(text: str) -> str:
    """Return what went wrong without the channels' own secrets, which another side may echo."""
    url = settings.NOTIFY_WEBHOOK_URL
    held = [url, url.partition("://")[2].partition("/")[2], settings.EMAIL_URL, settings.EMAIL_HOST_PASSWORD or ""]
    return visible(Scrubber(held).text(text))[:PROBLEM_LENGTH]
