"""The steps of a Supabase destination's check. What it writes it takes away again, also where it fails half-way."""

import base64
import json
import secrets
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

from destinations.adapters.base import Step, StepFailed, StepStatus, run_step
from destinations.adapters.http_check import connection_steps, resolve_step
from destinations.adapters.objects import check_key
from destinations.adapters.rows import DataRow, OtherRow, UserRow
from destinations.adapters.supabase_api import IGNORE, MERGE, Api, equals
from destinations.adapters.supabase_errors import Fault, Judge, Unwell, said_by
from destinations.adapters.supabase_flow import Answer, fetched, run_alone
from destinations.adapters.supabase_tables import MISC, Place, Row, Tables, discover, rows_in, same_value
from destinations.egress import EgressPolicy
from destinations.hosts import parse_url
from destinations.http import HttpClient, HttpRequest, HttpResponse

AUTHENTICATION = frozenset({"AccessDenied", "InvalidJWT", "PGRST301", "PGRST302", "PGRST303", "http_401", "http_403"})
_PUBLIC_ROLES = ("anon", "authenticated")
_FIT_COLUMNS = "Give the table the columns of the set-up's SQL, of type text or timestamptz, and look for triggers."


def check_steps(client: HttpClient, api: Api, judge: Judge, policy: EgressPolicy, key: str) -> Iterator[Step]:
    """Yield each step; end after one that failed."""
    step = resolve_step(api.config.project_url, policy)
    yield step
    if step.status is StepStatus.FAILED:
        return
    check = _Check(client, api, judge, key)
    for step in connection_steps(check.first_answer, parse_url(api.config.project_url), "authenticate"):
        yield step
        if step.status is StepStatus.FAILED:
            return
    try:
        yield from _written_steps(check)
    finally:
        check.remove_all()


def _written_steps(check: "_Check") -> Iterator[Step]:
    steps: list[tuple[str, Callable[[], str]]] = [
        ("authenticate", check.authenticate),
        ("bucket", check.bucket),
        ("tables", check.tables),
        ("write", check.write),
        ("read back", check.read_back),
        ("clean up", check.clean_up),
    ]
    for name, action in steps:
        step = run_step(name, action)
        yield step
        if step.status is StepStatus.FAILED:
            return


class _Check:
    """What one step learns and the next one needs."""

    def __init__(self, client: HttpClient, api: Api, judge: Judge, key: str) -> None:
        self._client, self._api, self._judge, self._key = client, api, judge, key
        self._tables: Tables | None = None
        self._object_key = check_key("")
        self._body = json.dumps({"type": "healthcheck", "message": "A check of the Terra destination hub."}).encode()
        self._written: list[tuple[str, Callable[[], HttpRequest]]] = []  # things, and how to take each away again
        self._id = f"hub-check-{secrets.token_hex(8)}"
        self.first_answer = self._ask(api.bucket())

    def authenticate(self) -> str:
        role = role_of(self._key)
        if role in _PUBLIC_ROLES:
            hint = "Use a secret key (sb_secret_…) or the service_role key: this one is public, or a user's."
            raise StepFailed(f"The API key is that of the role {role}.", hint)
        table_answer = self._ask(self._api.select("terra_users", ["user_id"], 0))
        for fault in (self._judge.of_object(self.first_answer), self._judge.of_rows(table_answer)):
            if fault and fault.code in AUTHENTICATION:
                raise _failed(fault)
        return f"Storage and the Data API take the key{f' (role {role})' if role else ''}."

    def bucket(self) -> str:
        _raise(self._judge.of_info(self.first_answer))
        about = said_by(self.first_answer)
        limit = about.get("file_size_limit")
        is_limited = isinstance(limit, int)
        size = f"It takes objects of up to {limit:,} bytes." if is_limited else "It sets no limit of its own to sizes."
        if about.get("public"):
            hint = "Make the bucket private: whoever has an object's URL can read it now."
            raise StepFailed(f"Bucket {self._api.config.bucket} is public. {size}", hint, StepStatus.WARNING)
        return f"Bucket {self._api.config.bucket} is private. {size}"

    def tables(self) -> str:
        try:
            self._tables = run_alone(self._client, discover(self._api, self._judge))
        except Unwell as unwell:
            raise _failed(unwell.fault) from None
        form = "as in newer projects of Terra's" if self._tables.other.name == MISC else "as on Terra's page"
        places = (self._tables.users, self._tables.data, self._tables.other)
        return f"{', '.join(place.name for place in places)}: {form}."

    def write(self) -> str:
        self._written.append((f"object {self._object_key}", partial(self._api.remove_object, self._object_key)))
        made = self._api.replace_object(self._object_key, self._body, {})
        _raise(self._judge.of_upload(self._ask(made)))
        for place, row, prefer in self._samples():
            removal = partial(self._api.delete, place.name, (place.key, equals(self._id)))
            self._written.insert(0, (f"row {self._id} of {place.name}", removal))
            made = self._api.insert(place.name, [place.values(row)], place.key, prefer)
            _raise(self._judge.of_insert(self._ask(made), place.name, place.key))
        users = self._samples()[0][0]
        change = self._api.update(users.name, {"state": "active"}, [(users.key, equals(self._id))], users.key)
        self._rows(self._ask(change), users, [users.key])
        return "An object in the bucket, and a row in each table."

    def read_back(self) -> str:
        answer = self._ask(self._api.read_object(self._object_key))
        _raise(self._judge.of_object(answer))
        if not isinstance(answer, HttpResponse) or answer.body != self._body:
            raise StepFailed("The object does not hold what was written.", "Look for what changes objects in transit.")
        for place, row, _ in self._samples():
            self._compare(place, row)
        return "The object and each row came back as they were written."

    def clean_up(self) -> str:
        left = self.remove_all()
        if left:
            hint = "Grant DELETE to the key's role, or delete by hand what is named above; deliveries need no DELETE."
            raise StepFailed(f"Not removed: {'; '.join(left)}.", hint, StepStatus.WARNING)
        return "Nothing is left behind."

    def remove_all(self) -> list[str]:
        """Take away what was written; return what could not be."""
        left = []
        while self._written:
            thing, removal = self._written.pop(0)
            request = removal()
            answer = self._ask(request)
            judge = self._judge.of_removal if "/storage/v1/" in request.url else self._judge.of_delete
            fault = judge(answer)
            if fault:
                left.append(f"{thing} ({fault.code})")
        return left

    def _compare(self, place: Place, row: Row) -> None:
        answer = self._ask(self._api.select(place.name, place.columns, 1, (place.key, equals(self._id))))
        held = next(iter(self._rows(answer, place, place.columns)), {})
        wrong = [name for name, value in place.values(row).items() if not same_value(held.get(name), value)]
        if wrong:
            raise StepFailed(f"{place.name} does not hold what was written: {', '.join(wrong)}.", _FIT_COLUMNS)

    def _rows(self, answer: Answer, place: Place, columns: Iterable[str]) -> list[dict[str, Any]]:
        _raise(self._judge.of_rows(answer, place.name, place.key))
        try:
            return rows_in(answer, columns)
        except Unwell as unwell:
            raise _failed(unwell.fault) from None

    def _samples(self) -> list[tuple[Place, Row, str]]:
        if self._tables is None:
            raise StepFailed("The tables are not known.")
        key, url, now = self._id, self._api.object_url(self._object_key), datetime(2026, 1, 1, 12, tzinfo=UTC)
        return [
            (self._tables.users, UserRow(key, key, now, "check", "CHECK", "active", now, now), IGNORE),
            (self._tables.data, DataRow(key, key, "check", now, now, now, url), MERGE),
            (self._tables.other, OtherRow(key, key, "check", now, url), MERGE),
        ]

    def _ask(self, request: HttpRequest) -> Answer:
        return fetched(self._client, request)


def role_of(key: str) -> str:
    """Return the role that a JWT is for; ``""`` for keys of the newer kind. The signature is Supabase's to check."""
    try:
        part = key.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (IndexError, ValueError, RecursionError):
        return ""
    role = claims.get("role") if isinstance(claims, dict) else None
    return role if isinstance(role, str) and role.isidentifier() else ""


def _raise(fault: Fault | None) -> None:
    if fault:
        raise _failed(fault)


def _failed(fault: Fault) -> StepFailed:
    return StepFailed(fault.detail, fault.hint, code=fault.code)
