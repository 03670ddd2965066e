"""The API of destinations: each view calls one use case of ``destinations.services``."""

from collections.abc import Sequence
from typing import Any, ClassVar

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import mixins
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from destinations import batches, services
from destinations.access.limits import destinations_of
from destinations.apibase import ApiViewSet
from destinations.checking import as_row, passed
from destinations.filters import DestinationFilter
from destinations.models import Destination
from destinations.registry import adapter_class, adapter_classes, type_names
from destinations.rules import kind_of
from destinations.serializers import (
    DestinationBatchSerializer,
    DestinationChangeSerializer,
    DestinationCheckSerializer,
    DestinationCreatedSerializer,
    DestinationCreateSerializer,
    DestinationDraftSerializer,
    DestinationsCreatedSerializer,
    DestinationSerializer,
    DestinationTypeListSerializer,
    DestinationTypeSerializer,
    DisablingSerializer,
    NoticeSerializer,
    RotatedSecretSerializer,
    SecretRotationSerializer,
    SetupSerializer,
    type_of,
    values_of,
)
from destinations.setups import setup_of


class DestinationTypeViewSet(ApiViewSet):
    """The destination types that this hub knows, with the fields that each asks for."""

    queryset = Destination.objects.none()  # whose permission is asked for
    serializer_class = DestinationTypeListSerializer
    pagination_class = None
    filter_backends = ()
    lookup_field = "type"

    @extend_schema(summary="List destination types", filters=False, responses=DestinationTypeListSerializer)
    def list(self, request: Request) -> Response:
        """List every type; there are few, so they are all on one page."""
        data = [type_of(kind) for kind in adapter_classes()]
        return Response({"data": data, "has_more": False, "next_cursor": None})

    @extend_schema(summary="Show a destination type", filters=False, responses=DestinationTypeSerializer)
    def retrieve(self, request: Request, type: str) -> Response:
        """Show one type."""
        if type not in type_names():
            raise NotFound(f"There is no such type. Known types: {', '.join(type_names())}.")
        return Response(type_of(adapter_class(type)))

    def _known_parameters(self) -> Sequence[str]:
        return ()


@extend_schema_view(
    list=extend_schema(summary="List destinations"), retrieve=extend_schema(summary="Show a destination")
)
class DestinationViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, ApiViewSet):
    """Where deliveries go."""

    queryset = Destination.objects.none()  # what the schema is made from
    serializer_class = DestinationSerializer
    filterset_class = DestinationFilter
    versioned = True
    unrolled_actions = frozenset({"check", "check_draft"})
    action_permissions: ClassVar[dict[str, list[str]]] = {
        "check": ["destinations.check_destination"],
        "check_draft": ["destinations.add_destination", "destinations.check_destination"],
        "enable": ["destinations.change_destination"],
        "disable": ["destinations.change_destination"],
        "notices": ["destinations.view_notice"],
        "pause": ["destinations.pause_destination"],
        "resume": ["destinations.pause_destination"],
        "rotate_secret": ["destinations.change_destination"],
        "revoke_links": ["destinations.change_destination"],
    }

    def get_queryset(self) -> QuerySet[Destination]:
        """Return those that were not deleted and that the caller may see."""
        return destinations_of(self.by, Destination.objects.present())

    def look_ahead(self, request: Request) -> None:
        """Have the names in a config looked up before a transaction begins."""
        body = request.data if isinstance(request.data, dict) else {}
        if self.action == "batch_create":
            batches.look_up_ahead(body.get("destinations"))
        elif self.action == "create":
            services.look_up_ahead(body.get("type"), body.get("config"))
        elif self.action == "partial_update" and isinstance(config := body.get("config"), dict):
            row = self.get_object()
            services.look_up_ahead(row.type, {**row.config, **config})

    @extend_schema(
        summary="Make a destination", request=DestinationCreateSerializer, responses={201: DestinationCreatedSerializer}
    )
    def create(self, request: Request) -> Response:
        """Make a destination. A secret that the hub makes is in the answer, this once."""
        values = values_of(DestinationCreateSerializer(data=request.data))
        return Response(_new(services.create_destination(by=request.user, **values)), status=201)

    @extend_schema(
        summary="Make destinations",
        operation_id="destinations_batch_create",
        request=DestinationBatchSerializer,
        responses={201: DestinationsCreatedSerializer},
    )
    @action(detail=False, methods=["post"], url_path="batch-create")
    def batch_create(self, request: Request) -> Response:
        """Make 1 to 100 destinations, all of them or none. Paths of errors begin with a place: ``destinations.3.``."""
        entries = values_of(DestinationBatchSerializer(data=request.data))["destinations"]
        made = batches.create_destinations(entries, by=request.user)
        return Response({"data": [_new(created) for created in made]}, status=201)

    @extend_schema(summary="Change a destination", request=DestinationChangeSerializer, responses=DestinationSerializer)
    def partial_update(self, request: Request, pk: str) -> Response:
        """Change what is named. ``config`` is merged, ``event_types`` is replaced, the type is fixed."""
        destination = self.get_object()
        changes = values_of(DestinationChangeSerializer(data=request.data))
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
        services.check_destination(destination, noted=not self.dry_run)
        return Response(DestinationCheckSerializer(destination).data)

    @extend_schema(
        summary="Check a draft",
        operation_id="destinations_check_draft",
        request=DestinationDraftSerializer,
        responses=DestinationCheckSerializer,
    )
    @action(detail=False, methods=["post"], url_path="check")
    def check_draft(self, request: Request) -> Response:
        """Try a set-up that is not saved, step by step, for at most 15 s. Nothing of it is kept."""
        steps = services.check_draft(**values_of(DestinationDraftSerializer(data=request.data)))
        result = {
            "checked_at": timezone.now(),
            "check_passed": passed(steps),
            "check_steps": [as_row(step) for step in steps],
        }
        return Response(DestinationCheckSerializer(result).data)

    @extend_schema(summary="Show how to set up the other side", responses=SetupSerializer)
    @action(detail=True, methods=["get"], url_path="setup")
    def show_setup(self, request: Request, pk: str) -> Response:
        """Return what to paste on the other side, filled in: rights for this hub, and no more. It holds no secret."""
        row = self.get_object()
        parts, missing = setup_of(kind_of(row.type), row.config, str(row.pk))
        return Response({"parts": [part._asdict() for part in parts], "missing": missing})

    @extend_schema(summary="List notices of a destination", filters=False, responses=NoticeSerializer(many=True))
    @action(detail=True, methods=["get"])
    def notices(self, request: Request, pk: str) -> Response:
        """List what operators were told of it, newest first."""
        page = self.paginate_queryset(self.get_object().notices.all())
        return self.get_paginated_response(NoticeSerializer(page, many=True).data)

    @extend_schema(summary="Enable a destination", request=None, responses=DestinationSerializer)
    @action(detail=True, methods=["post"])
    def enable(self, request: Request, pk: str) -> Response:
        """Take new events again; deliveries that were kept meanwhile are sent."""
        return _shown(services.enable(self.get_object(), by=request.user))

    @extend_schema(summary="Disable a destination", request=DisablingSerializer, responses=DestinationSerializer)
    @action(detail=True, methods=["post"])
    def disable(self, request: Request, pk: str) -> Response:
        """Take no new events and send nothing; what waits is kept."""
        values = values_of(DisablingSerializer(data=request.data))
        return _shown(services.disable(self.get_object(), by=request.user, **values))

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
        values = values_of(SecretRotationSerializer(data=request.data))
        secret = services.rotate_signing_secret(self.get_object(), by=request.user, **values)
        return Response({"signing_secret": secret})

    @extend_schema(summary="Revoke payload links", request=None, responses=DestinationSerializer)
    @action(detail=True, methods=["post"], url_path="revoke-links")
    def revoke_links(self, request: Request, pk: str) -> Response:
        """Let every payload link that it was given open nothing any more; deliveries from now on carry new ones."""
        return _shown(services.revoke_payload_links(self.get_object(), by=request.user))

    def _known_parameters(self) -> Sequence[str]:
        return ("limit", "cursor") if self.action == "notices" else super()._known_parameters()


def _new(created: services.Created) -> dict[str, Any]:
    return {**DestinationSerializer(created.destination).data, **created.secrets}


def _shown(destination: Destination) -> Response:
    return Response(DestinationSerializer(destination).data)
