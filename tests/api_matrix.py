"""Who may do what over the API: one row per operation. ``docs/api-permissions.md`` shows the table that follows.

A new operation needs a row here: ``tests/test_api_permissions.py`` says so until it has one. The page is written anew
by ``python -m tests.api_matrix``.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from destinations.access.scopes import least_scopes, scopes_with
from terra_hub.roles import ADMIN, OPERATOR, ROLES, VIEWER

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE = DOCS / "api-permissions.md"
BEGIN, END = "<!-- the table: python -m tests.api_matrix -->", "<!-- end of the table -->"
HOOK = {"url": "http://127.0.0.1:18999/hook"}


@dataclass(frozen=True)
class Row:
    """One operation, and what it needs.

    ``path`` names things of the world (``{event}``) where the API has ids. So do texts in ``body``.
    """

    operation: str  # "POST /events/{event}/resend"
    needs: str  # the permissions, with spaces: a user's, and those of a key's scopes
    body: Any = None
    # What a key with every scope gets that is limited to another source, to the thing's own source.
    other: int = 200
    own: int = 200
    shared: bool = False  # a list that shows the same to everybody, whatever they are limited to
    open: bool = False  # needs nothing, not even a log-in

    @property
    def method(self) -> str:
        return self.operation.partition(" ")[0]

    @property
    def path(self) -> str:
        return self.operation.partition(" ")[2]

    @property
    def key(self) -> str:
        """Return the operation without names and query, as the URL conf has it."""
        return normal(self.method, self.path.partition("?")[0])

    @property
    def permissions(self) -> list[str]:
        return self.needs.split()

    @property
    def scopes(self) -> list[str]:
        """Return the scopes of which each is enough."""
        return scopes_with(self.permissions)

    def expected(self) -> dict[str, int]:
        """Return what each caller gets: 200 stands for every success."""
        if self.open:
            return dict.fromkeys(CALLERS, 200)
        roles = {role: 200 if set(self.permissions) <= ROLES[role] else 403 for role in (VIEWER, OPERATOR, ADMIN)}
        return {
            "no key": 401, "expired": 401, "revoked": 401, "wrong scope": 403, "its scope": self.own_scope(),
            "its source": self.own, "another source": self.other, "full key": 200, **roles,
        }  # fmt: skip

    def own_scope(self) -> int:
        return 200 if self.scopes else 403


CALLERS = (
    "no key", "expired", "revoked", "wrong scope", "its scope", "its source", "another source", "full key",
    VIEWER, OPERATOR, ADMIN,
)  # fmt: skip

ROWS: list[Row] = [
    Row("GET /schema", "", open=True),
    # destinations
    Row("GET /destination-types", "destinations.view_destination", shared=True),
    Row("GET /destination-types/{type}", "destinations.view_destination", shared=True),
    Row("GET /destinations", "destinations.view_destination"),
    Row("GET /destinations/{destination}", "destinations.view_destination", other=404),
    Row(
        "POST /destinations", "destinations.add_destination",
        {"type": "webhook", "name": "new", "config": HOOK, "sources": ["main"]}, other=403,
    ),
    Row(
        "POST /destinations/batch-create", "destinations.add_destination",
        {"destinations": [{"type": "webhook", "name": "new", "config": HOOK, "sources": ["main"]}]}, other=403,
    ),
    Row("PATCH /destinations/{destination}", "destinations.change_destination", {"name": "renamed"}, other=404),
    Row("DELETE /destinations/{destination}", "destinations.delete_destination", other=404),
    Row("POST /destinations/{destination}/check", "destinations.check_destination", other=404),
    Row("POST /destinations/{destination}/pause", "destinations.pause_destination", other=404),
    Row("POST /destinations/{destination}/resume", "destinations.pause_destination", other=404),
    Row("POST /destinations/{destination}/rotate-secret", "destinations.change_destination", {}, other=404),
    Row("POST /destinations/{destination}/revoke-links", "destinations.change_destination", other=404),
    Row(
        "POST /destinations/check", "destinations.add_destination destinations.check_destination",
        {"type": "webhook", "config": HOOK},
    ),
    Row("POST /destinations/{destination}/enable", "destinations.change_destination", other=404),
    Row("POST /destinations/{destination}/disable", "destinations.change_destination", {}, other=404),
    Row("POST /destinations/{destination}/test", "destinations.test_destination", {}, other=404),
    Row("GET /destinations/{destination}/setup", "destinations.view_destination", other=404),
    Row("GET /destinations/{destination}/stats", "destinations.view_destination", other=404),
    Row("GET /destinations/{destination}/failures", "webhooks.view_delivery", other=404),
    Row("GET /destinations/{destination}/notices", "destinations.view_notice", other=404),
    # the whole hub
    Row("GET /stats", "webhooks.view_event", own=403, other=403),
    Row("GET /event-types", "webhooks.view_source", shared=True),
    # sources
    Row("GET /sources", "webhooks.view_source"),
    Row("GET /sources/{slug}", "webhooks.view_source", other=404),
    Row("POST /sources", "webhooks.add_source", {"slug": "new"}, own=403, other=403),
    Row("PATCH /sources/{slug}", "webhooks.change_source", {"name": "renamed"}, other=404),
    Row("POST /sources/{slug}/rotate-secret", "webhooks.change_source", {"secret": "another-secret"}, other=404),
    Row("POST /sources/{slug}/send-test", "webhooks.change_source", {}, other=404),
    # events and deliveries
    Row("GET /events", "webhooks.view_event"),
    Row("GET /events/{event}", "webhooks.view_event", other=404),
    Row("GET /events/{event}/payload", "webhooks.view_event webhooks.view_payload", other=404),
    Row("POST /events/{event}/resend", "webhooks.resend_delivery", {"destinations": ["{destination}"]}, other=404),
    Row("GET /deliveries", "webhooks.view_delivery"),
    Row("GET /deliveries/{delivery}", "webhooks.view_delivery", other=404),
    Row("POST /deliveries/{delivery}/resend", "webhooks.resend_delivery", other=404),
    Row("POST /deliveries/resend", "webhooks.resend_delivery", {"ids": ["{delivery}"]}, other=404),
    Row("POST /deliveries/{waiting}/cancel", "webhooks.cancel_delivery", other=404),
    Row("POST /deliveries/cancel", "webhooks.cancel_delivery", {"ids": ["{waiting}"]}, other=404),
    Row("GET /deliveries/{delivery}/attempts", "webhooks.view_delivery", other=404),
    Row("GET /attempts/{attempt}", "webhooks.view_delivery", other=404),
    # replays
    Row("GET /replays", "webhooks.view_replay"),
    Row("GET /replays/{replay}", "webhooks.view_replay", other=404),
    Row(
        "POST /replays", "webhooks.add_replay",
        {"kind": "matching", "source": "main", "destinations": ["{destination}"]}, other=403,
    ),
    Row("POST /replays/{replay}/pause", "webhooks.change_replay", other=404),
    Row("POST /replays/{stopped}/resume", "webhooks.change_replay", other=404),
    Row("POST /replays/{replay}/cancel", "webhooks.change_replay", other=404),
    # quarantine
    Row("GET /quarantine", "webhooks.view_quarantinedrequest"),
    Row("GET /quarantine/{item}", "webhooks.view_quarantinedrequest", other=404),
    Row("GET /quarantine/{item}/body", "webhooks.view_quarantinedrequest webhooks.view_payload", other=404),
    Row("POST /quarantine/{item}/verify", "webhooks.view_quarantinedrequest", other=404),
    Row("POST /quarantine/{admitted}/admit", "webhooks.admit_quarantinedrequest", other=404),
    Row("POST /quarantine/admit", "webhooks.admit_quarantinedrequest", {"ids": ["{item}"]}, other=404),
    # erasures: of the whole hub, so for no key that is limited to sources
    Row("GET /erasures", "webhooks.view_erasure", own=403, other=403),
    Row("GET /erasures/{erasure}", "webhooks.view_erasure", own=403, other=403),
    Row("POST /erasures", "webhooks.add_erasure", {"user_id": "a person"}, own=403, other=403),
    Row("POST /erasures/{erasure_to_come}/cancel", "webhooks.change_erasure", own=403, other=403),
    Row("POST /erasures/{erasure_stopped}/resume", "webhooks.change_erasure", {}, own=403, other=403),
    Row("POST /erasures/{erasure}/lift", "webhooks.change_erasure", own=403, other=403),
    # API keys
    Row("GET /api-keys", "destinations.view_apikey"),
    Row("GET /api-keys/{key}", "destinations.view_apikey", other=404),
    Row(
        "POST /api-keys", "destinations.add_apikey",
        {"name": "new", "scopes": ["keys:write"], "sources": ["main"]}, other=403,
    ),
    Row("DELETE /api-keys/{key}", "destinations.change_apikey", other=404),
]  # fmt: skip


# --- what a row stands for ----------------------------------------------------------------------------
def normal(method: str, path: str) -> str:
    """Return an operation with ``{}`` for each name: of a row's path, of the URL conf's patterns."""
    path = re.sub(r"\(\?P<\w+>[^)]*\)|<[\w:]+>|\{\w+\}", "{}", path)
    return f"{method} /{path.strip('/')}"


def filled(value: Any, world: Mapping[str, Any]) -> Any:
    """Return a path or a body with the world's ids in place of the names."""
    if isinstance(value, dict):
        return {name: filled(one, world) for name, one in value.items()}
    if isinstance(value, list):
        return [filled(one, world) for one in value]
    if not isinstance(value, str):
        return value
    whole = re.fullmatch(r"\{(\w+)\}", value)
    if whole:
        found = world[whole[1]]
        return found if isinstance(found, int) else str(found)
    return re.sub(r"\{(\w+)\}", lambda name: str(world[name[1]]), value)


# --- the page --------------------------------------------------------------------------------------------
def table() -> str:
    """Return the page's table, as Markdown."""
    shown = [name for name in CALLERS if name != "its scope"]
    head = ["Operation", "Least scope", "Permission of a user", *shown]
    lines, paths = [head, ["---"] * len(head)], schema_paths()
    for row in ROWS:
        expected = row.expected()
        cells = ["2xx" if expected[name] == 200 else str(expected[name]) for name in shown]
        path = paths.get(row.key.partition(" ")[2], row.path)
        least = ", ".join(least_scopes(row.permissions)[:1]) or "–"
        needs = ", ".join(f"`{one}`" for one in row.permissions) or "none"
        lines.append([f"`{row.method} {path}`", f"`{least}`" if row.scopes and row.permissions else "–", needs, *cells])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def schema_paths() -> dict[str, str]:
    """Return each path as the schema writes it, with its own names, by the path with ``{}`` for each name."""
    found = re.findall(r"^  /api/v1(/\S*):$", (DOCS / "openapi.yaml").read_text(), re.MULTILINE)
    return {re.sub(r"\{\w+\}", "{}", path): path for path in found}


def page(text: str) -> str:
    """Return the page's text with the table of now."""
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
