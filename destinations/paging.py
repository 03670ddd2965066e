"""Pages of the admin's lists: at the same cost whatever the table's size."""

from typing import Any

from django.core.paginator import Paginator
from django.utils.functional import cached_property

CAP = 1000


class CappedPaginator(Paginator):  # type: ignore[type-arg]  # generic in the stubs only
    """Pages over the first thousand rows of a query; rows beyond are neither counted nor skipped.

    The keys are read in the order of the page itself, so one index serves both. Older rows are
    reached with ``last_key``: see ``OlderFilter``.
    """

    template_name = "hub/pagination.html"

    @cached_property
    def _keys(self) -> list[Any]:
        rows: Any = self.object_list
        return list(rows.values_list("pk", flat=True)[: CAP + 1])

    @property
    def count(self) -> int:
        """Return how many rows the pages hold: at most ``CAP``."""
        return min(len(self._keys), CAP)

    @property
    def capped(self) -> bool:
        """Tell whether there are more rows than the pages hold."""
        return len(self._keys) > CAP

    @property
    def last_key(self) -> Any:
        """Return the primary key of the last row on the last page."""
        return self._keys[self.count - 1]

    @property
    def count_text(self) -> str:
        """Return the count for people: ``37``, or ``1,000+`` where there are more."""
        return f"{self.count:,}+" if self.capped else f"{self.count:,}"
