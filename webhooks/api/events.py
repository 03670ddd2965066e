"""The API of events: reading, payloads, and resending through ``keeping.replay``."""

from collections.abc import Iterable
from typing import ClassVar

from django.db.models import Prefetch, QuerySet
from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import renderers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from destinations.access.limits import refuse_destinations_beyond
from webhooks.api.deliveries import resent
from webhooks.api.filters import EventFilter
from webhooks.api.limits import events_of
from webhooks.api.scanned import ScannedViewSet
from webhooks.api.serializers import (
    EventDetailSerializer,
    EventResendSerializer,
    EventSerializer,
    ResentSerializer,
)
from webhooks.keeping.payload_views import OVER_API, read_payload
from webhooks.keeping.replay import resend_event
from webhooks.models import Delivery, Event, QuarantinedRequest


class OctetStreamRenderer(renderers.JSONRenderer):
    """Lets a client that accepts only bytes ask for a payload; a problem is still JSON."""

    media_type = "application/octet-stream"
    format = "bytes"


@extend_schema_view(list=extend_schema(summary="List events"), retrieve=extend_schema(summary="Show an event"))
class EventViewSet(ScannedViewSet):
    """Accepted requests, newest first."""

    filterset_class = EventFilter
    action_permissions: ClassVar[dict[str, list[str]]] = {
        "payload": ["webhooks.view_event", "webhooks.view_payload"],
        "resend": ["webhooks.resend_delivery"],
    }

    def get_queryset(self) -> QuerySet[Event]:
        """Return events with their sources; a single one with its deliveries too."""
        rows: QuerySet[Event] = Event.objects.select_related("source")
        if self.action == "retrieve":
            rows = rows.prefetch_related(Prefetch("deliveries", Delivery.objects.order_by("pk")))
        return events_of(self.by, rows)

    def get_serializer_class(self) -> type[EventSerializer]:
        """Return the longer form for a single event."""
        return EventDetailSerializer if self.action == "retrieve" else EventSerializer

    @extend_schema(
        summary="Download a payload",
        parameters=[OpenApiParameter("format", exclude=True)],
        responses={(200, "application/octet-stream"): OpenApiTypes.BINARY},
    )
    @action(detail=True, methods=["get"], renderer_classes=[renderers.JSONRenderer, OctetStreamRenderer])
    def payload(self, request: Request, pk: str) -> StreamingHttpResponse:
        """Return the exact bytes that were received. Who looked at which payload is logged."""
        event = self.get_object()
        return bytes_of(event, read_payload(event, self.by, OVER_API), event.size)

    @extend_schema(summary="Resend an event", request=EventResendSerializer, responses={202: ResentSerializer})
    @action(detail=True, methods=["post"])
    def resend(self, request: Request, pk: str) -> Response:
        """Send it again: to the named destinations, or else where it would go if it came now."""
        wanted = EventResendSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        event, named = self.get_object(), wanted.validated_data["destinations"]
        refuse_destinations_beyond(self.by, named or ())
        return resent(resend_event(event.pk, named))


def bytes_of(row: Event | QuarantinedRequest, pieces: Iterable[bytes], size: int) -> StreamingHttpResponse:
    """Answer with exact bytes, to be saved."""
    answer = StreamingHttpResponse(pieces, content_type="application/octet-stream")
    answer["Content-Length"] = str(size)
    answer["Content-Disposition"] = f'attachment; filename="{row.pk}.json"'
    return answer
