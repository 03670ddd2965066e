"""The API of event types: those that Terra sends, and those that were received."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from drf_spectacular.utils import extend_schema, extend_schema_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from destinations.access.actors import sources_of
from destinations.apibase import ApiViewSet
from destinations.terra import DATA_TYPES, EVENT_TYPES, OTHER_TYPES, USER_TYPES
from webhooks.finding.types import received_types
from webhooks.models import Source

_CATEGORIES = {"data": DATA_TYPES, "user": USER_TYPES, "other": OTHER_TYPES}
UNKNOWN = "unknown"


class EventTypeSerializer(serializers.Serializer[Any]):
    """An event type."""

    type = serializers.CharField()
    category = serializers.ChoiceField(
        [*_CATEGORIES, UNKNOWN],
        help_text="data: health data; user: of somebody's connection; unknown: received, and new to this hub.",
    )
    last_received_at = serializers.DateTimeField(
        allow_null=True,
        help_text="Of the events that are kept; null: there is none. Not told to a key that is limited to sources.",
    )


@extend_schema_serializer(many=False)
class EventTypeListSerializer(serializers.Serializer[Any]):
    """Every event type."""

    data = EventTypeSerializer(many=True)  # type: ignore[assignment]  # DRF takes declared fields off the class
    has_more = serializers.BooleanField()
    next_cursor = serializers.CharField(allow_null=True)


class EventTypeViewSet(ApiViewSet):
    """What a destination's ``event_types`` may name."""

    queryset = Source.objects.none()  # whose permission is asked for
    serializer_class = EventTypeListSerializer
    pagination_class = None
    filter_backends = ()

    @extend_schema(summary="List event types", filters=False, responses=EventTypeListSerializer)
    def list(self, request: Request) -> Response:
        """List the types that Terra sends, and up to 200 that were received; all on one page."""
        received = {} if sources_of(request.user) else received_types()
        names = dict.fromkeys([*EVENT_TYPES, *received])
        data = [_shown(name, received.get(name)) for name in names]
        return Response({"data": data, "has_more": False, "next_cursor": None})

    def _known_parameters(self) -> Sequence[str]:
        return ()


def _shown(name: str, received_at: datetime | None) -> dict[str, Any]:
    category = next((one for one, names in _CATEGORIES.items() if name in names), UNKNOWN)
    return {"type": name, "category": category, "last_received_at": received_at}
