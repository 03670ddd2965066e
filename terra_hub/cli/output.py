"""What commands print: tables for people and JSON for programs on standard output, words on standard error.

On a terminal a table has a rule below its headings, and where it does not fit, each row becomes a block of lines.
Elsewhere it is columns of plain text, one row a line. No value is ever cut.
"""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TextIO

from django.core.serializers.json import DjangoJSONEncoder

from destinations.texts import visible
from terra_hub.cli.base import manner

NOTHING = "–"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: its heading, and what it says of a row."""

    heading: str
    of: Callable[[Any], Any]
    whole: bool = False  # never broken over lines: an id, a moment


def say(*lines: str) -> None:
    """Print words for people on standard error, so that standard output holds the result alone."""
    for line in lines:
        print(_wrapped(visible(line), sys.stderr), file=sys.stderr)  # noqa: T201  # this is where the command line prints


def print_line(text: str) -> None:
    """Print one line of the result on standard output: a secret that is shown once, a URL."""
    print(text)  # noqa: T201  # this is where the command line prints


def print_words(text: str) -> None:
    """Print words of the result on standard output: on a terminal broken between words."""
    print_line(_wrapped(visible(text), sys.stdout))


def print_json(value: Any) -> None:
    """Print a value as JSON on standard output."""
    print_line(json.dumps(value, cls=DjangoJSONEncoder, indent=2))


def show_rows(rows: Iterable[Any], columns: Sequence[Column], as_json: Callable[[Any], Any], empty: str) -> None:
    """Print rows: a table, or with ``--json`` a list of what ``as_json`` makes of each.

    ``empty`` is said, on standard error, where there is no row.
    """
    rows = list(rows)
    if manner().json:
        print_json([as_json(row) for row in rows])
    elif rows:
        _print_table([column.heading for column in columns], [_cells(row, columns) for row in rows], columns)
    else:
        say(empty)


def show_one(value: Any, facts: Mapping[str, Any]) -> None:
    """Print one thing: its facts, a line or more each; or with ``--json`` the value."""
    if manner().json:
        print_json(value)
    else:
        _print_facts({label: _text(fact) for label, fact in facts.items()})


def show_result(value: Any, text: str) -> None:
    """Print the one text that a command is for, alone on standard output; or with ``--json`` the value."""
    if manner().json:
        print_json(value)
    else:
        print_line(text)


def show_done(value: Any) -> None:
    """Print with ``--json`` what was done; people are told on standard error."""
    if manner().json:
        print_json(value)


def on_terminal(stream: TextIO) -> bool:
    """Tell whether a stream is a terminal."""
    return stream.isatty()


@contextmanager
def progress(title: str, total: int | None = None) -> Iterator["Progressed"]:
    """Show how far long work is, on standard error and only where that is a terminal.

    Yields what is called with how much is done by now, and perhaps a few words about it. ``total`` of ``None``: not
    known.
    """
    if manner().json or not on_terminal(sys.stderr):
        yield Progressed()
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    parts = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()]
    with Progress(*parts, TextColumn("{task.fields[words]}"), console=_console(sys.stderr)) as bar:
        task = bar.add_task(title, total=total, words="")
        yield Progressed(lambda done, words: bar.update(task, completed=done, words=words))


class Progressed:
    """Tells a progress bar, where there is one, how far the work is."""

    def __init__(self, update: Callable[[int, str], None] | None = None) -> None:
        """Take what moves the bar; ``None``: there is none."""
        self._update = update

    def __call__(self, done: int, words: str = "") -> None:
        """Say that ``done`` of the total are done."""
        if self._update:
            self._update(done, visible(words))


# --- how it is laid out -------------------------------------------------------------------------
def _cells(row: Any, columns: Sequence[Column]) -> list[str]:
    return [_text(column.of(row)) for column in columns]


def _text(value: Any) -> str:
    """Return a value as text, in which nothing that a stranger wrote stays hidden or moves the cursor."""
    if value is None or value == "" or value == []:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    return visible(", ".join(map(str, value)) if isinstance(value, list | tuple) else value)


def _wrapped(text: str, stream: TextIO) -> str:
    """Break lines between words where a terminal would break them anywhere; an id, a path or a URL stays whole."""
    if not on_terminal(stream):
        return text
    width = _console(stream).width
    return "\n".join(_wrapped_line(line, width) for line in text.split("\n"))


def _wrapped_line(line: str, width: int) -> str:
    import textwrap

    indent = " " * (len(line) - len(line.lstrip()) + 2)
    return textwrap.fill(
        line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False, tabsize=4
    )  # fmt: skip


def _print_table(headings: Sequence[str], rows: Sequence[Sequence[str]], columns: Sequence[Column]) -> None:
    if not on_terminal(sys.stdout):
        _print_plain(headings, rows)
        return
    console, table = _console(sys.stdout), _table(headings, rows, columns)
    if _narrowest(rows, columns) > console.width:
        for row in rows:
            _print_facts(dict(zip(headings, row, strict=True)))
            print_line("")
    else:
        console.print(table)


def _print_plain(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    lines = [[heading.upper() for heading in headings], *([_one_line(cell) for cell in row] for row in rows)]
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    for line in lines:
        print_line("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _one_line(text: str) -> str:
    return " ".join(text.split("\n"))


def _print_facts(facts: Mapping[str, str]) -> None:
    width = max(map(len, facts), default=0) + 2
    if not on_terminal(sys.stdout):
        for label, text in facts.items():
            print_line(f"{label + ':':<{width}}{_indented(text, width)}")
        return
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for label, text in facts.items():
        grid.add_row(Text(f"{label}:", style="bold"), Text(text))
    _console(sys.stdout).print(grid)


def _indented(text: str, width: int) -> str:
    return text.replace("\n", "\n" + " " * width)


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]], columns: Sequence[Column]) -> Any:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    for heading, column in zip(headings, columns, strict=True):
        table.add_column(heading, no_wrap=column.whole, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    return table


_READABLE = 12  # characters that a column of words needs


def _narrowest(rows: Sequence[Sequence[str]], columns: Sequence[Column]) -> int:
    """Return the width below which a table would break what must stay whole, or squeeze words to letters."""
    longest = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    needs = [
        max(len(column.heading), width if column.whole else min(width, _READABLE))
        for column, width in zip(columns, longest, strict=True)
    ]
    return sum(needs) + 2 * (len(columns) - 1)


def _console(stream: TextIO) -> Any:
    """Return a console on a stream, which takes no text for markup and lets the caller see a closed pipe."""
    from rich.console import Console

    class Plain(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    return Plain(file=stream, markup=False, emoji=False, highlight=False, soft_wrap=False)
