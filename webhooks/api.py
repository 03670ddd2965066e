"""The API of events and deliveries: reading, and resending through ``keeping.replay``."""

from collections.abc import Iterator
from typing import ClassVar

import structlog
from django.db.models import Prefetch, QuerySet
from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import mixins, renderers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from destinations.apibase import ApiViewSet
from destinations.services import Refused
from webhooks.filters import DeliveryFilter, EventFilter
from webhooks.keeping.payloads import PayloadMissing, open_body
from webhooks.keeping.replay import resend, resend_event
from webhooks.models import Attempt, Delivery, Event, Payload
from webhooks.serializers import (
    DeliveryDetailSerializer,
    DeliveryResendSerializer,
    DeliverySerializer,
    EventDetailSerializer,
    EventResendSerializer,
    EventSerializer,
    ResentSerializer,
)

log = structlog.get_logger(__name__)

ATTEMPTS_SHOWN = 200


class OctetStreamRenderer(renderers.JSONRenderer):
    """Lets a client that accepts only bytes ask for a payload; a problem is still JSON."""

    media_type = "application/octet-stream"
    format = "bytes"


@extend_schema_view(list=extend_schema(summary="List events"), retrieve=extend_schema(summary="Show an event"))
class EventViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, ApiViewSet):
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
        return rows

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
        body = _body_of(event)
        log.info("payload_viewed", event_id=str(event.pk), user=request.user.pk)
        answer = StreamingHttpResponse(body, content_type="application/octet-stream")
        answer["Content-Length"] = str(event.size)
        answer["Content-Disposition"] = f'attachment; filename="{event.pk}.json"'
        return answer

    @extend_schema(summary="Resend an event", request=EventResendSerializer, responses={202: ResentSerializer})
    @action(detail=True, methods=["post"])
    def resend(self, request: Request, pk: str) -> Response:
        """Send it again: to the named destinations, or else where it would go if it came now."""
        wanted = EventResendSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        return _resent(resend_event(self.get_object().pk, wanted.validated_data["destinations"]))


@extend_schema_view(list=extend_schema(summary="List deliveries"), retrieve=extend_schema(summary="Show a delivery"))
class DeliveryViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, ApiViewSet):
    """Events on their way to destinations, and what became of each."""

    filterset_class = DeliveryFilter
    action_permissions: ClassVar[dict[str, list[str]]] = {
        "resend": ["webhooks.resend_delivery"],
        "resend_many": ["webhooks.resend_delivery"],
    }

    def get_queryset(self) -> QuerySet[Delivery]:
        """Return deliveries with what is shown of their events and destinations; one with its attempts."""
        own = DeliverySerializer.Meta.fields
        columns = [name for name in own if name not in ("destination_name", "event_type")]
        rows: QuerySet[Delivery] = Delivery.objects.select_related("event", "destination")
        rows = rows.only(*columns, "destination__name", "event__type")
        if self.action == "retrieve":
            latest = Attempt.objects.order_by("-number")[:ATTEMPTS_SHOWN]
            rows = rows.prefetch_related(Prefetch("attempts", latest, to_attr="latest_first"))
        return rows

    def get_serializer_class(self) -> type[DeliverySerializer]:
        """Return the longer form for a single delivery."""
        return DeliveryDetailSerializer if self.action == "retrieve" else DeliverySerializer

    @extend_schema(summary="Resend a delivery", request=None, responses={202: ResentSerializer})
    @action(detail=True, methods=["post"])
    def resend(self, request: Request, pk: str) -> Response:
        """Make it due now, whatever became of it."""
        return _resent(resend([self.get_object().pk]))

    @extend_schema(
        summary="Resend deliveries",
        operation_id="deliveries_resend_many",
        request=DeliveryResendSerializer,
        responses={202: ResentSerializer},
    )
    @action(detail=False, methods=["post"], url_path="resend")
    def resend_many(self, request: Request) -> Response:
        """Make up to 1000 deliveries due now; none where one of them cannot be sent."""
        wanted = DeliveryResendSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        return _resent(resend(wanted.validated_data["ids"]))


def _body_of(event: Event) -> Iterator[bytes]:
    payload = Payload.objects.filter(pk=event.pk).first()
    try:
        if payload is None:
            raise PayloadMissing("The payload is no longer kept.")
        return open_body(payload)
    except PayloadMissing as error:
        raise Refused({"": [str(error)]}, code="payload_gone") from error


def _resent(count: int) -> Response:
    return Response({"resent": count}, status=202)
