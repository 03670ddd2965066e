"""The API of deliveries: looked at with their attempts, resent, cancelled."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, ClassVar

from django.db.models import Prefetch, QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import mixins
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from destinations.apibase import ApiViewSet
from destinations.services import Refused
from webhooks.api.filters import DeliveryFilter
from webhooks.api.limits import attempts_of, deliveries_of, refuse_deliveries_beyond
from webhooks.api.scanned import ScannedViewSet
from webhooks.api.serializers import (
    AttemptSerializer,
    CancelledSerializer,
    DeliveryDetailSerializer,
    DeliveryIdsSerializer,
    DeliverySerializer,
    ResentSerializer,
)
from webhooks.finding.scans import Listing, Order, Scan
from webhooks.keeping.cancelling import Cancelled, cancel
from webhooks.keeping.replay import resend
from webhooks.models import Attempt, Delivery

ATTEMPTS_SHOWN = 200
_RESEND, _CANCEL = ["webhooks.resend_delivery"], ["webhooks.cancel_delivery"]


@extend_schema_view(list=extend_schema(summary="List deliveries"), retrieve=extend_schema(summary="Show a delivery"))
class DeliveryViewSet(ScannedViewSet):
    """Events on their way to destinations, and what became of each.

    A list is newest first; what waits (``status=pending``) the next due one first; what is found by a user id, a
    reference id or a Terra reference, by its event, the newest first.
    """

    filterset_class = DeliveryFilter
    action_permissions: ClassVar[dict[str, list[str]]] = {
        "attempts": ["webhooks.view_delivery"],
        "resend": _RESEND,
        "resend_many": _RESEND,
        "cancel": _CANCEL,
        "cancel_many": _CANCEL,
    }

    def get_queryset(self) -> QuerySet[Delivery]:
        """Return deliveries with what is shown of their events and destinations; one with its attempts."""
        made = ("destination_name", "event_type", "lease_until")
        columns = [name for name in DeliverySerializer.Meta.fields if name not in made]
        rows: QuerySet[Delivery] = Delivery.objects.select_related("event", "destination")
        rows = rows.only(*columns, "claimed_by", "destination__name", "event__type")
        if self.action == "retrieve":
            latest = Attempt.objects.order_by("-number")[:ATTEMPTS_SHOWN]
            rows = rows.prefetch_related(Prefetch("attempts", latest, to_attr="latest_first"))
        return deliveries_of(self.by, rows)

    def get_serializer_class(self) -> type[DeliverySerializer]:
        """Return the longer form for a single delivery."""
        return DeliveryDetailSerializer if self.action == "retrieve" else DeliverySerializer

    def _known_parameters(self) -> Sequence[str]:
        return ["limit", "cursor"] if self.action == "attempts" else super()._known_parameters()

    @extend_schema(summary="List a delivery's attempts", responses=AttemptSerializer(many=True))
    @action(detail=True, methods=["get"], filterset_class=None)
    def attempts(self, request: Request, pk: str) -> Response:
        """Return what was tried, the latest first."""
        tries = Attempt.objects.filter(delivery_id=self.get_object().pk)
        listing: Any = Listing(tries, Scan((tries,), order=Order(("number",))))
        page = self.paginate_queryset(listing) or []
        return self.get_paginated_response(AttemptSerializer(page, many=True).data)

    @extend_schema(summary="Resend a delivery", request=None, responses={202: ResentSerializer})
    @action(detail=True, methods=["post"])
    def resend(self, request: Request, pk: str) -> Response:
        """Make it due now, whatever became of it."""
        return resent(resend([self.get_object().pk]))

    @extend_schema(
        summary="Resend deliveries",
        operation_id="deliveries_resend_many",
        request=DeliveryIdsSerializer,
        responses={202: ResentSerializer},
    )
    @action(detail=False, methods=["post"], url_path="resend")
    def resend_many(self, request: Request) -> Response:
        """Make up to 1000 deliveries due now; none where one of them cannot be sent."""
        return resent(resend(self._named(request)))

    @extend_schema(summary="Cancel a delivery", request=None, responses=CancelledSerializer)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        """Send it no more: only one that waits for a try or a retry. Resending it takes that back."""
        done = cancel([self.get_object().pk], by=self.by)
        if done.settled:
            raise Refused({"": ["It has ended already. Only a pending delivery can be cancelled."]}, code="conflict")
        return _cancelled(done)

    @extend_schema(
        summary="Cancel deliveries",
        operation_id="deliveries_cancel_many",
        request=DeliveryIdsSerializer,
        responses=CancelledSerializer,
    )
    @action(detail=False, methods=["post"], url_path="cancel")
    def cancel_many(self, request: Request) -> Response:
        """Send up to 1000 deliveries no more: those of them that wait for a try or a retry."""
        return _cancelled(cancel(self._named(request), by=self.by))

    def _named(self, request: Request) -> list[int]:
        """Return the ids of the body; raise ``Refused`` for those that the caller may not see."""
        wanted = DeliveryIdsSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        ids: list[int] = wanted.validated_data["ids"]
        refuse_deliveries_beyond(self.by, ids)
        return ids


@extend_schema_view(retrieve=extend_schema(summary="Show an attempt"))
class AttemptViewSet(mixins.RetrieveModelMixin, ApiViewSet):
    """Single tries of deliveries."""

    serializer_class = AttemptSerializer
    action_permissions: ClassVar[dict[str, list[str]]] = {"retrieve": ["webhooks.view_delivery"]}

    def get_queryset(self) -> QuerySet[Attempt]:
        """Return the attempts that the caller may see."""
        return attempts_of(self.by, Attempt.objects.all())


def resent(count: int) -> Response:
    """Answer how many deliveries were made due."""
    return Response({"resent": count}, status=202)


def _cancelled(done: Cancelled) -> Response:
    found: dict[str, Any] = asdict(done)
    return Response(CancelledSerializer(found).data)
