"""What Supabase's refusals mean for a delivery: retry, reject the event, or call the destination unwell.

PostgREST's codes: docs.postgrest.org, *Errors*; others there are PostgreSQL's SQLSTATEs. Storage answers 400
to nearly everything: its own status is the text ``statusCode`` of the body, its word is ``code``
(supabase.com/docs/guides/storage/debugging/error-codes), or ``error`` where it is older.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from destinations.adapters.base import Effect, Outcome, Result
from destinations.adapters.supabase_flow import Answer
from destinations.http import HttpResponse
from destinations.httperrors import HttpError
from destinations.retryafter import retry_after
from destinations.scrubbing import Scrubber
from destinations.texts import visible

BUSY_S = 5.0  # how long a destination is left alone that says that it is too busy


class Blame(Enum):
    """Whose fault a refusal is."""

    EVENT = "event"  # it will never be taken as it is: reject it, deliver its neighbours
    MOMENT = "moment"  # the next try may well succeed, and nobody has to change anything
    DESTINATION = "destination"  # every delivery fails until somebody changes something, or it is up again


@dataclass(frozen=True, slots=True)
class Verdict:
    """One line of a table: whose fault, why, and what to change. Names in braces are filled in."""

    blame: Blame
    reason: str
    hint: str = ""
    wait_s: float | None = None  # how long a destination is left alone that asks for it without a Retry-After


@dataclass(frozen=True, slots=True)
class Fault:
    """One request that was refused or not answered."""

    blame: Blame
    code: str  # PGRST301, 23505, NoSuchBucket, http_503, timeout
    detail: str
    hint: str = ""
    retry_after: float | None = None  # seconds
    status_code: int | None = None
    place: str = ""  # the column or table that it names

    def result(self, **about: Any) -> Result:
        """Return what a message gets."""
        outcome = Outcome.REJECTED if self.blame is Blame.EVENT else Outcome.RETRY
        return Result(
            outcome,
            self.code,
            self.detail,
            self.hint,
            retry_after=self.retry_after,
            effect=self._effect,
            status_code=self.status_code,
            **about,
        )

    @property
    def _effect(self) -> Effect:
        if self.blame is not Blame.DESTINATION:
            return Effect.NONE
        return Effect.PAUSE if self.status_code in (429, 503) and self.retry_after else Effect.FAILURE


class Unwell(Exception):
    """Everything that is under way fails for the same reason."""

    def __init__(self, fault: Fault) -> None:
        """Take the reason."""
        super().__init__(fault.detail)
        self.fault = fault


_EVENT, _MOMENT, _DESTINATION = Blame.EVENT, Blame.MOMENT, Blame.DESTINATION
_KEY = "Copy a secret key (sb_secret_…) or the service_role key anew from Project Settings, API Keys."
_EDITOR = "Run the SQL of this destination's set-up in Supabase's SQL editor."
_FIT = "Change the table or its constraint, then resend."
_STATUS_PAGE = "Look at the project in Supabase's dashboard: a paused project has to be restored."
_GRANT = "Run: GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO service_role; or run the SQL of the set-up."
_POLICY = "Use the service_role or a secret key, which row-level security does not hold; other keys need a policy."
_SLOWER = "Lower the destination's concurrency."
_SLOW = "Look for locks, slow triggers, and a missing index on (user_id, created_at); then resend."

# By PostgREST's code, or SQLSTATE, or its class (the first two characters).
ROWS: Mapping[str, Verdict] = {
    "PGRST000": Verdict(_DESTINATION, "the Data API cannot reach its database", _STATUS_PAGE),
    "PGRST001": Verdict(_DESTINATION, "the Data API cannot reach its database", _STATUS_PAGE),
    "PGRST002": Verdict(_DESTINATION, "the Data API cannot reach its database", _STATUS_PAGE),
    "PGRST003": Verdict(_DESTINATION, "the Data API has no free database connection", "Lower the concurrency."),
    "PGRST106": Verdict(
        _DESTINATION, "the schema is not exposed", "Add {schema} in Project Settings, Data API, Exposed schemas."
    ),
    "PGRST204": Verdict(_DESTINATION, "a column is missing", _EDITOR),
    "PGRST205": Verdict(_DESTINATION, "a table is missing", _EDITOR),
    "PGRST301": Verdict(_DESTINATION, "the API key is refused", _KEY),
    "PGRST302": Verdict(_DESTINATION, "the API key is refused", _KEY),
    "PGRST303": Verdict(_DESTINATION, "the API key has expired or is refused", _KEY),
    "08": Verdict(_DESTINATION, "the database's connection broke"),
    "22": Verdict(_EVENT, "a value does not fit its column", _FIT),
    "23": Verdict(_EVENT, "a constraint of the table refuses the row", _FIT),
    "25006": Verdict(_DESTINATION, "the database is read-only", "Free disk space in the project: it is full."),
    "40": Verdict(_MOMENT, "the database rolled the change back"),
    "42": Verdict(_DESTINATION, "the tables are not as they should be", _EDITOR),
    "42501": Verdict(_DESTINATION, "a permission is missing", _GRANT),
    "42703": Verdict(_DESTINATION, "a column is missing", _EDITOR),
    "42P01": Verdict(_DESTINATION, "a table is missing", _EDITOR),
    "42P10": Verdict(_DESTINATION, "the key column is not unique", "Make {key} the primary key of {table}, or unique."),
    "53": Verdict(_DESTINATION, "the database has run out of a resource"),
    "54": Verdict(_EVENT, "a value is larger than PostgreSQL can index or store", _FIT),
    "55": Verdict(_DESTINATION, "the table cannot be written like this", "Use plain tables, not views."),
    "55P03": Verdict(_MOMENT, "another transaction holds a lock"),
    "57": Verdict(_DESTINATION, "the database ended the session", _STATUS_PAGE),
    "57014": Verdict(_DESTINATION, "the database took too long", _SLOW),
    "58": Verdict(_DESTINATION, "the database had a system error"),
    "P0": Verdict(_EVENT, "a trigger of the table refuses the row", _FIT),
    "XX": Verdict(_DESTINATION, "the database had an internal error"),
}
# By Storage's word.
OBJECTS: Mapping[str, Verdict] = {
    "NoSuchBucket": Verdict(
        _DESTINATION,
        "there is no bucket {bucket}, or the key may not see it",
        "Make it in Storage (private), or run the SQL of this destination's set-up in the SQL editor.",
    ),
    "AccessDenied": Verdict(_DESTINATION, "Storage refuses the API key", _KEY),
    "InvalidJWT": Verdict(_DESTINATION, "Storage refuses the API key", _KEY),
    "SignatureDoesNotMatch": Verdict(_DESTINATION, "Storage refuses the API key", _KEY),
    "InvalidKey": Verdict(_EVENT, "Storage refuses the object's key", "Please report this."),
    "EntityTooLarge": Verdict(
        _EVENT,
        "the payload is larger than the bucket or the project allows",
        "Raise the file size limit of bucket {bucket} and the project's in Storage, Settings; then resend.",
    ),
    "InvalidMimeType": Verdict(
        _DESTINATION, "bucket {bucket} does not take application/json", "Add it to the bucket's allowed MIME types."
    ),
    "KeyAlreadyExists": Verdict(_MOMENT, "the object is there already"),
    "NoSuchKey": Verdict(_MOMENT, "the object is not there"),
    "ResourceLocked": Verdict(_MOMENT, "the object is locked by another upload"),
    "LockTimeout": Verdict(_MOMENT, "the object is locked by another upload"),
    "SlowDown": Verdict(_DESTINATION, "Storage asks for fewer requests", _SLOWER, BUSY_S),
    "DatabaseTimeout": Verdict(_DESTINATION, "Storage cannot reach its database", _STATUS_PAGE),
    "TenantNotFound": Verdict(_DESTINATION, "Storage does not know the project", "Check the project URL."),
}
# How older versions of Storage say the same, in ``error``.
_OLDER = {
    "Bucket not found": "NoSuchBucket", "Duplicate": "KeyAlreadyExists", "not_found": "NoSuchKey",
    "Unauthorized": "AccessDenied", "Invalid JWT": "InvalidJWT", "Payload too large": "EntityTooLarge",
    "invalid_mime_type": "InvalidMimeType", "Invalid key": "InvalidKey",
}  # fmt: skip
_RLS_OF_OBJECTS = Verdict(_DESTINATION, "row-level security keeps the key from the object", _POLICY)
_RLS_OF_ROWS = Verdict(_DESTINATION, "row-level security refuses the row", _POLICY)
_GATEWAY: Mapping[int, Verdict] = {
    401: Verdict(_DESTINATION, "the API key is refused", _KEY),
    402: Verdict(_DESTINATION, "the project is restricted", "Look at the project's usage and billing in Supabase."),
    403: Verdict(_DESTINATION, "the API key is refused", _KEY),
    404: Verdict(_DESTINATION, "there is no Supabase API at this URL", "Check the project URL."),
    413: Verdict(_EVENT, "the payload is larger than the project's gateway takes", "Raise its limit, then resend."),
    429: Verdict(_DESTINATION, "the project asks for fewer requests", _SLOWER, BUSY_S),
    503: Verdict(_DESTINATION, "the project is busy or down", _STATUS_PAGE, BUSY_S),
    540: Verdict(_DESTINATION, "the project is paused", "Restore it in Supabase's dashboard."),
}
_SERVER = Verdict(_DESTINATION, "the project's server failed", _STATUS_PAGE)
_UNKNOWN = Verdict(_MOMENT, "the request was refused")
_WORD = re.compile(r"[A-Za-z0-9_.-]{1,64}")

# How PostgreSQL begins when a constraint refuses a row.
_CONSTRAINT_WORDS = re.compile(
    "null value in column |new row for relation |duplicate key value |insert or update on table |conflicting key value "
)
# Names in PostgreSQL's and PostgREST's messages; the rest of a message may hold a row's values.
_NAMES = {
    "constraint": re.compile(r'constraint "([^"]{1,63})"'),
    "column": re.compile(
        r'column "([^"]{1,63})"|the \'([^\']{1,63})\' column|column (?:[\w$]+\.)?([\w$]{1,63}) does not exist'
    ),
    "table": re.compile(
        r"(?:relation|table) \"(?:[^\".]{1,63}\.)?([^\"]{1,63})\"|the table '(?:[^'.]+\.)?([^']{1,63})'"
        r"|permission denied for (?:table|relation|view) ([\w$]{1,63})"
    ),
}


class Judge:
    """Reads answers, with this destination's names at hand for its hints."""

    def __init__(self, schema: str, bucket: str, secrets: Iterable[str] = ()) -> None:
        """Take the names that hints are filled with, and what no detail may show."""
        self._schema, self._bucket = schema, bucket
        self._scrubber = Scrubber(secrets)

    def of_rows(self, answer: Answer, table: str = "", key: str = "") -> Fault | None:
        """Judge an answer of the Data API; ``None`` for success."""
        if isinstance(answer, HttpError):
            return Fault(_DESTINATION, answer.code, self._scrubber.text(answer.detail), answer.hint)
        if 200 <= answer.status < 300:
            return None
        said = said_by(answer)
        code, message = _word(said.get("code")), str(said.get("message") or "")
        verdict = _row_verdict(code, message)
        if verdict is None:
            return self._of_gateway(answer, message, table)
        own_words = message if _is_own(verdict, message) else ""
        found = {kind: _named(pattern, own_words) for kind, pattern in _NAMES.items()}
        found["table"] = found["table"] or table
        detail = f"{_capital(verdict.reason)} ({_listed(code, found)})."
        place = f'"{self._schema}"."{found["table"]}"' if found["table"] else "the table"
        hint = _not_null_hint(code, place, found["column"]) or verdict.hint
        names = {"table": place, "key": key or "the key", "schema": self._schema}
        return _fault(verdict, code, detail, hint.format_map(names), answer, found["column"] or found["table"])

    def of_insert(self, answer: Answer, table: str, key: str) -> Fault | None:
        """Judge an answer to an insert: PostgREST's has no body, and is 201, or 200 where all rows were there."""
        if fault := self.of_rows(answer, table, key):
            return fault
        if isinstance(answer, HttpResponse) and not answer.body:
            if answer.status == 201:
                return None
            # Newer versions answer 200 to an upsert that made no row; a proxy's empty 200 has neither header.
            if answer.status == 200 and not answer.headers.keys().isdisjoint(("content-range", "preference-applied")):
                return None
        return bad_response(f"The Data API's answer to an insert into {table} is not as PostgREST gives it", answer)

    def of_delete(self, answer: Answer) -> Fault | None:
        """Judge an answer to a removal of rows: PostgREST's is 204, without a body."""
        fault = self.of_rows(answer)
        if fault or (isinstance(answer, HttpResponse) and answer.status == 204):
            return fault
        return bad_response("The Data API's answer to a removal is not as PostgREST gives it", answer)

    def of_upload(self, answer: Answer) -> Fault | None:
        """Judge an answer to an upload, which has the object's ``Key``."""
        return self.of_object(answer) or _without("Key", answer)

    def of_info(self, answer: Answer) -> Fault | None:
        """Judge an answer about a bucket or an object, which has its ``name``."""
        return self.of_object(answer) or _without("name", answer)

    def of_removal(self, answer: Answer) -> Fault | None:
        """Judge an answer to a removal of objects: a list of those that were there."""
        fault = self.of_object(answer)
        if fault or isinstance(json_of(answer), list):
            return fault
        return bad_response("Storage's answer to a removal is no list of objects", answer)

    def of_object(self, answer: Answer) -> Fault | None:
        """Judge an answer of Storage; ``None`` for success."""
        if isinstance(answer, HttpError):
            return Fault(_DESTINATION, answer.code, self._scrubber.text(answer.detail), answer.hint)
        if 200 <= answer.status < 300:
            return None
        said = said_by(answer)
        error, message = str(said.get("error") or ""), str(said.get("message") or "")
        code = _word(said.get("code") or _OLDER.get(error, ""))
        verdict = _RLS_OF_OBJECTS if "row-level security" in message else OBJECTS.get(code)
        if verdict is None:
            return self._of_gateway(answer, message, "", _own_status(said, answer))
        names, own = {"bucket": self._bucket}, _own_status(said, answer)
        words = self._words(verdict, message)
        code = code or "AccessDenied"  # older versions name row-level security in the message alone
        detail = _capital(verdict.reason.format_map(names)) + f" ({code}{words})."
        return _fault(
            verdict, code, detail, verdict.hint.format_map(names), answer, status=own if verdict.wait_s else 0
        )

    def _words(self, verdict: Verdict, message: str) -> str:
        """Return what the other side said, where it cannot be about an event's own values."""
        if verdict.blame is not _DESTINATION or not message:
            return ""
        first = self._scrubber.text(message).strip().partition("\n")[0][:200]
        return f": {visible(first).rstrip('.')}"

    def _of_gateway(self, answer: HttpResponse, message: str, table: str, status: int = 0) -> Fault:
        """Judge an answer by its status: the gateway gave it, or it says nothing that is known."""
        status = status or answer.status
        verdict = _GATEWAY.get(status) or (_SERVER if status >= 500 else _UNKNOWN)
        about = f" for {table}" if table else ""
        words = self._words(verdict, message)
        detail = f"{_capital(verdict.reason)} ({status}{about}{words})."
        return _fault(verdict, f"http_{status}", detail, verdict.hint, answer, status=status)


def _row_verdict(code: str, message: str) -> Verdict | None:
    if code == "42501" and "row-level security" in message:
        return _RLS_OF_ROWS
    return ROWS.get(code) or (ROWS.get(code[:2]) if len(code) == 5 else None)


def _not_null_hint(code: str, place: str, column: str) -> str:
    if code != "23502" or not column:
        return ""
    return f"Run: ALTER TABLE {place} ALTER COLUMN {column} DROP NOT NULL; then resend."


def _fault(
    verdict: Verdict, code: str, detail: str, hint: str, answer: HttpResponse, place: str = "", status: int = 0
) -> Fault:
    wait = retry_after(answer.headers.get("retry-after", ""), datetime.now(UTC)) or verdict.wait_s
    return Fault(verdict.blame, code, detail, hint, wait, status or answer.status, place)


def json_of(answer: Answer) -> Any:
    """Return the JSON value that an answer's body is; ``None`` where it is none, or none that a row can hold."""
    if not isinstance(answer, HttpResponse) or answer.truncated:
        return None
    try:
        value = json.loads(answer.body)
        if b"\\ud" in answer.body.lower():  # half a surrogate pair is no text, and would fail where it is used
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):  # a body may be 64 KiB of "["
        return None
    return value


def bad_response(what: str, answer: Answer) -> Fault:
    """Return the fault of an answer that is a success by its status, and not Supabase's by what it says."""
    status = answer.status if isinstance(answer, HttpResponse) else None
    hint = "Check the project URL, and what answers between the hub and the project (a proxy, a portal)."
    return Fault(_DESTINATION, "bad_response", f"{what}{f' ({status})' if status else ''}.", hint, status_code=status)


def _without(name: str, answer: Answer) -> Fault | None:
    if isinstance(said_by(answer).get(name), str):
        return None
    return bad_response(f"Storage's answer is no JSON object with {name}", answer)


def said_by(answer: Answer) -> Mapping[str, Any]:
    """Return the JSON object that an answer's body is; an empty one where it is none."""
    said = json_of(answer)
    return said if isinstance(said, dict) else {}


def _word(value: object) -> str:
    """Return a code that the other side gave, if it can be one."""
    return value if isinstance(value, str) and _WORD.fullmatch(value) else ""


def _own_status(said: Mapping[str, Any], answer: HttpResponse) -> int:
    text = str(said.get("statusCode") or "")
    return int(text) if re.fullmatch("[1-5][0-9][0-9]", text) else answer.status


def _is_own(verdict: Verdict, message: str) -> bool:
    """Tell whether a message is sure to hold names and no values: triggers and data errors may say anything."""
    return verdict.blame is not _EVENT or bool(_CONSTRAINT_WORDS.match(message))


def _named(pattern: re.Pattern[str], message: str) -> str:
    match = pattern.search(message)
    return visible(next(filter(None, match.groups()), "")) if match else ""


def _listed(code: str, found: Mapping[str, str]) -> str:
    return ", ".join([code, *(f"{kind} {name}" for kind, name in found.items() if name)])


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
