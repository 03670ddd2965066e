"""Every page of the admin, filled with what senders may write: for the tests that look at all of them.

A page that is new is added to ``every_page``; tests/test_admin_pages.py fails until it is.
"""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from axes.models import AccessAttempt
from django.contrib.auth.models import Group
from django.urls import reverse
from playwright.sync_api import Page, expect

from destinations.access.actors import Actor
from destinations.access.keys import make_key
from destinations.access.scopes import SCOPES, permissions_of
from destinations.models import Destination, Notice
from destinations.registry import type_names
from destinations.services import create_destination
from tests.admin_support import page_of
from tests.api_support import make_attempt, make_delivery, make_event, make_user
from webhooks.models import Erasure, QuarantinedRequest, Replay, Source

ROLE_ARN = "arn:aws:iam::123456789012:role/terra-hub"
NAUGHTY = "<img src=x onerror=alert(1)><script>alert(2)</script>\u202eexe.gnp"
PHONE: dict[str, Any] = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True}

# Addresses of the admin's site that are no pages: what is posted, downloaded, led on, or a part of a page.
NO_PAGES = {
    "search", "logout", "autocomplete", "jsi18n", "view_on_site", "live_rows", "first_run", "first_run_source",
    "first_run_sample", "destinations_destination_draft_check", "destinations_destination_draft_setup",
    "destinations_destination_arriving", "destinations_destination_retry_times", "destinations_destination_setup",
    "webhooks_source_matching", "webhooks_source_waiting", "webhooks_event_download",
    "webhooks_quarantinedrequest_download", "webhooks_erasure_receipt",
}  # fmt: skip
NO_PAGE_ENDS = ("_do", "_simple_history", "_bytes", "_progress")


def every_page(hub: Any, *, source: Source | None = None, url: str = "http://127.0.0.1:18999/hook") -> list[str]:
    """Make one of everything, and return the address of every page: those of a list, a form, an object, an error."""
    rows = one_of_everything(source or hub.source, url)
    event, item = rows["event"], rows["item"]
    return [
        *(reverse(f"admin:{name}") for name in ("index", "find", "password_change", "password_change_done")),
        *(reverse("admin:app_list", args=[app]) for app in ("destinations", "webhooks", "auth", "axes")),
        *pages_of(rows["destination"], "changelist", "add", "change", "history", "delete"),
        *(reverse("admin:destinations_destination_add") + f"?type={name}" for name in type_names()),
        page_of(rows["long"]),
        *pages_of(rows["source"], "changelist", "add", "change", "history"),
        *pages_of(event, "changelist", "change", "history", "payload"),
        *pages_of(rows["delivery"], "changelist", "change", "history"),
        *pages_of(item, "changelist", "change", "history", "payload"),
        *pages_of(rows["user"], "changelist", "add", "change", "history", "delete", "password_change"),
        *pages_of(rows["group"], "changelist", "add", "change", "history", "delete"),
        *pages_of(rows["locked"], "changelist", "change", "history", "delete"),
        *pages_of(rows["replay"], "changelist", "add", "change", "history"),
        f"{reverse('admin:webhooks_replay_add')}?kind=failed&destination={rows['destination'].pk}",
        *pages_of(rows["erasure"], "changelist", "add", "change", "history"),
        f"{reverse('admin:webhooks_erasure_add')}?user_id={quote(NAUGHTY)}",
        *pages_of(rows["notice"], "changelist", "change", "history"),
        *pages_of(rows["key"], "changelist", "add", "change", "history"),
        reverse("admin:live"),
        reverse("health"),
        reverse("admin:webhooks_event_changelist") + "?q=of-nobody",
    ]


def error_pages() -> list[tuple[str, int]]:
    """Return addresses that are answered with an error."""
    return [("/admin/webhooks/nothing/", 404), ("/admin/webhooks/event/?colour=red", 302)]


def check_window(page: Page, path: str) -> None:
    """Check that a page is there, is no wider than its window, and has made nothing of what a sender wrote."""
    expect(page.locator("h1")).to_be_visible()
    wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wider <= 0, f"{path} is {wider} px too wide"
    assert page.locator("img[src=x]").count() == 0


def one_of_everything(source: Source, url: str) -> dict[str, Any]:
    """Make the rows, in the states in which their pages show the most."""
    event = make_event(source=source, type=NAUGHTY[:64], user_id=NAUGHTY, provider=NAUGHTY[:64], body=NAUGHTY.encode())
    destination = make_webhook(source, url)
    delivery = make_delivery(event, destination, "dead")
    make_attempt(delivery, 1, error_detail=NAUGHTY, response={"body": NAUGHTY})
    item = QuarantinedRequest.objects.create(
        source=source, reason="signature_mismatch", detail=NAUGHTY, body=NAUGHTY.encode(), size=len(NAUGHTY),
        received_at=event.received_at,
    )  # fmt: skip
    locked = AccessAttempt.objects.create(username=NAUGHTY[:60], ip_address="192.0.2.1", failures_since_start=9)
    group = Group.objects.create(name=NAUGHTY[:60])
    now = datetime.now(UTC)
    replay = Replay.objects.create(
        kind="failed", destination_ids=[str(destination.pk)], created_by=NAUGHTY[:60], created_at=now
    )
    notice = Notice.objects.create(destination=destination, kind="disabled", text=NAUGHTY, created_at=now)
    key = make_key(
        name=NAUGHTY[:60],
        scopes=[one for one in SCOPES if one != "erase"],
        sources=[source.slug],
        by=Actor(NAUGHTY, permissions_of(SCOPES)),
    ).row
    erasure = Erasure.objects.create(
        status="stopped", problem=NAUGHTY, counts={"events": 12}, destination_ids=[str(destination.pk)],
        destination_results={str(destination.pk): {"status": "failed", "erased": 1, "detail": NAUGHTY}},
        starts_at=now, created_by=NAUGHTY[:60], created_at=now,
    )  # fmt: skip
    return {
        "source": source, "event": event, "destination": destination, "delivery": delivery, "item": item,
        "locked": locked, "group": group, "user": make_user(), "long": with_long_set_up_text(), "replay": replay,
        "notice": notice, "erasure": erasure, "key": key,
    }  # fmt: skip


def make_webhook(source: Source, url: str) -> Destination:
    return create_destination(
        type="webhook", name=NAUGHTY[:60], config={"url": url}, credentials={}, sources=[source.slug]
    ).destination


def with_long_set_up_text() -> Destination:
    config = {"bucket": "b" * 63, "region": "eu-west-1", "prefix": "p/" * 100, "auth": "role", "role_arn": ROLE_ARN}
    return create_destination(type="s3", name="Archive", config=config, credentials={}).destination


def pages_of(row: Any, *names: str) -> list[str]:
    """Return the addresses of the pages of a model, and of a row of it."""
    stem = f"admin:{row._meta.app_label}_{row._meta.model_name}_"
    return [reverse(stem + name, args=[] if name in ("changelist", "add") else [row.pk]) for name in names]
