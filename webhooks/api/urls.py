"""The whole API, version 1: to be included under ``/api/v1/``. ``docs`` is its page for people."""

from django.urls import include, path, re_path

from destinations.apibase import Router
from destinations.problems import not_found
from webhooks.api.deliveries import AttemptViewSet, DeliveryViewSet
from webhooks.api.docs import SchemaView
from webhooks.api.erasures import ErasureViewSet
from webhooks.api.event_types import EventTypeViewSet
from webhooks.api.events import EventViewSet
from webhooks.api.quarantine import QuarantineViewSet
from webhooks.api.replays import ReplayViewSet
from webhooks.api.sources import SourceViewSet
from webhooks.api.stats import DestinationActivityViewSet, StatsViewSet

router = Router()
router.register("sources", SourceViewSet, basename="source")
router.register("events", EventViewSet, basename="event")
router.register("deliveries", DeliveryViewSet, basename="delivery")
router.register("event-types", EventTypeViewSet, basename="event-type")
router.register("stats", StatsViewSet, basename="stats")
router.register("destinations", DestinationActivityViewSet, basename="destination-activity")
router.register("attempts", AttemptViewSet, basename="attempt")
router.register("quarantine", QuarantineViewSet, basename="quarantine")
router.register("replays", ReplayViewSet, basename="replay")
router.register("erasures", ErasureViewSet, basename="erasure")
urlpatterns = [
    path("", include("destinations.urls")),
    *router.urls,
    path("schema", SchemaView.as_view(), name="api-schema"),
    re_path("", not_found),  # the last one: any other path, so that this answer is a problem too
]
