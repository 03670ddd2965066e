"""Destinations and what operators are told of them; who may call the API."""

from destinations.models.access import ApiKey, StoredAnswer
from destinations.models.destinations import (
    DEFAULT_SCHEDULE,
    HEALTH_FIELDS,
    Destination,
    DestinationQuerySet,
    Notice,
    RoutingVersion,
)

__all__ = [
    "DEFAULT_SCHEDULE", "HEALTH_FIELDS", "ApiKey", "Destination", "DestinationQuerySet", "Notice", "RoutingVersion",
    "StoredAnswer",
]  # fmt: skip
