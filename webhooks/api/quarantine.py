"""The API of the quarantine: what was refused and why, verified again, admitted."""

from collections.abc import Sequence
from typing import Any, ClassVar

from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, PolymorphicProxySerializer, extend_schema, extend_schema_view
from rest_framework import renderers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from destinations.services import Refused
from webhooks.api.events import OctetStreamRenderer, bytes_of
from webhooks.api.filters import QuarantineFilter, refused_of
from webhooks.api.limits import quarantine_of
from webhooks.api.paginator import cursor_of, key_in
from webhooks.api.quarantine_serializers import (
    MOST_ADMITTED,
    AdmitManySerializer,
    AdmittedManySerializer,
    QuarantineDetailSerializer,
    QuarantineSerializer,
    VerifiedSerializer,
    tried_of,
)
from webhooks.api.scanned import ScannedViewSet
from webhooks.api.serializers import EventSerializer
from webhooks.finding.scans import Key, next_page
from webhooks.keeping.payload_views import OVER_API, note_view
from webhooks.keeping.refusing import refuse_missing
from webhooks.models import QuarantinedRequest
from webhooks.receiving.quarantine import Tried, admit, admit_each, verify_again, verify_each

_EVENT_OR_TRIAL = PolymorphicProxySerializer(
    component_name="AdmittedBefore", serializers=[EventSerializer, VerifiedSerializer], resource_type_field_name=None
)
_VIEW, _ADMIT = "webhooks.view_quarantinedrequest", ["webhooks.admit_quarantinedrequest"]


_EVENT_OR_TRIAL = PolymorphicProxySerializer(
    "EventOrTrial", [EventSerializer, VerifiedSerializer], resource_type_field_name=None
)


@extend_schema_view(
    list=extend_schema(summary="List refused requests"), retrieve=extend_schema(summary="Show a refused request")
)
class QuarantineViewSet(ScannedViewSet):
    """Requests that were refused, kept with the reason, newest first."""

    filterset_class = QuarantineFilter
    action_permissions: ClassVar[dict[str, list[str]]] = {
        "body": [_VIEW, "webhooks.view_payload"],
        "verify": [_VIEW],
        "admit": _ADMIT,
        "admit_many": _ADMIT,
    }
    # Admitting writes large bodies to the payload store, which no roll-back undoes.
    unrolled_actions: ClassVar[frozenset[str]] = frozenset({"verify", "admit", "admit_many"})

    def get_queryset(self) -> QuerySet[QuarantinedRequest]:
        """Return the requests that the caller may see; of a list without what they carried."""
        rows = quarantine_of(self.by, QuarantinedRequest.objects.select_related("source"))
        return rows.defer("body", "headers", "source__signing") if self.action == "list" else rows

    def get_serializer_class(self) -> type[QuarantineSerializer]:
        """Return the longer form for a single one."""
        return QuarantineDetailSerializer if self.action == "retrieve" else QuarantineSerializer

    @extend_schema(
        summary="Download a refused request's body",
        parameters=[OpenApiParameter("format", exclude=True)],
        responses={(200, "application/octet-stream"): OpenApiTypes.BINARY},
    )
    @action(detail=True, methods=["get"], renderer_classes=[renderers.JSONRenderer, OctetStreamRenderer])
    def body(self, request: Request, pk: str) -> StreamingHttpResponse:
        """Return the exact bytes that were refused. Who looked at which is logged."""
        item = self.get_object()
        if item.body is None:
            raise Refused({"": ["Its body was not kept: it was too large, or not read."]}, code="payload_gone")
        data = bytes(item.body)
        note_view(item, self.by, OVER_API)
        return bytes_of(item, [data], len(data))

    @extend_schema(summary="Verify a refused request again", request=None, responses=VerifiedSerializer)
    @action(detail=True, methods=["post"])
    def verify(self, request: Request, pk: str) -> Response:
        """Try it with the source's secrets and allowlist of now. Changes nothing."""
        return _verified(self.get_object())

    @extend_schema(
        summary="Admit a refused request",
        request=None,
        responses={201: EventSerializer, 200: _EVENT_OR_TRIAL},
    )
    @action(detail=True, methods=["post"])
    def admit(self, request: Request, pk: str) -> Response:
        """Make an event of it, with its deliveries, if it passes now. 200: it was admitted before.

        With dry_run=true it is verified again, and the answer says whether it would pass.
        """
        item = self.get_object()
        if self.dry_run:
            return _verified(item)
        if item.admitted_at and item.event:
            return Response(EventSerializer(item.event).data)
        return Response(EventSerializer(admit(item, by=self.by)).data, status=201)

    @extend_schema(
        summary="Admit refused requests",
        operation_id="quarantine_admit_many",
        request=AdmitManySerializer,
        responses=AdmittedManySerializer,
    )
    @action(detail=False, methods=["post"], url_path="admit")
    def admit_many(self, request: Request) -> Response:
        """Admit those of up to 200 that pass now, each for itself, and say of the others why they do not.

        With dry_run=true each is verified again, and none admitted.
        """
        asked = AdmitManySerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        items, ended = self._chosen(asked.validated_data)
        tried = verify_each(items) if self.dry_run else admit_each(items, by=self.by)
        return Response(AdmittedManySerializer(_told(tried, ended)).data)

    def _chosen(self, asked: dict[str, Any]) -> tuple[Sequence[QuarantinedRequest], Key | None]:
        """Return the requests that were named or that fit, and where to go on."""
        rows = self.get_queryset()
        if "ids" in asked:
            named = sorted(set(asked["ids"]))
            found = rows.in_bulk(named)
            refuse_missing("ids", "refused requests", set(named) - set(found))
            return [found[one] for one in named], None
        scan = refused_of(self.by, {**asked["filter"], "state": "kept"})
        key = key_in(asked["cursor"], QuarantinedRequest, scan.order.columns) if "cursor" in asked else None
        page = next_page(scan, key, MOST_ADMITTED)
        found = rows.in_bulk([row["pk"] for row in page.rows])
        return [found[row["pk"]] for row in page.rows if row["pk"] in found], page.older


def _verified(item: QuarantinedRequest) -> Response:
    reason = verify_again(item)
    return Response(VerifiedSerializer({"passes": not reason, "reason": reason}).data)


def _told(tried: Sequence[Tried], ended: Key | None) -> dict[str, Any]:
    admitted = sum(not one.reason for one in tried)
    return {
        "admitted": admitted,
        "refused": len(tried) - admitted,
        "data": [tried_of(one) for one in tried],
        "has_more": ended is not None,
        "next_cursor": cursor_of(ended) if ended else None,
    }
