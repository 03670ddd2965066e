"""The admin of the data plane: sources, events, deliveries, quarantine."""

from destinations.forms import offer
from webhooks.admin import deliveries, events, quarantine, sources  # noqa: F401  # registers on import
from webhooks.admin.lookups import received_types, source_slugs

offer("event_types", received_types)
offer("sources", source_slugs)
