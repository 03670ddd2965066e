"""The rows of many events: users first, then payloads, each in one request; bad rows are found and left out.

One request to PostgREST is one transaction, and a batch of events takes several. What that means for users'
rows: ``supabase_users``.
"""

import random
from collections.abc import Sequence
from dataclasses import replace

from destinations.adapters.rows import DATA, OTHER, USERS, EventRows, Table, newest_users
from destinations.adapters.supabase_api import IGNORE, MERGE, Api
from destinations.adapters.supabase_errors import Blame, Fault, Judge, Unwell
from destinations.adapters.supabase_flow import Steps
from destinations.adapters.supabase_tables import COLUMN_MISSING, TABLE_MISSING, Place, Row, Tables, discover
from destinations.adapters.supabase_users import MAX_ID_BYTES, UserUpdates, id_bytes

# Halving 500 rows takes 10 requests for each bad row among them; what is not found by then waits for its retry.
MOST_TRIES = 100
# So many bad rows and not one good: the table is at fault, and rejecting them would be wrong.
HOPELESS_AFTER = 3
PROBES = 4
NOT_NULL = "23502"
_STALE = TABLE_MISSING | COLUMN_MISSING
Faults = dict[str, Fault]  # by key


class RowWriter:
    """Writes rows; remembers which tables and columns the project has until an answer says otherwise."""

    def __init__(self, api: Api, judge: Judge) -> None:
        """Send through ``api``; ask for tables and columns at the first batch."""
        self._api, self._judge = api, judge
        self._tables: Tables | None = None

    def write(self, events: Sequence[EventRows]) -> Steps[list[Fault | None]]:
        """Write the rows of ``events``; return what is wrong with each.

        Raises ``Unwell`` where all fail for one reason; some rows may be in then, and repeating is right.
        """
        known = self._tables is not None
        try:
            return (yield from self._write(events))
        except Unwell as unwell:
            if unwell.fault.code not in _STALE:
                raise
            self._tables = None
            if not known:
                raise
        return (yield from self._write(events))

    def table_name(self, table: Table) -> str:
        """Return the name under which the project has one of Terra's tables, as far as it is known."""
        return self._tables.of(table).name if self._tables else table.name

    def _write(self, events: Sequence[EventRows]) -> Steps[list[Fault | None]]:
        tables = self._tables = self._tables or (yield from discover(self._api, self._judge))
        batch = _Batch(self._api, self._judge, tables)
        return (yield from batch.write(events))


class _Batch:
    """One batch under way; ``faults`` has what was refused so far, by table and key."""

    def __init__(self, api: Api, judge: Judge, tables: Tables) -> None:
        self._api, self._judge, self._tables = api, judge, tables
        self._faults: dict[str, Faults] = {USERS.name: {}, DATA.name: {}, OTHER.name: {}}
        self._tries = 0

    def write(self, events: Sequence[EventRows]) -> Steps[list[Fault | None]]:
        """Insert users that are new, then payloads, which may refer to them; then bring users up to date.

        That order lets each writer see the payloads of all others before it judges which event is the newest.
        """
        users = newest_users(events)
        refused = self._faults[USERS.name]
        refused |= {one.user_id: _too_long() for one in users if id_bytes(one.user_id) > MAX_ID_BYTES}
        fitting = [one for one in users if one.user_id not in refused]
        refused |= yield from self._insert(self._tables.users, fitting, IGNORE)
        for table in (DATA, OTHER):
            rows = {event.payload.payload_id: event.payload for event in events if event.table is table}
            good = {event.payload.payload_id for event in events if self.fault_of(event) is None}
            chosen = [rows[key] for key in sorted(rows) if key in good]
            self._faults[table.name] = yield from self._insert(self._tables.of(table), chosen, MERGE)
        updates = UserUpdates(self._api, self._judge, self._tables)
        refused |= yield from updates.run([one for one in fitting if one.user_id not in refused])
        return [self.fault_of(event) for event in events]

    def fault_of(self, event: EventRows) -> Fault | None:
        """Return why an event is left out: its users come first, then its payload."""
        users = self._faults[USERS.name]
        found = [users[one.user_id] for one in event.users if one.user_id in users]
        own = self._faults[event.table.name].get(event.payload.payload_id)
        return next(iter(found), own)

    def _insert(self, place: Place, rows: Sequence[Row], prefer: str) -> Steps[Faults]:
        """Write all of ``rows`` but the bad ones; return what is wrong with those."""
        fault = (yield from self._try(place, rows, prefer)) if rows else None
        if fault is None:
            return {}
        return (yield from self._isolate(place, list(rows), prefer, fault))

    def _isolate(self, place: Place, rows: list[Row], prefer: str, fault: Fault) -> Steps[Faults]:
        """Find the bad rows one by one; ``fault`` is what the first bad one among ``rows`` gave."""
        found: Faults = {}
        accepted = 0
        while rows and self._tries < MOST_TRIES:
            bad, fault, rest = yield from self._first_bad(place, rows, prefer, fault)
            accepted += len(rows) - len(rest) - 1
            found[_key(place, bad)] = fault
            rest_fault = (yield from self._try(place, rest, prefer)) if rest else None
            if rest_fault is None:
                return found
            if len(found) >= HOPELESS_AFTER and not accepted:
                accepted = yield from self._probe(place, rest, prefer, rest_fault)
            rows, fault = rest, rest_fault
        return found | {_key(place, row): _postponed(fault) for row in rows}

    def _first_bad(
        self, place: Place, rows: list[Row], prefer: str, fault: Fault
    ) -> Steps[tuple[Row, Fault, list[Row]]]:
        """Halve down to the first bad row; return it, its fault, and the rows that are not written yet."""
        rest: list[Row] = []
        while len(rows) > 1:
            half = (len(rows) + 1) // 2
            failed = yield from self._try(place, rows[:half], prefer)
            if failed is None:
                rows = rows[half:]  # so the fault is one of these
            else:
                rows, rest, fault = rows[:half], rows[half:] + rest, failed
        return rows[0], fault, rest

    def _probe(self, place: Place, rows: Sequence[Row], prefer: str, fault: Fault) -> Steps[int]:
        """Return 1 if some row is taken; raise ``Unwell`` if the table takes none.

        Drawn at random: the next try of an unlucky batch looks at other rows.
        """
        for row in random.sample(rows, min(PROBES, len(rows))):
            if (yield from self._try(place, [row], prefer)) is None:
                return 1
        hint = f"Every row is refused: look at the columns, constraints and triggers of {place.name}."
        raise Unwell(replace(fault, blame=Blame.DESTINATION, hint=hint))

    def _try(self, place: Place, rows: Sequence[Row], prefer: str) -> Steps[Fault | None]:
        """Write rows, or none of them and return what the bad one gave."""
        self._tries += 1
        (answer,) = yield [self._api.insert(place.name, [place.values(row) for row in rows], place.key, prefer)]
        fault = self._judge.of_insert(answer, place.name, place.key)
        if fault and fault.code == NOT_NULL and fault.place not in place.columns:
            raise Unwell(replace(fault, blame=Blame.DESTINATION))  # the hub fills no such column, whatever the row
        if fault is None or fault.blame is Blame.EVENT:
            return fault
        raise Unwell(fault)


def _key(place: Place, row: Row) -> str:
    return str(getattr(row, place.key))


def _postponed(fault: Fault) -> Fault:
    detail = f"Not written yet: other rows of its batch were refused. {fault.detail}"
    return replace(fault, blame=Blame.MOMENT, detail=detail)


def _too_long() -> Fault:
    detail = f"The user's id is longer than {MAX_ID_BYTES} bytes in a URL, which the Data API is asked by."
    return Fault(Blame.EVENT, "user_id_too_long", detail)
