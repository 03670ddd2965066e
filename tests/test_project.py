"""What the project says of itself is true: settings are documented, links lead somewhere, files keep their limits."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.databaseless

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("terra_hub", "destinations", "webhooks")


def sources() -> Iterator[Path]:
    for package in PACKAGES:
        yield from (path for path in (ROOT / package).rglob("*.py") if "migrations" not in path.parts)


def test_every_setting_from_the_environment_is_in_the_readmes_table() -> None:
    read = re.findall(r'env\.\w+\(\s*"([A-Z_]+)"', (ROOT / "terra_hub/settings.py").read_text())
    table = (ROOT / "README.md").read_text()
    assert len(read) > 20
    assert [name for name in read if f"`{name}`" not in table] == []


def long_functions(path: Path) -> list[str]:
    defined = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)]
    return [f"{path}:{node.name}" for node in defined if (node.end_lineno or 0) - node.lineno >= 60]


def test_files_stay_under_400_lines_and_functions_under_60() -> None:
    assert [str(path) for path in sources() if len(path.read_text().splitlines()) > 400] == []
    assert [name for path in sources() for name in long_functions(path)] == []


def test_every_file_that_the_docs_name_is_there() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "benchmarks/README.md"]
    named = {
        (page.name, name)
        for page in pages
        for name in re.findall(r"\b((?:docs|tests|benchmarks)/[\w/.-]+\.\w+)", page.read_text())
    }
    assert named
    assert [pair for pair in sorted(named) if not (ROOT / pair[1]).exists()] == []


def test_nothing_names_a_path_of_a_developers_machine() -> None:
    found = [str(path) for path in sources() if re.search(r"/home/|/root/|/tmp/\w", path.read_text())]
    assert found == []
