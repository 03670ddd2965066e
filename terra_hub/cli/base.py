"""What every command of the command line has: ``--json``, ``--verbose`` and ``--debug``, and groups that add them."""

import functools
import inspect
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Annotated, Any

import typer


@dataclass(frozen=True, slots=True)
class Manner:
    """How this run of the command line speaks."""

    json: bool = False  # JSON on standard output instead of tables
    verbose: bool = False  # log lines of INFO too, on standard error
    debug: bool = False  # tracebacks of expected errors too


PIPE_CLOSED = 141  # the exit code where who read the output went away: `… | head`
_KEYWORD = inspect.Parameter.KEYWORD_ONLY
_USUAL = Manner()
_manner: ContextVar[Manner] = ContextVar("manner", default=_USUAL)
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be done, and do nothing.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
_COMMON: dict[str, Any] = {
    "json": Annotated[bool, typer.Option("--json", help="Print JSON: one object, or a list.")],
    "verbose": Annotated[bool, typer.Option("--verbose", "-v", help="Print log lines of INFO too.")],
    "debug": Annotated[bool, typer.Option("--debug", help="Print the traceback of an error.")],
}


def manner() -> Manner:
    """Return how this run speaks."""
    return _manner.get()


def begin(**manners: bool) -> None:
    """Begin a run: nothing of an earlier one in this process stays in force."""
    _manner.set(Manner(**manners))


class Group(typer.Typer):
    """A group of commands; each takes the common options besides its own."""

    def __init__(self, help: str, completion: bool = False) -> None:
        """Make an empty group; ``completion`` adds the options that install a shell's completion."""
        super().__init__(
            help=help, no_args_is_help=True, add_completion=completion, rich_markup_mode=None,
            pretty_exceptions_enable=False,
        )  # fmt: skip

    def command(self, name: str | None = None, **about: Any) -> Callable[[Any], Any]:
        """Register a function as a command; it does not see the common options: ``manner()`` tells them."""
        register = super().command(name, **about)

        def registered(function: Any) -> Any:
            register(_with_common(function))
            return function

        return registered


def _with_common(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def run(**options: Any) -> Any:
        said = {name: options.pop(name) for name in _COMMON}
        _manner.set(replace(manner(), **{name: True for name, value in said.items() if value}))
        quiet_down()
        try:
            function(**options)
            sys.stdout.flush()
        except BrokenPipeError as error:
            _let_go()
            raise typer.Exit(PIPE_CLOSED) from error

    signature = inspect.signature(function, eval_str=True)
    common = [inspect.Parameter(name, _KEYWORD, default=False, annotation=kind) for name, kind in _COMMON.items()]
    run.__signature__ = signature.replace(parameters=[*signature.parameters.values(), *common])  # type: ignore[attr-defined]  # typer reads it
    run.__annotations__ = {**function.__annotations__, **_COMMON}
    return run


def _let_go() -> None:
    """Let what is still unwritten go nowhere: Python would fail on it once more while it ends."""
    with suppress(OSError, ValueError):  # no file: a test's own stream
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def quiet_down() -> None:
    """Let only warnings and errors of the hub's log through, unless more was asked for."""
    import logging

    root = logging.getLogger()
    root.setLevel(logging.INFO if manner().verbose else max(root.level, logging.WARNING))
