"""The API of erasures: started, or only planned; looked at, cancelled while they wait, resumed, lifted."""

from typing import Any, ClassVar

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import mixins
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from destinations.access.limits import refuse_limited
from destinations.apibase import ApiViewSet
from webhooks.api.erasure_serializers import (
    ErasureCreateSerializer,
    ErasureDetailSerializer,
    ErasurePlanSerializer,
    ErasureResumeSerializer,
    ErasureSerializer,
    plan_in,
)
from webhooks.keeping.erasures import jobs
from webhooks.keeping.erasures.plans import plan
from webhooks.models import Erasure

_CHANGE = ["webhooks.change_erasure"]


@extend_schema_view(
    list=extend_schema(summary="List erasures", description="Newest first. None names the person."),
    retrieve=extend_schema(summary="Show an erasure", description="How far it is, and its receipt once it is done."),
)
class ErasureViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, ApiViewSet):
    """Jobs that erase a person from the hub, and where asked from destinations. Not for keys limited to sources."""

    action_permissions: ClassVar[dict[str, list[str]]] = {"cancel": _CHANGE, "resume": _CHANGE, "lift": _CHANGE}
    own_trials = frozenset({"create"})  # a dry run counts, and writes nothing
    # It reads payloads to find old ids, perhaps from a slow store: not while it holds SQLite's one write lock.
    unrolled_actions = frozenset({"create"})
    filter_backends = ()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse a key that is limited to sources: a person is erased from all of them."""
        super().initial(request, *args, **kwargs)
        refuse_limited(self.by)

    def get_queryset(self) -> QuerySet[Erasure]:
        """Return every job."""
        rows: QuerySet[Erasure] = Erasure.objects.defer("subject")
        return rows

    def get_serializer_class(self) -> type[ErasureSerializer]:
        """Return the longer form for a single one."""
        return ErasureSerializer if self.action == "list" else ErasureDetailSerializer

    @extend_schema(
        summary="Erase a person",
        request=ErasureCreateSerializer,
        responses={202: ErasureDetailSerializer, 200: ErasurePlanSerializer},
    )
    def create(self, request: Request) -> Response:
        """Start it; a worker carries it on. It cannot be undone.

        With dry_run=true: count what would go, start nothing, answer 200.
        """
        asked = ErasureCreateSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        if self.dry_run:
            return Response(ErasurePlanSerializer(plan_in(plan(**asked.asked()))).data)
        also = {name: asked.validated_data.get(name) for name in ("starts_at", "confirmed_users")}
        also["note"] = asked.validated_data.get("note", "")
        row = jobs.start(**asked.asked(), by=self.by, **also)
        return _shown(row, 202)

    @extend_schema(summary="Cancel an erasure", request=None, responses=ErasureDetailSerializer)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        """Give it up, while it waits for its time: one that has begun cannot be undone."""
        return _shown(jobs.cancel(self.get_object(), by=self.by))

    @extend_schema(summary="Resume an erasure", request=ErasureResumeSerializer, responses=ErasureDetailSerializer)
    @action(detail=True, methods=["post"])
    def resume(self, request: Request, pk: str) -> Response:
        """Go on where a problem stopped it; with skip_failed also while it runs, without what has failed so far."""
        wanted = ErasureResumeSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        return _shown(jobs.resume(self.get_object(), by=self.by, **wanted.validated_data))

    @extend_schema(summary="Let erased users come back", request=None, responses=ErasureDetailSerializer)
    @action(detail=True, methods=["post"])
    def lift(self, request: Request, pk: str) -> Response:
        """Take in again what comes of its users from now on. What was erased stays erased."""
        row = self.get_object()
        jobs.lift(row, by=self.by)
        return _shown(row)


def _shown(row: Erasure, status: int = 200) -> Response:
    return Response(ErasureDetailSerializer(row).data, status=status)
