"""The base of views whose lists are read by scans."""

from typing import Any

from rest_framework import mixins

from destinations.apibase import ApiViewSet


class ScannedViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, ApiViewSet):
    """Rows of one of the large tables: listed by a filter's scan, and each shown by its key."""

    def filter_queryset(self, queryset: Any) -> Any:
        """Filter lists; a single row is no matter of filters."""
        return super().filter_queryset(queryset) if self.action == "list" else queryset
