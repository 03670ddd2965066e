"""The API of statistics: of the whole hub, of one destination; and why its deliveries fail."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import ClassVar
from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from destinations.access.actors import sources_of
from destinations.access.limits import destinations_of, refuse_limited
from destinations.apibase import ApiViewSet
from destinations.models import Destination
from destinations.serializers import StrictSerializer, values_of
from destinations.troubles import trouble_of
from webhooks import stats
from webhooks.api.limits import sources_shown
from webhooks.api.stat_serializers import (
    DestinationReportSerializer,
    FailureGroupsSerializer,
    ReportSerializer,
    SpanSerializer,
    StatsQuerySerializer,
    TestEventSerializer,
    TestSentSerializer,
    queues,
    shown,
)
from webhooks.keeping.testevents import send_last, send_test
from webhooks.models import Event, Source


class StatsViewSet(ApiViewSet):
    """What came in and how tries ended, from tallies: an answer costs the same however much is kept."""

    queryset = Event.objects.none()  # whose permission is asked for
    serializer_class = ReportSerializer
    pagination_class = None
    filter_backends = ()

    @extend_schema(
        summary="Statistics", operation_id="stats", parameters=[StatsQuerySerializer], responses=ReportSerializer
    )
    def list(self, request: Request) -> Response:
        """Count by minute, hour or day, in all or split.

        What is tried is counted per destination; per source, type and provider since the hub counts these. A key that
        is limited to sources names one of its own.
        """
        asked = values_of(StatsQuerySerializer(data=request.query_params))
        destination, slug = asked.pop("destination", None), asked.pop("source", None)
        if sources_of(request.user) and not (slug or destination):
            refuse_limited(request.user)
        asked |= {"destination_id": self._destination(destination), "source_id": self._source(slug)}
        return Response(shown(stats.report(stats.wanted(**asked))))

    def _destination(self, pk: UUID | None) -> UUID | None:
        rows = destinations_of(self.by, Destination.objects.all())
        if pk and not rows.filter(pk=pk).exists():
            raise ValidationError({"destination": ["No destination has that id."]})
        return pk

    def _source(self, slug: str | None) -> UUID | None:
        if not slug:
            return None
        found: UUID | None = (
            sources_shown(self.by, Source.objects.filter(slug=slug)).values_list("pk", flat=True).first()
        )
        if found is None:
            raise ValidationError({"source": ["No source has that slug."]})
        return found

    def _known_parameters(self) -> Sequence[str]:
        return parameters_of(StatsQuerySerializer)


class DestinationActivityViewSet(ApiViewSet):
    """What became of a destination's deliveries."""

    versioned = True
    queryset = Destination.objects.none()  # what the schema is made from
    serializer_class = DestinationReportSerializer
    pagination_class = None
    filter_backends = ()
    action_permissions: ClassVar[dict[str, list[str]]] = {
        "failures": ["webhooks.view_delivery"],
        "test": ["destinations.test_destination"],
    }

    def get_queryset(self) -> QuerySet[Destination]:
        """Return those that were not deleted and that the caller may see."""
        return destinations_of(self.by, Destination.objects.present())

    @extend_schema(
        summary="Statistics of a destination", parameters=[SpanSerializer], responses=DestinationReportSerializer
    )
    @action(detail=True, methods=["get"])
    def stats(self, request: Request, pk: str) -> Response:
        """Count its tries by minute, hour or day; say what waits for it and how many dead letters it has."""
        destination = self.get_object()
        asked = values_of(SpanSerializer(data=request.query_params))
        answer = shown(stats.report(stats.wanted(**asked, destination_id=destination.pk)))
        return Response({**answer, "queue": queues([destination.pk])[destination.pk]})

    @extend_schema(summary="Why deliveries of a destination fail", responses=FailureGroupsSerializer)
    @action(detail=True, methods=["get"])
    def failures(self, request: Request, pk: str) -> Response:
        """Group its latest failed deliveries by cause, the most frequent first."""
        destination = self.get_object()
        data = [
            {**asdict(group), "trouble": trouble_of(destination.type, group.code)}
            for group in stats.failures(destination.pk)
        ]
        return Response({"data": data, "has_more": False, "next_cursor": None})

    @extend_schema(summary="Send a test event", request=TestEventSerializer, responses={202: TestSentSerializer})
    @action(detail=True, methods=["post"])
    def test(self, request: Request, pk: str) -> Response:
        """Send a healthcheck, or the last real event of a type, to this destination only, marked as a test."""
        destination = self.get_object()
        event_type = values_of(TestEventSerializer(data=request.data))["event_type"]
        if event_type:
            delivery = send_last(destination, event_type, by=request.user)
        else:
            delivery = send_test(destination, by=request.user)
        return Response({"delivery_id": delivery.pk, "event_id": str(delivery.event_id)}, status=202)

    def _known_parameters(self) -> Sequence[str]:
        return parameters_of(SpanSerializer) if self.action == "stats" else ()


def parameters_of(serializer: type[StrictSerializer]) -> Sequence[str]:
    """Return the names that a request's parameters may have."""
    return [str(name) for name in serializer().fields]
