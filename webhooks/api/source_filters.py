"""What the list of sources can be filtered by."""

# mypy: disable-error-code="no-untyped-call"
# django-filter has no types.

from django.db.models import Q, QuerySet
from django_filters.filters import CharFilter
from django_filters.rest_framework.filterset import FilterSet

from destinations.strict import YesOrNo
from webhooks.models import Source


class SourceFilter(FilterSet):
    """Filters of the list of sources."""

    name = CharFilter(method="named", max_length=100, help_text="Part of the slug or of the name, in any case.")
    active = YesOrNo()

    class Meta:
        model = Source
        fields = ("name", "active")

    def named(self, rows: QuerySet[Source], _: str, part: str) -> QuerySet[Source]:
        """Keep sources with ``part`` in their slug or name."""
        return rows.filter(Q(slug__icontains=part) | Q(name__icontains=part))
