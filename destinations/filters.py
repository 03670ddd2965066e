"""What lists of destinations can be filtered by."""

# mypy: disable-error-code="no-untyped-call"
# django-filter has no types.

from django.db.models import QuerySet
from django_filters.filters import CharFilter, ChoiceFilter
from django_filters.rest_framework.filterset import FilterSet

from destinations.models import Destination
from destinations.states import IN_STATE
from destinations.strict import YesOrNo


class DestinationFilter(FilterSet):
    """Filters of the list of destinations."""

    name = CharFilter(lookup_expr="icontains", max_length=100, help_text="Part of the name, in any case.")
    type = CharFilter(help_text="Wire name: webhook, postgres, …")
    state = ChoiceFilter(
        choices=[(name, name) for name in IN_STATE], method="in_state", help_text="Those that somebody should look at."
    )
    active = YesOrNo()
    paused = YesOrNo()
    source = CharFilter(method="that_takes", help_text="Takes events of the source with this slug.")
    event_type = CharFilter(method="that_takes", help_text="Takes events of this type.")

    class Meta:
        model = Destination
        fields = ("name", "type", "state", "active", "paused", "source", "event_type")

    def in_state(self, rows: QuerySet[Destination], _: str, state: str) -> QuerySet[Destination]:
        """Keep the destinations in that state."""
        return rows.filter(**IN_STATE[state])

    def that_takes(self, rows: QuerySet[Destination], name: str, value: str) -> QuerySet[Destination]:
        """Keep the destinations whose filter lets ``value`` through; an empty one lets everything through."""
        # Destinations are few, and how JSON lists are searched differs from database to database.
        column = f"{name}s"
        taking = [pk for pk, wanted in rows.values_list("pk", column) if not wanted or value in wanted]
        return rows.filter(pk__in=taking)
