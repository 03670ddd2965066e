"""What lists of destinations can be filtered by."""

# mypy: disable-error-code="no-untyped-call"
# django-filter has no types.

from django_filters.filters import CharFilter
from django_filters.rest_framework.filters import BooleanFilter
from django_filters.rest_framework.filterset import FilterSet

from destinations.models import Destination


class DestinationFilter(FilterSet):
    """Filters of the list of destinations."""

    type = CharFilter(help_text="Wire name: webhook, postgres, …")
    active = BooleanFilter()
    paused = BooleanFilter()

    class Meta:
        model = Destination
        fields = ("type", "active", "paused")
