"""Paths of the API of destinations, under ``/api/v1/``."""

from destinations.access.api import ApiKeyViewSet
from destinations.apibase import Router
from destinations.views import DestinationTypeViewSet, DestinationViewSet

router = Router()
router.register("destination-types", DestinationTypeViewSet, basename="destination-type")
router.register("destinations", DestinationViewSet, basename="destination")
router.register("api-keys", ApiKeyViewSet, basename="api-key")
urlpatterns = router.urls
