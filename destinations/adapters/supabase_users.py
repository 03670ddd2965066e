"""Rows of ``terra_users`` that are there already: what an event says, without undoing what a newer one said.

What ``rows.py`` promises is kept like this. PostgREST cannot lock a row from one request to the next, so a row is
read, what it should become is worked out, and it is changed under the condition that it still holds what was
read. A row that changed meanwhile is read and judged anew. Whether an event is the user's newest is judged by the
payload tables, whose rows were written before: of two writers, the later one sees the other's event.

One gap stays. Between the judgement and the change lies one request. If in that moment another worker writes a
newer event, and finds that its own word is in the row already, so that it changes nothing, the older event's
word is written over it; the user's next event mends it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from destinations.adapters.rows import REPLACED, STATE_TYPES, UserRow
from destinations.adapters.supabase_api import Api, equals, one_of, still
from destinations.adapters.supabase_errors import Blame, Fault, Judge, Unwell
from destinations.adapters.supabase_flow import Answer, Steps
from destinations.adapters.supabase_tables import Place, Tables, moment_of, rows_in, same_value
from destinations.http import HttpRequest, HttpResponse

# Gateways take 8 KiB and more of a URL; these leave room for the rest of it.
MAX_ID_BYTES = 2000
MAX_IDS_BYTES = 4000
MAX_CONDITION_BYTES = 500  # longer values are not part of the condition that the row is as it was
MOST_IDS = 50  # an answer of 64 KiB has room for them
ROUNDS = 5
STATE = "state"

Held = Mapping[str, Any]


def id_bytes(user_id: str) -> int:
    """Return how long an id is in a URL."""
    return len(user_id) if user_id.isascii() and user_id.isalnum() else len(quote(user_id, safe=""))


@dataclass(frozen=True, slots=True)
class _Judged:
    """What is known of one user whose row differs from what an event says."""

    user: UserRow
    held: Held
    is_newest: bool
    sets_state: bool

    def changes(self, columns: Iterable[str]) -> dict[str, Any]:
        """Return the columns that have to change; an older event fills only what is empty."""
        said = _said(self.user, columns)
        wanted = {name: value for name, value in said.items() if self._wins(name) or self.held.get(name) is None}
        return {name: value for name, value in wanted.items() if not same_value(self.held.get(name), value)}

    def _wins(self, name: str) -> bool:
        return self.sets_state if name == STATE else self.is_newest


class UserUpdates:
    """Brings rows of users up to date, many at once."""

    def __init__(self, api: Api, judge: Judge, tables: Tables) -> None:
        """Look at and change the tables through ``api``."""
        self._api, self._judge, self._tables = api, judge, tables
        self._unreadable: set[str] = set()  # ids whose row is longer than an answer may be

    @property
    def _place(self) -> Place:
        return self._tables.users

    def run(self, users: Sequence[UserRow]) -> Steps[dict[str, Fault]]:
        """Apply what each of ``users`` says; return what is wrong, by id. Raises ``Unwell``."""
        left = {user.user_id: user for user in users}
        faults: dict[str, Fault] = {}
        for _ in range(ROUNDS):
            held = yield from self._read(list(left))
            faults |= {key: self._unseen(key) for key in left if key not in held}
            differing = [(left[key], row) for key, row in held.items() if key in left and self._differs(left[key], row)]
            judged = yield from self._judge_all(differing)
            left = {one.user.user_id: one.user for one in judged if one.changes(self._place.columns)}
            changing = [one for one in judged if one.user.user_id in left]
            if not changing:
                return faults
            for key, fault in (yield from self._change(changing)).items():
                faults |= {key: fault} if fault else {}
                del left[key]
        return faults | dict.fromkeys(left, _restless())

    def _unseen(self, user_id: str) -> Fault:
        if user_id in self._unreadable:
            detail = "The user's row is longer than 64 KiB, so the hub cannot tell what is new."
            return Fault(
                Blame.EVENT, "user_too_large", detail, f"Shorten the texts in {self._place.name}, then resend."
            )
        return Fault(Blame.MOMENT, "user_missing", "The user's row was written, and is not there or not to be seen.")

    def _differs(self, user: UserRow, held: Held) -> bool:
        said = _said(user, self._place.columns)
        return any(not same_value(held.get(name), value) for name, value in said.items())

    def _read(self, ids: Sequence[str]) -> Steps[dict[str, Held]]:
        place = self._place
        requests = [
            self._api.select(place.name, place.columns, MOST_IDS, (place.key, one_of(some))) for some in _portions(ids)
        ]
        answers = (yield requests) if requests else []
        rows: dict[str, Held] = {}
        for some, answer in zip(_portions(ids), answers, strict=True):
            if not _is_long_list(answer):
                rows |= {str(row[place.key]): row for row in self._rows(answer, place.name, place.columns)}
            elif len(some) == 1:
                self._unreadable.add(some[0])
            else:
                half = len(some) // 2
                rows |= yield from self._read(some[:half])
                rows |= yield from self._read(some[half:])
        return rows

    def _rows(self, answer: Answer, table: str, columns: Iterable[str]) -> list[dict[str, Any]]:
        fault = self._judge.of_rows(answer, table)
        if fault:
            raise Unwell(fault)
        return rows_in(answer, columns)

    def _judge_all(self, differing: Sequence[tuple[UserRow, Held]]) -> Steps[list[_Judged]]:
        """Ask the payload tables for the newest event of each user that differs: three small requests each."""
        requests = [request for user, _ in differing for request in self._newest(user.user_id)]
        answers = (yield requests) if requests else []
        judged = []
        for number, (user, held) in enumerate(differing):
            data, other, news = (self._moment(answer) for answer in answers[3 * number : 3 * number + 3])
            is_newest = max(data, other) <= user.seen_at
            is_final = held.get(STATE) == REPLACED
            sets_state = user.state == REPLACED or (not is_final and max(data, news) <= user.state_at)
            judged.append(_Judged(user, held, is_newest, sets_state))
        return judged

    def _newest(self, user_id: str) -> Iterable[HttpRequest]:
        newest = ("order", "created_at.desc.nullslast")
        of_user = ("user_id", equals(user_id))
        yield self._api.select(self._tables.data.name, ["created_at"], 1, of_user, newest)
        yield self._api.select(self._tables.other.name, ["created_at"], 1, of_user, newest)
        states = ("payload_type", one_of(STATE_TYPES))
        yield self._api.select(self._tables.other.name, ["created_at"], 1, of_user, states, newest)

    def _moment(self, answer: Answer) -> datetime:
        """Return the one moment of an answer; the earliest of all where there is none."""
        rows = self._rows(answer, self._tables.data.name, ["created_at"])
        return (moment_of(rows[0]["created_at"]) if rows else None) or datetime.min.replace(tzinfo=UTC)

    def _change(self, judged: Sequence[_Judged]) -> Steps[dict[str, Fault | None]]:
        """Change each row that is as it was read; return those that were, with what was wrong."""
        place = self._place
        answers = yield [self._update(one) for one in judged]
        done: dict[str, Fault | None] = {}
        for one, answer in zip(judged, answers, strict=True):
            fault = self._judge.of_rows(answer, place.name, place.key)
            if fault or rows_in(answer, [place.key]):
                done[one.user.user_id] = fault
        return done

    def _update(self, one: _Judged) -> HttpRequest:
        place = self._place
        as_read = [
            (name, still(one.held.get(name)))
            for name in place.columns
            if name != place.key and len(quote(str(one.held.get(name)))) <= MAX_CONDITION_BYTES
        ]
        filters = [(place.key, equals(one.user.user_id)), *as_read]
        return self._api.update(place.name, one.changes(place.columns), filters, place.key)


def _said(user: UserRow, columns: Iterable[str]) -> dict[str, Any]:
    """Return what the events say of a user: what they do not say is left as it is."""
    values = {name: getattr(user, name) for name in columns if name != "user_id"}
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in values.items()
        if value is not None
    }


def _is_long_list(answer: Answer) -> bool:
    """Tell whether an answer is a list of rows that is too long to be read."""
    return isinstance(answer, HttpResponse) and answer.truncated and answer.status == 200 and answer.body[:2] == b"[{"


def _portions(ids: Sequence[str]) -> list[list[str]]:
    """Return ``ids`` in portions that fit into a URL, and whose rows fit into an answer."""
    portions: list[list[str]] = []
    room = 0
    for one in ids:
        size = id_bytes(one) + len("%22%22%2C")
        if not portions or room < size or len(portions[-1]) == MOST_IDS:
            portions.append([])
            room = MAX_IDS_BYTES
        portions[-1].append(one)
        room -= size
    return portions


def _restless() -> Fault:
    return Fault(Blame.MOMENT, "changed_meanwhile", "The user's row was changed by others again and again.")
