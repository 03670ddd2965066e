"""How a run of the command line ends: its exit codes, and what is said of an error.

An error that can be expected is told in words, without a traceback: ``--debug`` shows that too.
"""

import json
import traceback
from enum import IntEnum
from typing import Any

from terra_hub.cli.base import PIPE_CLOSED as _PIPE_CLOSED
from terra_hub.cli.base import manner
from terra_hub.cli.output import say


class Code(IntEnum):
    """Exit codes, as docs/cli.md has them."""

    OK = 0
    FAILED = 1  # refused, or failed
    USAGE = 2  # an unknown command or option, or a value that cannot be read
    NOT_FOUND = 3  # what was named is not there
    CHECK_FAILED = 4  # a check ran, and found something wrong
    UNAVAILABLE = 5  # the hub's settings are not there, its database does not answer, or is not migrated
    INTERRUPTED = 130  # Ctrl-C
    PIPE_CLOSED = _PIPE_CLOSED


_NOT_FOUND = frozenset({"not_found", "destination_deleted"})
_NO_DATABASE = "Look at DATABASE_URL, and whether that server runs."
_NOT_MIGRATED = "Bring the database up to date: manage.py migrate."


def code_of(error: BaseException) -> Code | None:
    """Say what is wrong, on standard error, and return the exit code; ``None`` where the error is not expected."""
    told = _told(error)
    if told is None:
        return None
    code, kind, errors, hint = told
    if manner().debug:
        traceback.print_exception(error)
    if manner().json:
        _print_problem(kind, errors, hint)
    else:
        say(*_lines(errors), *([f"Hint: {hint}"] if hint else []))
    return code


def not_configured(text: str, as_json: bool) -> Code:
    """Say, on standard error and in one line, that the settings are not there; return the exit code."""
    if as_json:
        _print_problem("not_configured", {"": [text]}, "")
    else:
        say(f"Error: {text}")
    return Code.UNAVAILABLE


Told = tuple[Code, str, dict[str, list[str]], str]


def _told(error: BaseException) -> Told | None:
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management.base import CommandError
    from django.db import InterfaceError, OperationalError, ProgrammingError

    from destinations.adapters_of import Unusable
    from destinations.crypto import SealError
    from destinations.rules import Refused

    if isinstance(error, Refused):
        code = Code.NOT_FOUND if error.code in _NOT_FOUND else Code.FAILED
        return code, error.code, error.errors, error.hint
    if isinstance(error, OperationalError | InterfaceError | ProgrammingError):
        return _of_database(error)
    if isinstance(error, SealError | Unusable | CommandError | ImproperlyConfigured | OSError):
        return Code.FAILED, type(error).__name__.lower(), {"": [str(error)]}, ""
    return None


def _of_database(error: Exception) -> Told | None:
    text = " ".join(str(error).split())
    if "no such table" in text or "no such column" in text or "does not exist" in text:
        return Code.UNAVAILABLE, "not_migrated", {"": [f"The hub's database is not up to date: {text}"]}, _NOT_MIGRATED
    if type(error).__name__ == "ProgrammingError":
        return None  # a mistake of the hub's own
    from terra_hub.databases import unreachable

    why = unreachable() or text  # the pool's own words are only that it got no connection
    return Code.UNAVAILABLE, "store_unavailable", {"": [f"The hub's database does not answer: {why}"]}, _NO_DATABASE


def _lines(errors: dict[str, list[str]]) -> list[str]:
    pairs = [(path, text) for path, texts in errors.items() for text in texts]
    return [f"Error: {path}: {text}" if path else f"Error: {text}" for path, text in pairs]


def _print_problem(kind: str, errors: dict[str, list[str]], hint: str) -> None:
    """Print an error for programs, in one line and with the members of the API's problems."""
    items = [{"field": path, "message": text} for path, texts in errors.items() for text in texts]
    problem: dict[str, Any] = {"code": kind, "detail": "; ".join(item["message"] for item in items)}
    say(json.dumps({**problem, "errors": items, "hint": hint}))


def not_found(what: str, hint: str = "") -> Exception:
    """Return the error for something that was named and is not there."""
    from destinations.rules import Refused

    return Refused({"": [what]}, code="not_found", hint=hint)
