"""What the project says of itself is true: settings are documented, links lead somewhere, files keep their limits."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from destinations.registry import type_names
from destinations.reserved import HUB

pytestmark = pytest.mark.databaseless

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("terra_hub", "destinations", "webhooks")


def sources() -> Iterator[Path]:
    for package in PACKAGES:
        yield from (path for path in (ROOT / package).rglob("*.py") if "migrations" not in path.parts)


def test_every_setting_from_the_environment_is_in_the_readmes_table() -> None:
    read = re.findall(r'env\.\w+\(\s*"([A-Z0-9_]+)"', (ROOT / "terra_hub/settings.py").read_text())
    table = (ROOT / "README.md").read_text()
    assert len(read) > 20
    assert [name for name in read if f"`{name}`" not in table] == []


def test_no_document_may_send_a_setting_of_the_readmes_table_to_a_destination() -> None:
    rows = [line.split("|")[1] for line in (ROOT / "README.md").read_text().splitlines() if line.startswith("| `")]
    assert {name for row in rows for name in re.findall(r"`([A-Z][A-Z0-9_]+)`", row)} == HUB


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


def pictures() -> Iterator[tuple[Path, str, Path]]:
    """Yield page, alternative text and file of every picture in the docs."""
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for text, target in shown_in(page.read_text()):
            yield page, text, (page.parent / target).resolve()


def shown_in(markdown: str) -> Iterator[tuple[str, str]]:
    """Yield alternative text and target: of Markdown's own pictures, and of those with a dark variant."""
    yield from re.findall(r"!\[(.*?)\]\((.+?)\)", markdown)
    for block in re.findall(r"<picture>(.*?)</picture>", markdown, re.DOTALL):
        [text] = re.findall(r'alt="(.*?)"', block)
        yield from ((text, target) for target in re.findall(r'src(?:set)?="(.+?)"', block))


def test_pictures_are_there_are_small_are_described_and_are_used() -> None:
    taken = set((ROOT / "docs/screenshots").glob("*"))
    assert taken == {file for _, _, file in pictures()}
    assert [file.name for file in taken if file.stat().st_size >= 120 * 1024] == []
    assert [file.name for _, text, file in pictures() if len(text) < 20] == []


def test_the_readme_leads_to_every_page() -> None:
    readme = (ROOT / "README.md").read_text()
    pages = [str(page.relative_to(ROOT)) for page in (ROOT / "docs").rglob("*.md")]
    assert [page for page in sorted(pages) if page not in readme] == []


def test_every_type_has_a_page_with_its_form_and_its_set_up_text() -> None:
    shown = {(page.stem, file.name) for page, _, file in pictures()}
    wanted = {(name, f"{name}-{part}.png") for name in type_names() for part in ("form", "set-up")}
    assert sorted(wanted - shown) == []


def test_nothing_names_a_path_of_a_developers_machine() -> None:
    found = [str(path) for path in sources() if re.search(r"/home/|/root/|/tmp/\w", path.read_text())]
    assert found == []
