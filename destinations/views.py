"""The API of destinations: each view calls one use case of ``destinations.services``."""

from collections.abc import Sequence
from typing import Any, ClassVar

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import mixins
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from destinations import services
from destinations.apibase import ApiViewSet
from destinations.filters import DestinationFilter
from destinations.models import Destination
from destinations.registry import adapter_classes
from destinations.serializers import (
    DestinationChangeSerializer,
    DestinationCheckSerializer,
    DestinationCreatedSerializer,
    DestinationCreateSerializer,
    DestinationSerializer,
    DestinationTypeListSerializer,
    RotatedSecretSerializer,
    SecretRotationSerializer,
    StrictSerializer,
    type_of,
)


class DestinationTypeViewSet(ApiViewSet):
    """The destination types that this hub knows, with the fields that each asks for."""

    queryset = Destination.objects.none()  # whose permission is asked for
    serializer_class = DestinationTypeListSerializer
    pagination_class = None
    filter_backends = ()

    @extend_schema(summary="List destination types", filters=False, responses=DestinationTypeListSerializer)
    def list(self, request: Request) -> Response:
        """List every type; there are few, so they are all on one page."""
        data = [type_of(kind) for kind in adapter_classes()]
        return Response({"data": data, "has_more": False, "next_cursor": None})

    def _known_parameters(self) -> Sequence[str]:
        return ()


@extend_schema_view(
    list=extend_schema(summary="List destinations"), retrieve=extend_schema(summary="Show a destination")
)
class DestinationViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, ApiViewSet):
    """Where deliveries go."""

    serializer_class = DestinationSerializer
    filterset_class = DestinationFilter
    action_permissions: ClassVar[dict[str, list[str]]] = {
        "check": ["destinations.check_destination"],
        "pause": ["destinations.change_destination"],
        "resume": ["destinations.change_destination"],
        "rotate_secret": ["destinations.change_destination"],
    }

    def get_queryset(self) -> QuerySet[Destination]:
        """Return those that were not deleted."""
        rows: QuerySet[Destination] = Destination.objects.present()
        return rows

    @extend_schema(
        summary="Make a destination", request=DestinationCreateSerializer, responses={201: DestinationCreatedSerializer}
    )
    def create(self, request: Request) -> Response:
        """Make a destination. A secret that the hub makes is in the answer, this once."""
        created = services.create_destination(
            by=request.user, **_values(DestinationCreateSerializer(data=request.data))
        )
        return Response(DestinationSerializer(created.destination).data | created.secrets, status=201)

    @extend_schema(summary="Change a destination", request=DestinationChangeSerializer, responses=DestinationSerializer)
    def partial_update(self, request: Request, pk: str) -> Response:
        """Change what is named. ``config`` is merged, ``event_types`` is replaced, the type is fixed."""
        destination = self.get_object()
        changes = _values(DestinationChangeSerializer(data=request.data))
        return _shown(services.update_destination(destination, by=request.user, **changes))

    @extend_schema(summary="Delete a destination", responses={204: None})
    def destroy(self, request: Request, pk: str) -> Response:
        """Delete it: its credentials are wiped and its pending deliveries are cancelled."""
        services.delete_destination(self.get_object(), by=request.user)
        return Response(status=204)

    @extend_schema(summary="Check a destination", request=None, responses=DestinationCheckSerializer)
    @action(detail=True, methods=["post"])
    def check(self, request: Request, pk: str) -> Response:
        """Try its set-up step by step, for at most 15 s. The answer is 200 also where a step failed."""
        destination = self.get_object()
        services.check_destination(destination)
        return Response(DestinationCheckSerializer(destination).data)

    @extend_schema(summary="Pause a destination", request=None, responses=DestinationSerializer)
    @action(detail=True, methods=["post"])
    def pause(self, request: Request, pk: str) -> Response:
        """Send nothing more until it is resumed; deliveries collect."""
        return _shown(services.pause(self.get_object(), by=request.user))

    @extend_schema(summary="Resume a destination", request=None, responses=DestinationSerializer)
    @action(detail=True, methods=["post"])
    def resume(self, request: Request, pk: str) -> Response:
        """End a pause; what is due is sent."""
        return _shown(services.resume(self.get_object(), by=request.user))

    @extend_schema(
        summary="Rotate the signing secret", request=SecretRotationSerializer, responses=RotatedSecretSerializer
    )
    @action(detail=True, methods=["post"], url_path="rotate-secret")
    def rotate_secret(self, request: Request, pk: str) -> Response:
        """Make a new signing secret and show it, this once; the old one goes on signing for a while."""
        values = _values(SecretRotationSerializer(data=request.data))
        secret = services.rotate_signing_secret(self.get_object(), by=request.user, **values)
        return Response({"signing_secret": secret})


def _values(serializer: StrictSerializer) -> dict[str, Any]:
    serializer.is_valid(raise_exception=True)
    values: dict[str, Any] = serializer.validated_data
    return values


def _shown(destination: Destination) -> Response:
    return Response(DestinationSerializer(destination).data)
