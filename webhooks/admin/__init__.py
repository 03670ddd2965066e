"""The admin of the data plane: sources, events, deliveries, quarantine, replays, erasures."""

from destinations.forms import offer, tell_matches
from webhooks.admin import (  # noqa: F401  # registers on import
    deliveries,
    destinations,
    erasures,
    events,
    quarantine,
    replays,
    sources,
)
from webhooks.admin.lookups import received_types, source_slugs
from webhooks.admin.matching import matching_words

offer("event_types", received_types)
offer("sources", source_slugs)
tell_matches(matching_words)
