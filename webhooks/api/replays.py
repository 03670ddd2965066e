"""The API of replays: started, or only estimated; looked at, paused, resumed, cancelled."""

from typing import ClassVar

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import mixins
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from destinations.access.limits import refuse_beyond
from destinations.apibase import ApiViewSet
from webhooks.api.filters import ReplayFilter
from webhooks.api.limits import refuse_replay_beyond, replays_of
from webhooks.api.replay_serializers import (
    EstimateSerializer,
    ReplayCreateSerializer,
    ReplayDetailSerializer,
    ReplaySerializer,
    estimate_in,
)
from webhooks.keeping import replays
from webhooks.keeping.estimates import Estimate
from webhooks.keeping.forecast import forecast
from webhooks.keeping.selections import Selection
from webhooks.models import Replay

_CHANGE = ["webhooks.change_replay"]
# Rate, count that was confirmed, what is selected, and how much that is.
Judged = tuple[int | None, int | None, Selection, Estimate]


@extend_schema_view(list=extend_schema(summary="List replays"), retrieve=extend_schema(summary="Show a replay"))
class ReplayViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, ApiViewSet):
    """Jobs by which many events are delivered again, newest first."""

    filterset_class = ReplayFilter
    action_permissions: ClassVar[dict[str, list[str]]] = {"pause": _CHANGE, "resume": _CHANGE, "cancel": _CHANGE}
    own_trials = frozenset({"create"})  # a dry run reads, and writes nothing
    problems = (404, 410)
    _ahead: "Judged | None" = None

    def get_queryset(self) -> QuerySet[Replay]:
        """Return every job that the caller may see."""
        return replays_of(self.by, Replay.objects.all())

    def get_serializer_class(self) -> type[ReplaySerializer]:
        """Return the longer form for a single one."""
        return ReplaySerializer if self.action == "list" else ReplayDetailSerializer

    @extend_schema(
        summary="Start a replay",
        request=ReplayCreateSerializer,
        responses={202: ReplayDetailSerializer, 200: EstimateSerializer},
    )
    def create(self, request: Request) -> Response:
        """Start it; a worker carries it on. With dry_run=true: say what it would be, start nothing, answer 200."""
        rate, confirmed, selection, found = self._ahead or self._judged(request)
        if self.dry_run:
            shown = estimate_in(found, forecast(found, rate), timezone.now())
            return Response(EstimateSerializer(shown).data)
        row = replays.begin(selection, found, self.by.get_username(), rate, confirmed)
        return Response(ReplayDetailSerializer(row).data, status=202)

    def look_ahead(self, request: Request) -> None:
        """Read what a replay would be before a transaction begins: over a large table that takes a while."""
        if self.action == "create":
            self._ahead = self._judged(request)

    def _judged(self, request: Request) -> "Judged":
        asked = ReplayCreateSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        rate, confirmed = (asked.validated_data.get(name) for name in ("rate_per_s", "confirmed"))
        if slug := asked.validated_data.get("source"):
            refuse_beyond(self.by, [slug], "source")  # before it is looked for: it may be nobody's or somebody else's
        selection = asked.selection()
        refuse_replay_beyond(self.by, selection)
        return rate, confirmed, *replays.judged(selection, rate)

    @extend_schema(summary="Pause a replay", request=None, responses=ReplayDetailSerializer)
    @action(detail=True, methods=["post"])
    def pause(self, request: Request, pk: str) -> Response:
        """Make nothing more due until it is resumed. What is due already is still delivered."""
        return _shown(replays.pause(self.get_object()))

    @extend_schema(summary="Resume a replay", request=None, responses=ReplayDetailSerializer)
    @action(detail=True, methods=["post"])
    def resume(self, request: Request, pk: str) -> Response:
        """Go on where it was paused, or where a problem that is mended stopped it."""
        return _shown(replays.resume(self.get_object()))

    @extend_schema(summary="Cancel a replay", request=None, responses=ReplayDetailSerializer)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        """End it. What waits goes back to what it was; what a worker has in hand may still be delivered."""
        return _shown(replays.cancel(self.get_object()))


def _shown(row: Replay) -> Response:
    return Response(ReplayDetailSerializer(row).data)
