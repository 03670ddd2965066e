"""A key that is limited to sources cannot tell a source of somebody else's from one that does not exist."""

import json
from typing import Any

import pytest

from tests.api_support import make_destination, make_source
from tests.control_support import key_api

pytestmark = pytest.mark.django_db(transaction=True)

SECRET = "secret-of-terra-for-the-tests-0000"
HOOK = {"type": "webhook", "name": "hook", "config": {"url": "http://127.0.0.1:18999/hook"}}
SCOPES = ("sources:write", "destinations:read", "destinations:write", "events:read", "deliveries:write", "keys:write",
          "payloads:read")  # fmt: skip
# Method, path and body; SLUG and DESTINATION stand for what is asked about, and for a destination of its own.
REQUESTS: dict[str, tuple[str, str, Any]] = {
    "make a source": ("POST", "sources", {"slug": "SLUG", "secret": SECRET}),
    "make a source on trial": ("POST", "sources?dry_run=true", {"slug": "SLUG", "secret": SECRET}),
    "show a source": ("GET", "sources/SLUG", None),
    "change a source": ("PATCH", "sources/SLUG", {"name": "mine"}),
    "rotate its secret": ("POST", "sources/SLUG/rotate-secret", {"secret": SECRET}),
    "send a sample": ("POST", "sources/SLUG/send-test", {"type": "daily"}),
    "list sources by a part": ("GET", "sources?search=SLUG", None),
    "list events": ("GET", "events?source=SLUG", None),
    "list refused requests": ("GET", "quarantine?source=SLUG", None),
    "admit refused requests": ("POST", "quarantine/admit", {"source": "SLUG"}),
    "list destinations": ("GET", "destinations?source=SLUG", None),
    "statistics": ("GET", "stats?source=SLUG", None),
    "make a destination": ("POST", "destinations", {**HOOK, "sources": ["SLUG"]}),
    "make destinations": ("POST", "destinations/batch-create", {"destinations": [{**HOOK, "sources": ["SLUG"]}]}),
    "change a destination": ("PATCH", "destinations/DESTINATION", {"sources": ["main", "SLUG"]}),
    "make a key": ("POST", "api-keys", {"name": "k", "scopes": ["events:read"], "sources": ["SLUG"]}),
    "make a key for two": ("POST", "api-keys", {"name": "k", "scopes": ["events:read"], "sources": ["main", "SLUG"]}),
    "replay": ("POST", "replays", {"kind": "matching", "source": "SLUG"}),
    "replay on trial": ("POST", "replays?dry_run=true", {"kind": "matching", "source": "SLUG"}),
    "replay missing": ("POST", "replays", {"kind": "missing", "source": "SLUG", "destinations": ["DESTINATION"]}),
}  # fmt: skip


@pytest.mark.parametrize("what", REQUESTS)
def test_the_answer_is_the_same_for_another_slug_and_for_none(what: str) -> None:
    make_source("main")
    make_source("elsewhere")
    make_destination(sources=["elsewhere"], name="theirs")
    mine = make_destination(sources=["main"], name="mine")
    client = key_api(*SCOPES, sources=("main",)).client

    def answer(slug: str) -> tuple[int, str]:
        method, path, body = json.loads(
            json.dumps(REQUESTS[what]).replace("SLUG", slug).replace("DESTINATION", str(mine.pk))
        )
        text = "" if body is None else json.dumps(body)
        said = client.generic(method, f"/api/v1/{path}", text, "application/json", HTTP_IDEMPOTENCY_KEY=slug)
        shown = said.content.decode().replace(slug, "SLUG").replace(said["X-Request-ID"], "")
        return said.status_code, shown

    there, nowhere = answer("elsewhere"), answer("nowhere")
    assert there == nowhere
    assert there[0] in (200, 400, 403, 404)
