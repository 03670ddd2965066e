"""Pages of long lists. An index hands the rows out in its order; what it does not know is tested row by row.

No page looks at more than ``MOST_LOOKED_AT`` rows: where they do not fill it, the page says how far it
came, and the next one goes on from there. So a filter may take several pages, and never a slow one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

from django.db.models import Q, QuerySet

PAGE = 50
CAP = 1_000  # rows that are counted
COUNTED_FROM = 2 * CAP  # rows that are looked at to count those that pass
_STEPS = (200, 800, 1_000, 1_500, 1_500)  # rows that are looked at, one query each
MOST_LOOKED_AT = sum(_STEPS)

Row = Mapping[str, Any]
Key = tuple[Any, ...]
Test = Callable[[Row], bool]


@dataclass(frozen=True, slots=True)
class Order:
    """What a list is ordered by: columns of which the last one is unique, all of them falling or all rising."""

    columns: tuple[str, ...] = ("pk",)
    falling: bool = True

    def key_of(self, row: Row) -> Key:
        """Return the place of a row in the list."""
        return tuple(row[column] for column in self.columns)

    def names(self, backwards: bool) -> list[str]:
        """Return the order for ``order_by``."""
        sign = "-" if self.falling != backwards else ""
        return [sign + column for column in self.columns]

    def beyond(self, rows: QuerySet[Any], key: Key, backwards: bool) -> QuerySet[Any]:
        """Keep the rows that come after ``key``; before it, for a list that is read backwards."""
        sign = "lt" if self.falling != backwards else "gt"
        if len(self.columns) == 1:
            return rows.filter(**{f"{self.columns[0]}__{sign}": key[0]})
        (first, second), (one, two) = self.columns, key
        # Two conditions on the first column: one is a range of the index, the other is exact.
        exact = Q(**{f"{first}__{sign}": one}) | Q(**{f"{second}__{sign}": two})
        return rows.filter(**{f"{first}__{sign}e": one}).filter(exact)


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows that a scan looked at next, and where it goes on: ``None`` at the end."""

    rows: Sequence[Row]
    resume: Key | None


@dataclass(frozen=True)
class Scan:
    """What one list is read from: queries that an index serves, merged; and what is tested of each row."""

    arms: Sequence[QuerySet[Any]]
    prefix: tuple[str, ...] = ()  # the index's first columns: see ``by_index``
    order: Order = field(default_factory=Order)
    columns: tuple[str, ...] = ()  # that the tests read
    tests: Sequence[Test] = ()
    steps: Sequence[int] = ()  # instead of the usual ones

    def passes(self, row: Row) -> bool:
        """Tell whether a row belongs to the list."""
        return all(test(row) for test in self.tests)

    def fetch(self, key: Key | None, backwards: bool, most: int) -> Batch:
        """Return up to ``most`` rows after ``key``, in the list's order or backwards."""
        falling = self.order.falling != backwards
        found = sorted(
            chain.from_iterable(self._arm(arm, key, backwards)[:most] for arm in self.arms),
            key=self.order.key_of, reverse=falling,
        )[:most]  # fmt: skip
        return Batch(found, self.order.key_of(found[-1]) if len(found) == most else None)

    def _arm(self, arm: QuerySet[Any], key: Key | None, backwards: bool) -> QuerySet[Any]:
        rows = arm if key is None else self.order.beyond(arm, key, backwards)
        sign = "-" if backwards else ""  # of an index that is read from its other end
        names = [*(sign + column for column in self.prefix), *self.order.names(backwards)]
        return rows.order_by(*names).values(*dict.fromkeys((*self.order.columns, *self.columns, "pk")))

    def plan(self, size: int) -> Sequence[int]:
        """Return how many rows are looked at with each query, until a page is full."""
        return (self.steps or _STEPS) if self.tests else (size + 1,)

    def count(self) -> int | None:
        """Return how many rows there are, or more than ``CAP``; ``None`` where a short search tells neither."""
        batch = self.fetch(None, False, self.counted_from())
        count = sum(map(self.passes, batch.rows))
        return count if batch.resume is None or count > CAP else None

    def counted_from(self) -> int:
        """Return how many rows are looked at to count."""
        return COUNTED_FROM if self.tests else CAP + 1


@dataclass(frozen=True, slots=True)
class Listing:
    """Rows with all that is shown of them, and the scan that finds them page by page."""

    rows: QuerySet[Any]
    scan: Scan


@dataclass(frozen=True, slots=True)
class Page:
    """One page: the rows, the places to go on from, and how far the search came where it found too few."""

    rows: Sequence[Row] = ()
    older: Key | None = None
    newer: Key | None = None
    stopped: Key | None = None
    count: int | None = None


def page_of(scan: Scan, before: Key | None = None, after: Key | None = None, size: int = PAGE) -> Page:
    """Return the page after the place ``before``, or the one that ends at ``after``; else the first one."""
    if after is not None:
        page = _backwards(scan, after, size)
        if page is not None:
            return page
        before = None  # so few are left that the first page shows them all
    page = next_page(scan, before, size)
    if before is None:
        in_vain = page.stopped is not None
        return replace(page, count=len(page.rows) if page.older is None else _count(scan, searched_in_vain=in_vain))
    newer = scan.order.key_of(page.rows[0]) if page.rows else before
    return replace(page, newer=newer, count=_count(scan, searched_in_vain=False))


def next_page(scan: Scan, before: Key | None, size: int) -> Page:
    """Return the page after the place ``before``, or the first one: for those who only go on, and need no count."""
    found, resume = _search(scan, before, False, size)
    shown, more = found[:size], len(found) > size
    return Page(shown, older=scan.order.key_of(shown[-1]) if more else resume, stopped=None if more else resume)


def _count(scan: Scan, searched_in_vain: bool) -> int | None:
    """Return the count; where more rows than it reads have not filled the first page, it would tell nothing."""
    return None if searched_in_vain else scan.count()


def _backwards(scan: Scan, after: Key, size: int) -> Page | None:
    found, resume = _search(scan, after, True, size)
    if len(found) <= size and resume is None:
        return None
    shown = found[:size][::-1]
    more = len(found) > size
    return Page(
        shown,
        older=scan.order.key_of(shown[-1]) if shown else after,
        newer=scan.order.key_of(shown[0]) if more else resume,
        stopped=None if more else resume,
        count=scan.count(),
    )


def _search(scan: Scan, key: Key | None, backwards: bool, size: int) -> tuple[list[Row], Key | None]:
    """Return the rows that pass, up to one more than a page, and where it stopped unfilled."""
    found: list[Row] = []
    for most in scan.plan(size):
        batch = scan.fetch(key, backwards, most)
        found += filter(scan.passes, batch.rows)
        key = batch.resume
        if len(found) > size or key is None:
            break
    return found, key if len(found) <= size else None
