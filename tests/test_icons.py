"""Each icon that a page names is in the hub's own cut of the font: else its name would stand there."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import unfold

pytestmark = pytest.mark.databaseless

ROOT = Path(__file__).resolve().parent.parent
FONTS = ROOT / "terra_hub/static/hub/fonts"
UNFOLD = Path(unfold.__path__[0]) / "templates"
# Unfold's names for glyphs that have another name today; the font knows both.
ALIASES = {"file_upload"}
_BUILDERS = {"Chip": 1, "Button": 3, "Empty": 0, "_item": 1, "icon": 0, "_Kind": 1, "Hit": 2}  # where the icon stands


def in_templates() -> Iterator[str]:
    for folder in (ROOT / "templates", UNFOLD):
        for page in folder.rglob("*.html"):
            text = page.read_text()
            yield from re.findall(r'"([a-z0-9_]+)"\|icon', text)
            yield from re.findall(r"material-symbols-outlined[^>]*>\s*([a-z0-9_]+)\s*<", text)


def in_code() -> Iterator[str]:
    for package in ("terra_hub", "destinations", "webhooks"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _BUILDERS:
                    at = _BUILDERS[node.func.id]
                    named = [word.value for word in node.keywords if word.arg == "icon"]
                    found = named or node.args[at : at + 1]
                    yield from (str(one.value) for one in found if isinstance(one, ast.Constant))
                if isinstance(node, ast.Dict):  # the sidebar's own entries
                    pairs = zip(node.keys, node.values, strict=True)
                    for key, value in pairs:
                        if isinstance(key, ast.Constant) and key.value == "icon" and isinstance(value, ast.Constant):
                            yield str(value.value)


def test_every_icon_is_in_the_font() -> None:
    held = set((FONTS / "icons.txt").read_text().split())
    named = {name for name in (*in_templates(), *in_code()) if name}

    assert len(named) > 40
    assert sorted(named - held - ALIASES) == [], "add them to icons.txt and run scripts/fonts"


def test_the_fonts_are_small_and_have_their_licences() -> None:
    assert sum(path.stat().st_size for path in FONTS.glob("*.woff2")) < 100_000
    assert {"LICENSE-Inter", "LICENSE-Material-Symbols"} <= {path.name for path in FONTS.iterdir()}
