"""The table of results in README.md, made of the newest result of each benchmark."""

import json
from pathlib import Path
from typing import Any

from benchmarks.measuring import RESULTS, lines_of

README = Path(__file__).parent / "README.md"
BEGIN, END = "<!-- results -->", "<!-- end of results -->"
HEAD = ("| benchmark | case | figure | median | target | reached |", "|---|---|---|---|---|---|")


def newest() -> list[dict[str, Any]]:
    """Return the newest result of each benchmark."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(RESULTS.glob("*.json")):
        result = json.loads(path.read_text())
        if result["date"] >= found.get(result["benchmark"], result)["date"]:
            found[result["benchmark"]] = result
    return [found[name] for name in sorted(found)]


def write() -> None:
    """Put the table between its two marks in README.md."""
    before, _, rest = README.read_text().partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise ValueError(f"{README.name} lacks the marks {BEGIN} and {END}.")
    README.write_text(f"{before}{BEGIN}\n{text()}\n{END}{after}")


def text() -> str:
    """Return the table, and what it was measured on."""
    results = newest()
    rows = [line for result in results for line in lines_of(result)]
    notes = [_measured_on(result) for result in results]
    return "\n".join([*HEAD, *rows, "", *dict.fromkeys(notes)])


def _measured_on(result: dict[str, Any]) -> str:
    held = result["machine"]
    return (
        f"- {result['benchmark']}: {result['date'][:10]}, commit {result['commit']}, {result['runs']} runs, "
        f"{held['cpu']}, {held['cores']} cores, {held['memory_gb']} GB, Linux {held['kernel']}, "
        f"Python {held['python']}, PostgreSQL {held['postgresql']}, SQLite {held['sqlite']}; "
        f"a flush to disk took {held['fsync_ms']} ms, load before {held['load_before']}."
    )
