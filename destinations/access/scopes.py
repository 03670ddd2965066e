"""Scopes of API keys: what each lets a key do, in Django's permissions, which views and use cases ask for."""

from collections.abc import Collection, Mapping

_READ_DESTINATIONS = ("destinations.view_destination", "destinations.view_notice", "webhooks.view_source")
# scope -> (what it is in words, the permissions that it gives); of those that read, the least powerful come first
_SCOPES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "destinations:read": ("Look at destinations, their types, statistics and notices, at sources", _READ_DESTINATIONS),
    "destinations:write": (
        "Make, change, check, pause and delete destinations",
        (
            *_READ_DESTINATIONS, "destinations.add_destination", "destinations.change_destination",
            "destinations.delete_destination", "destinations.check_destination", "destinations.pause_destination",
            "destinations.test_destination",
        ),
    ),
    "events:read": (
        "Look at events, deliveries, attempts, replays, statistics and the quarantine, without payloads",
        (
            "webhooks.view_event", "webhooks.view_delivery", "webhooks.view_replay",
            "webhooks.view_quarantinedrequest", "webhooks.view_source",
        ),
    ),
    "payloads:read": (
        "Read payloads, also of what was refused; each look is written down",
        ("webhooks.view_event", "webhooks.view_quarantinedrequest", "webhooks.view_payload"),
    ),
    "deliveries:write": (
        "Resend, replay, cancel, and admit from the quarantine",
        (
            "webhooks.view_event", "webhooks.view_delivery", "webhooks.view_replay",
            "webhooks.view_quarantinedrequest", "webhooks.resend_delivery", "webhooks.cancel_delivery",
            "webhooks.add_replay", "webhooks.change_replay", "webhooks.admit_quarantinedrequest",
        ),
    ),
    "sources:write": (
        "Make and change sources and their secrets",
        ("webhooks.view_source", "webhooks.add_source", "webhooks.change_source"),
    ),
    "erase": ("Erase a person", ("webhooks.view_erasure", "webhooks.add_erasure", "webhooks.change_erasure")),
    "keys:write": (
        "Make and revoke API keys, with no more than this key's own scopes",
        ("destinations.view_apikey", "destinations.add_apikey", "destinations.change_apikey"),
    ),
}  # fmt: skip
SCOPES: tuple[str, ...] = tuple(_SCOPES)
HUB_WIDE = frozenset({"erase"})  # about the whole hub: nothing of it works with a key that is limited to sources


def words_of(scope: str) -> str:
    """Return what a scope allows, in words."""
    return _SCOPES[scope][0]


def permissions_of(scopes: Collection[str]) -> frozenset[str]:
    """Return the permissions that scopes give together; a scope that is not known gives none."""
    return frozenset(name for scope in scopes if scope in _SCOPES for name in _SCOPES[scope][1])


def scopes_with(permissions: Collection[str]) -> list[str]:
    """Return the scopes that give all of these permissions, the least powerful first."""
    return [scope for scope, (_, given) in _SCOPES.items() if set(permissions) <= set(given)]


def least_scopes(permissions: Collection[str]) -> list[str]:
    """Return the scopes, as few and as little powerful as can be, that give these permissions together."""
    alone = scopes_with(permissions)[:1]
    return alone or list(dict.fromkeys(scope for one in permissions for scope in scopes_with([one])[:1]))
