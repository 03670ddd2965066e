"""Which tables and columns the project has: those of Terra's page, or those that Terra makes in newer projects.

The page ("the same structure as for SQL") has ``terra_other_payloads``, and ``payload_url`` in both payload
tables. Newer projects, which Terra itself sets up, have ``terra_misc_payloads`` with one more ``data_type``, and
no ``payload_url`` (docs.tryterra.co, *Supabase*). The hub writes what is there.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from destinations.adapters.rows import DATA, OTHER, USERS, DataRow, OtherRow, Table, UserRow
from destinations.adapters.supabase_api import Api
from destinations.adapters.supabase_errors import Blame, Fault, Judge, Unwell, bad_response, json_of
from destinations.adapters.supabase_flow import Answer, Steps

MISC = "terra_misc_payloads"
URL = "payload_url"
# By older and by newer versions of PostgREST.
TABLE_MISSING = frozenset({"PGRST205", "42P01"})
COLUMN_MISSING = frozenset({"PGRST204", "42703"})
_EDITOR = "Run the SQL of this destination's set-up in Supabase's SQL editor."

Row = UserRow | DataRow | OtherRow


@dataclass(frozen=True, slots=True)
class Place:
    """A table of the project as it is: its name, its key, and the columns that are written."""

    name: str
    key: str
    columns: tuple[str, ...]

    def values(self, row: Row) -> dict[str, Any]:
        """Return a row as it is sent."""
        return {column: _plain(getattr(row, column, None)) for column in self.columns}


@dataclass(frozen=True, slots=True)
class Tables:
    """The three tables as they are."""

    users: Place
    data: Place
    other: Place

    def of(self, table: Table) -> Place:
        """Return where the rows of one of Terra's tables go."""
        return {USERS.name: self.users, DATA.name: self.data, OTHER.name: self.other}[table.name]


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def discover(api: Api, judge: Judge) -> Steps[Tables]:
    """Find out which tables and columns there are; raise ``Unwell`` with the first that is missing."""
    schema = api.config.schema
    users = yield from _place(api, judge, USERS.name, _names(USERS))
    other = yield from _place(api, judge, OTHER.name, _names(OTHER))
    if other is None:
        columns = [*(name for name in _names(OTHER) if name != URL), "data_type", URL]
        other = yield from _place(api, judge, MISC, columns, optional=("data_type", URL))
    optional = (URL,) if other and other.name == MISC else ()
    data = yield from _place(api, judge, DATA.name, _names(DATA), optional)
    return Tables(_there(users, USERS.name, schema), _there(data, DATA.name, schema), _there(other, OTHER.name, schema))


def _there(place: Place | None, name: str, schema: str) -> Place:
    if place is None:
        raise Unwell(_missing_table(name, schema))
    return place


def _names(table: Table) -> list[str]:
    return [column.name for column in table.columns]


def _place(
    api: Api, judge: Judge, name: str, columns: Sequence[str], optional: Sequence[str] = ()
) -> Steps[Place | None]:
    """Ask for no row of all ``columns``; leave out what is optional and not there. ``None``: no such table."""
    while True:
        (answer,) = yield [api.select(name, columns, 0)]
        fault = judge.of_rows(answer, name)
        if fault is None:
            rows_in(answer, columns)  # whatever else answers 200 has no table
            return Place(name, columns[0], tuple(columns))
        if fault.code in TABLE_MISSING:
            return None
        if fault.code not in COLUMN_MISSING or fault.place not in columns:
            raise Unwell(fault)
        if fault.place not in optional:
            raise Unwell(_missing_column(fault, name, api.config.schema))
        columns = [column for column in columns if column != fault.place]


def _missing_table(name: str, schema: str) -> Fault:
    detail = f"Table {name} is missing in schema {schema}."
    if name == OTHER.name:
        detail = f"Tables {name} and {MISC} are missing in schema {schema}: one of them is needed."
    return Fault(Blame.DESTINATION, "PGRST205", detail, _EDITOR, place=name)


def _missing_column(fault: Fault, table: str, schema: str) -> Fault:
    column = fault.place
    kind = "timestamptz" if _is_moment(column) else "text"
    detail = f"Table {table} has no column {column}."
    hint = f'Run in Supabase\'s SQL editor: ALTER TABLE "{schema}"."{table}" ADD COLUMN {column} {kind};'
    return Fault(Blame.DESTINATION, fault.code, detail, hint, status_code=fault.status_code, place=column)


def _is_moment(name: str) -> bool:
    return any(column.is_moment for table in (USERS, DATA, OTHER) for column in table.columns if column.name == name)


def moment_of(value: Any) -> datetime | None:
    """Return the moment that a value of a row spells; ``None`` where it spells none."""
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def same_value(held: Any, said: Any) -> bool:
    """Tell whether a column holds what is said; the database may spell a moment in another way."""
    if held == said:
        return True
    moment = moment_of(said)
    return moment is not None and moment == moment_of(held)


def rows_in(answer: Answer, columns: Iterable[str]) -> list[dict[str, Any]]:
    """Return the rows that an answer lists; raise ``Unwell`` where it is no list of rows with these columns."""
    rows, wanted = json_of(answer), frozenset(columns)
    if isinstance(rows, list) and all(isinstance(row, dict) and row.keys() >= wanted for row in rows):
        return rows
    what = f"The Data API's answer is no list of rows with {', '.join(sorted(wanted))}, or is longer than 64 KiB"
    raise Unwell(bad_response(what, answer))
