"""Every page is usable with a keyboard, a screen reader, and weak eyes, as far as axe-core can tell."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Operator
from tests.browser.pages import PHONE, check_window, every_page
from tests.hub import Hub
from tests.services import provide
from tests.services.axe import axe_script

pytestmark = pytest.mark.databaseless

RULES = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "resultTypes": ["violations"],
    "preload": False,  # only a rule for sound that plays by itself needs it, and it takes a third of the time
}
GRAVE = ("serious", "critical")
WIDE, NARROW = {"width": 1280, "height": 900}, PHONE["viewport"]


def findings(page: Page) -> list[str]:
    """Return what axe-core finds serious or critical on a page as it stands."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(provide(axe_script))  # not a script of the page: the policy lets none in
    found: list[dict[str, Any]] = page.evaluate("rules => axe.run(document, rules)", RULES)["violations"]
    return [
        f"{one['id']}: {node['html'][:160]} {node['any'][0]['message'] if node['any'] else ''}"
        for one in found
        if one["impact"] in GRAVE
        for node in one["nodes"][:3]
    ]


def looks(page: Page) -> dict[str, list[str]]:
    """Return the findings in dark on a phone's window, and in light on a wide one, as which the page stays."""
    found = {}
    for name, scheme, size in (("dark, on a phone", "dark", NARROW), ("light", "light", WIDE)):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
        page.set_viewport_size(size)
        page.wait_for_function(
            "dark => document.documentElement.classList.contains('dark') === dark", arg=scheme == "dark"
        )
        page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        if problems := findings(page):
            found[name] = problems
    return found


def test_no_page_has_a_serious_finding_and_each_keeps_to_the_policy_and_to_the_window(
    operator: Callable[..., Operator], hub: Hub
) -> None:
    ana = operator()
    found = {}
    for path in every_page(hub):
        ana.page.emulate_media(color_scheme="dark", reduced_motion="reduce")
        page = ana.open(path)
        check_window(page, path)
        expect(page.locator("html.dark")).to_have_count(1)
        if problems := looks(page):
            found[path] = problems
        expect(page.locator("html.dark")).to_have_count(0)
    assert not found, json.dumps(found, indent=1)
    assert ana.complaints == []
