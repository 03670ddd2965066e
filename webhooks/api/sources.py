"""The API of sources: each view calls one use case of ``receiving.sources`` or ``receiving.samples``."""

from typing import ClassVar

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import mixins
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from destinations.apibase import ApiViewSet
from destinations.serializers import values_of
from webhooks.api.limits import sources_shown
from webhooks.api.source_filters import SourceFilter
from webhooks.api.source_serializers import (
    SampleSentSerializer,
    SampleSerializer,
    SourceChangeSerializer,
    SourceCreateSerializer,
    SourceSecretSerializer,
    SourceSerializer,
)
from webhooks.models import Source
from webhooks.receiving import sources
from webhooks.receiving.samples import sample_body, send_sample
from webhooks.stats import with_last_event


@extend_schema_view(list=extend_schema(summary="List sources"), retrieve=extend_schema(summary="Show a source"))
class SourceViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, ApiViewSet):
    """Terra environments that may post here. A source is never deleted: its events refer to it. Switch it off."""

    queryset = Source.objects.none()  # what the schema is made from
    serializer_class = SourceSerializer
    filterset_class = SourceFilter
    lookup_field = "slug"
    lookup_value_regex = "[a-z0-9][a-z0-9-]*"
    action_permissions: ClassVar[dict[str, list[str]]] = {
        "rotate_secret": ["webhooks.change_source"],
        "send_test": ["webhooks.change_source"],
    }

    def get_queryset(self) -> QuerySet[Source]:
        """Return those that the caller may see, each with when it last took something in."""
        return with_last_event(sources_shown(self.by, Source.objects.all()))

    @extend_schema(summary="Make a source", request=SourceCreateSerializer, responses={201: SourceSerializer})
    def create(self, request: Request) -> Response:
        """Make a source. Paste its ``webhook_url`` into Terra's dashboard."""
        values = values_of(SourceCreateSerializer(data=request.data))
        return self._shown(sources.create_source(by=request.user, **values), 201)

    @extend_schema(summary="Change a source", request=SourceChangeSerializer, responses=SourceSerializer)
    def partial_update(self, request: Request, slug: str) -> Response:
        """Change what is named. The slug is fixed; ``allowlist`` is replaced. ``active: false`` stands for deleting."""
        source = self.get_object()
        changes = values_of(SourceChangeSerializer(data=request.data))
        return self._shown(sources.update_source(source, by=request.user, **changes))

    @extend_schema(
        summary="Rotate a source's signing secret", request=SourceSecretSerializer, responses=SourceSerializer
    )
    @action(detail=True, methods=["post"], url_path="rotate-secret")
    def rotate_secret(self, request: Request, slug: str) -> Response:
        """Make the secret of Terra's dashboard the current one; those before it are good for a while."""
        values = values_of(SourceSecretSerializer(data=request.data))
        return self._shown(sources.add_signing_secret(self.get_object(), by=request.user, **values))

    @extend_schema(summary="Send a signed sample", request=SampleSerializer, responses={201: SampleSentSerializer})
    @action(detail=True, methods=["post"], url_path="send-test")
    def send_test(self, request: Request, slug: str) -> Response:
        """Take in a sample that this hub makes and signs, as if Terra had posted it; it is delivered like any event."""
        wanted = values_of(SampleSerializer(data=request.data))
        event = send_sample(self.get_object(), sample_body(wanted["type"]), by=request.user)
        return Response({"event_id": str(event.pk), "type": event.type}, status=201)

    def _shown(self, source: Source, status: int = 200) -> Response:
        row = with_last_event(Source.objects.filter(pk=source.pk)).get()
        return Response(SourceSerializer(row).data, status=status)
