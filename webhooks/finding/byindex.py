"""A comparison that holds PostgreSQL to the index whose first column it compares."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import Field, ForeignKey, Lookup, QuerySet
from django.db.models.lookups import FieldGetDbPrepValueMixin

from webhooks.sql import on_postgres


@ForeignKey.register_lookup  # which does not look at Field's
@Field.register_lookup
class ByIndex(FieldGetDbPrepValueMixin, Lookup):
    """Equality, written so that a list in the order ``column, -id`` can come from the index on both alone.

    With ``column = 'x' ORDER BY id DESC LIMIT 50`` PostgreSQL may as well walk the primary key until it has met
    50 rows: it does so for a common value, and reads the whole table where all rows with that value are old.
    ``column = ANY('{x}')`` is no constant to the planner, so that an order which begins with the column has to
    come from an index which begins with it.
    """

    lookup_name = "by_index"

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        """Return plain equality: SQLite takes the index that has more of what is asked."""
        left, params = self.process_lhs(compiler, connection)
        right, more = self.process_rhs(compiler, connection)
        return f"{left} = {right}", (*params, *more)

    def as_postgresql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        """Return the comparison with an array of one."""
        left, params = self.process_lhs(compiler, connection)
        right, more = self.process_rhs(compiler, connection)
        return f"{left} = ANY(ARRAY[{right}]::{self.lhs.output_field.db_type(connection)}[])", (*params, *more)


@Field.register_lookup
class NotEmpty(Lookup):
    """A text that is not empty, spelled as the partial indexes have it: SQLite does not see that it follows."""

    lookup_name = "not_empty"
    prepare_rhs = False

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        """Return the condition; what it is compared with does not count."""
        left, params = self.process_lhs(compiler, connection)
        return f"NOT ({left} = '')", tuple(params)


# Columns whose indexes leave out the rows that have nothing in them.
_NOT_EMPTY = frozenset({"user_id", "reference_id", "terra_reference"})


def by_index(rows: QuerySet[Any], values: Mapping[str, Any]) -> QuerySet[Any]:
    """Keep the rows with these values of an index's first columns."""
    rows = rows.filter(**{f"{name}__by_index": value for name, value in values.items()})
    if on_postgres():  # which sees that such a value is not empty, and would expect too few rows if it were told
        return rows
    return literally(rows, [f"NOT ({_column(rows, name)} = '')" for name in values if name in _NOT_EMPTY])


def failed(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Keep what the indexes delivery_failed and delivery_error hold: their condition, word for word."""
    status, code = _column(rows, "status"), _column(rows, "last_error_code")
    return literally(rows, [f"{status} IN ('pending', 'dead')", f"NOT ({code} = '')"])


def literally(rows: QuerySet[Any], conditions: Sequence[str]) -> QuerySet[Any]:
    """Keep rows by conditions of this file: SQLite takes a partial index only where it reads them, not bound values."""
    return rows.extra(where=list(conditions)) if conditions else rows  # noqa: S610


def _column(rows: QuerySet[Any], name: str) -> str:
    return f'"{rows.model._meta.db_table}"."{name}"'
