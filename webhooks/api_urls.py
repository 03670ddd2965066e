"""The whole API, version 1: to be included under ``/api/v1/``. ``docs`` is its page for people."""

from django.urls import include, path, re_path

from destinations.apibase import Router
from destinations.problems import not_found
from webhooks.api import DeliveryViewSet, EventViewSet
from webhooks.api_docs import SchemaView

router = Router()
router.register("events", EventViewSet, basename="event")
router.register("deliveries", DeliveryViewSet, basename="delivery")
urlpatterns = [
    path("", include("destinations.urls")),
    *router.urls,
    path("schema", SchemaView.as_view(), name="api-schema"),
    re_path("", not_found),  # the last one: any other path, so that this answer is a problem too
]
