"""What the API's schema, and its page for people, say of the API as a whole."""

ABOUT = """\
Terra's signed webhooks come in here; each event is kept and delivered, at least once, to every destination that takes
it.
This API sets up sources and destinations, looks at events, deliveries and attempts, and delivers again.

**A key** comes from the admin ([API keys](/admin/destinations/apikey/add/)), or from the command line:
`terra-hub keys add "my script" --scopes events:read` (or `manage.py hub keys add`). It is shown once. Send it as
`Authorization: Bearer hub_live_…`. Each operation names the scope that its key needs.

**More:** the hub's documents have a tour of ten minutes and the conventions (`docs/api.md`), every error
(`docs/api-errors.md`), and who may do what (`docs/api-permissions.md`).
"""
_TAGS = {
    "destinations": "Where events are delivered: made, checked, changed, paused, and how they do.",
    "destination-types": "What a destination can be, and the fields that each type asks for.",
    "sources": "Where Terra's webhooks come in: addresses, and the secrets that verify them.",
    "events": "What Terra sent, with its payload.",
    "deliveries": "Events on their way to destinations: looked at, sent again, cancelled.",
    "attempts": "Single tries of deliveries.",
    "replays": "Jobs by which many events are delivered again.",
    "quarantine": "Requests that were refused: looked at, verified again, let in by hand.",
    "event-types": "What Terra sends, and what came in so far.",
    "stats": "How the hub does, in numbers.",
    "erasures": "Everything of one person, removed from the hub and, on request, from destinations.",
    "api-keys": "Keys of this API: made, looked at, revoked.",
}
TAGS = [{"name": name, "description": says} for name, says in _TAGS.items()]
