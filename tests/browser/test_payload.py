"""A payload as a tree, in a real browser: large ones, hostile ones, and exact numbers."""

import json
from collections.abc import Callable

import pytest
from django.contrib.admin.models import LogEntry
from playwright.sync_api import Page, expect

from tests.admin_support import EVENTS
from tests.api_support import make_event
from tests.browser.conftest import Operator
from tests.hub import Hub
from webhooks.keeping.payloads import put_body
from webhooks.models import Event, Payload

LogIn = Callable[..., Operator]
SCRIPT = "<img src=x onerror=alert(1)><script>alert(2)</script>"
# Written by hand: what a parser would round, drop or take for something else has to stay as it stands.
HOSTILE = (
    '{"type":"daily","big":12345678901234567890,"huge":1e400,"tiny":-0.10000000000000000001,"minus":-0,'
    '"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":1}},"hasOwnProperty":null,'
    f'"html":{json.dumps(SCRIPT)},{json.dumps(SCRIPT)}:"a name",'
    '"bidi":"\u202eexe.gnp\u2066","nul":"a\\u0000b","half":"\\ud83d","twice":1,"twice":2,"":"no name",'
    '"a.b[0]":{"c d":[true]},"empty":{ },"none":[\n],"escaped":"tab\\tquote\\"",'
    '"long":"' + "x" * 5000 + '","last":false}'
)


def open_payload(ana: Operator, event: Event) -> Page:
    page = ana.open(f"{EVENTS}{event.pk}/payload/")
    expect(page.locator(".hub-tree .hub-key").first).to_be_visible(timeout=60_000)
    return page


def values(page: Page) -> list[tuple[str, str]]:
    """Return each line of the tree that is unfolded, as name and text."""
    lines = page.locator(".hub-tree .hub-node").all()
    return [
        (
            line.locator(".hub-key").inner_text() if line.locator(".hub-key").count() else "",
            line.locator(".hub-value, .hub-note").inner_text(),
        )
        for line in lines
    ]


@pytest.mark.databaseless
def test_what_a_sender_wrote_is_shown_exactly_and_does_nothing(operator: LogIn, hub: Hub) -> None:
    event = make_event(source=hub.source, body=HOSTILE.encode())
    ana = operator(permissions=["clipboard-read", "clipboard-write"])

    page = open_payload(ana, event)

    shown = values(page)
    for line in (
        ("big:", "12345678901234567890"), ("huge:", "1e400"), ("tiny:", "-0.10000000000000000001"), ("minus:", "-0"),
        ("html:", f'"{SCRIPT}"'), (f"{SCRIPT}:", '"a name"'), ("bidi:", '"\\u202eexe.gnp\\u2066"'),
        ("nul:", '"a\\u0000b"'), ("half:", '"\\ud83d"'), ("twice:", "1"), ("twice:", "2"), (":", '"no name"'),
        ("empty:", "{}"), ("none:", "[]"), ("hasOwnProperty:", "null"), ("last:", "false"),
        ("__proto__:", "{…} 1 field, 17 bytes"),
    ):  # fmt: skip
        assert line in shown, line
    assert page.locator("img[src=x]").count() == 0
    assert page.evaluate("({}).polluted === undefined")

    page.get_by_role("button", name="3,000 more characters").click()
    expect(page.locator(".hub-node", has_text="long:").locator(".hub-value")).to_have_text('"' + "x" * 5000 + '"')
    page.get_by_role("button", name='Fold or unfold $["a.b[0]"]', exact=True).click()
    page.get_by_role("button", name='Fold or unfold $["a.b[0]"]["c d"]', exact=True).click()
    page.get_by_role("button", name='Copy the path $["a.b[0]"]["c d"][0]', exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == '$["a.b[0]"]["c d"][0]'
    page.get_by_role("button", name="Copy payload").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()").replace("\r\n", "\n") == HOSTILE
    assert ana.complaints == []
    entries = LogEntry.objects.filter(object_id=str(event.pk))
    assert [entry.get_change_message() for entry in entries] == ["Payload viewed."], "one view, one entry"


def test_thirty_megabytes_open_unfold_and_scroll(operator: LogIn, hub: Hub) -> None:
    samples = [{"timestamp": f"2026-03-12T06:{n // 60 % 60:02}:{n % 60:02}Z", "bpm": 60 + n % 90} for n in range(1000)]
    day = json.dumps({"metadata": {"type": 0}, "heart": {"samples": samples}}, separators=(",", ":"))
    count = 30 * 1024 * 1024 // len(day) + 1
    body = ('{"type":"daily","data":[' + ",".join([day] * count) + "]}").encode()
    event = make_event(source=hub.source, body=b"{}", size=len(body))
    Payload.objects.filter(pk=event.pk).update(body=None, store_name=put_body(event.pk, body))
    ana = operator()

    page = open_payload(ana, event)

    expect(page.locator(".hub-node", has_text="data:")).to_contain_text(f"[…] {count} items, 30.")
    page.get_by_role("button", name="Fold or unfold $.data", exact=True).click()
    expect(page.locator(".hub-tree ul ul > li")).to_have_count(101)
    page.get_by_role("button", name=f"Show 100 more of {count - 100:,}").click()
    expect(page.locator(".hub-tree ul ul > li")).to_have_count(201)
    for path in ("$.data[199]", "$.data[199].heart", "$.data[199].heart.samples", "$.data[199].heart.samples[99]"):
        page.get_by_role("button", name=f"Fold or unfold {path}", exact=True).click()
    last = page.get_by_text('"2026-03-12T06:01:39Z"', exact=True)
    last.scroll_into_view_if_needed()
    expect(last).to_be_in_viewport()
    page.get_by_role("button", name="Fold or unfold $.data", exact=True).click()
    expect(page.locator(".hub-tree .hub-node")).to_have_count(3)
    assert ana.complaints == []


@pytest.mark.databaseless
def test_what_is_no_json_is_said_and_stays_readable_as_text(operator: LogIn, hub: Hub) -> None:
    event = make_event(source=hub.source, body=b'{"type":"daily","x":[1,2,}')
    ana = operator()

    page = ana.open(f"{EVENTS}{event.pk}/payload/")

    expect(page.locator("#payload-tree")).to_contain_text("This is not JSON: a value was expected at byte 25.")
    expect(page.locator("#payload")).to_have_text('{"type":"daily","x":[1,2,}')
    assert ana.complaints == []


@pytest.mark.databaseless
def test_without_scripts_a_payload_is_text(operator: LogIn, hub: Hub) -> None:
    event = make_event(source=hub.source, body=HOSTILE.encode())
    ana = operator(java_script_enabled=False)

    page = ana.open(f"{EVENTS}{event.pk}/payload/")

    expect(page.locator("#payload")).to_contain_text("12345678901234567890")
    expect(page.locator("#payload-tree")).to_be_hidden()
