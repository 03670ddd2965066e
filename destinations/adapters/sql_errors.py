"""What SQL kinds share about errors: whose fault one is, and the words for what no server has a code for."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from destinations.adapters.base import Effect, Outcome, Result
from destinations.adapters.rows import TABLES

OUR_COLUMNS = frozenset(column.name for table in TABLES for column in table.columns)


class Blame(Enum):
    """Whose fault an error is."""

    ROW = "row"  # this row will never be taken: reject it, deliver its neighbours
    MOMENT = "moment"  # the next try may well succeed, and nobody has to change anything
    DESTINATION = "destination"  # every delivery fails until somebody changes something, or it is up again

    @property
    def effect(self) -> Effect:
        """Return what an error that hits a whole batch says about the destination."""
        return Effect.NONE if self is Blame.MOMENT else Effect.FAILURE


@dataclass(frozen=True, slots=True)
class Verdict:
    """One line of a type's table of errors: whose fault, why, and what to change.

    ``{database}``, ``{username}``, ``{host}`` and whatever else the type's ``names_of`` gives are
    filled in where they stand in a hint.
    """

    blame: Blame
    reason: str
    hint: str = ""


UNKNOWN = Verdict(Blame.DESTINATION, "the server refused the statement")

# Codes for what the server did not answer with one of its own.
TIMEOUT = "timeout"
CONNECT_FAILED = "connect_failed"
CONNECTION_LOST = "connection_lost"
TLS_FAILED = "tls_failed"
DNS_FAILED = "dns_failed"
EGRESS_REFUSED = "egress_refused"
METHOD_REFUSED = "auth_method_refused"
UNKNOWN_CODE = "sql_failed"

SLOW = "Look for locks and slow triggers, or raise this destination's timeout."


LOST_HINT = (
    "Look into the server's log. Check that host and port are the server's own, and that no firewall or pooler between "
    "cuts the connection."
)


class Unwell(Exception):
    """The whole batch failed, for a reason that the code, the detail and the hint give."""

    def __init__(self, code: str, detail: str, hint: str = "", effect: Effect = Effect.FAILURE) -> None:
        """Say what happened in one line that holds neither a secret nor a value of a row."""
        super().__init__(detail)
        self.code, self.detail, self.hint, self.effect = code, detail, hint, effect

    def result(self, **about: Any) -> Result:
        """Return what each message of the batch gets."""
        return Result(Outcome.RETRY, self.code, self.detail, self.hint, effect=self.effect, **about)


class StatementFailed(Exception):
    """The server refused a statement; the connection lives on."""

    @property
    def is_missing_table(self) -> bool:
        """Tell whether a table is not there, which the hub would make."""
        return False

    @property
    def is_deadlock(self) -> bool:
        """Tell whether the server took the whole transaction back so that another one could go on."""
        return False

    def as_unwell(self, names: Mapping[str, str]) -> Unwell:
        """Return what it says of the destination; ``names`` fill the hint."""
        raise NotImplementedError


def one_line(text: str) -> str:
    """Return the first line of a message, without the control characters that could forge a log line."""
    first = text.strip().partition("\n")[0]
    return "".join(letter for letter in first if letter.isprintable())[:300]


def filled(hint: str, names: Mapping[str, Any]) -> str:
    """Return a hint with this destination's names in it."""
    return hint.format_map(names)
