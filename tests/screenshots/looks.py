"""The windows that pictures are taken in, and the taking."""

from pathlib import Path

from playwright.sync_api import FloatRect, Locator, Page

from tests.browser.pages import PHONE
from tests.screenshots.small import shrink

WIDE = {"viewport": {"width": 1280, "height": 1050}}
# By what the names of the files end in.
LOOKS = {
    "": WIDE,
    "-dark": WIDE | {"color_scheme": "dark"},
    "-phone": PHONE | {"viewport": {"width": 360, "height": 900}},
}
# So high that the bar with the buttons, which keeps to the bottom, covers nothing.
HIGH = {"viewport": {"width": 1100, "height": 2000}}
BAR = 72  # pixels
LIMIT = 120 * 1024  # bytes: a page of the docs loads several


def shot(part: Locator, path: Path) -> Path:
    """Take a picture of a part of the page, with no cursor in it."""
    _ready(part)
    part.screenshot(path=path, animations="disabled")
    return _kept(path)


def window_shot(part: Locator, path: Path, bar: int = BAR, last: Locator | None = None) -> Path:
    """Take a picture of what the window shows of a part: above the bar with the buttons, and down to ``last``."""
    _ready(part)
    part.page.screenshot(path=path, animations="disabled", clip=_in_window(part, bar, last))
    return _kept(path)


def tall(page: Page) -> Page:
    """Make the window so high that all of the page is in it: the bar with the buttons then covers nothing."""
    size = page.viewport_size
    assert size
    page.set_viewport_size({"width": size["width"], "height": 4000})
    return page


def _ready(part: Locator) -> None:
    part.page.evaluate("document.activeElement.blur()")


def _kept(path: Path) -> Path:
    shrink(path)
    assert path.stat().st_size < LIMIT, f"{path.name} is larger than {LIMIT} bytes"
    return path


def _in_window(part: Locator, bar: int, last: Locator | None) -> FloatRect:
    box, end, window = part.bounding_box(), (last or part).bounding_box(), part.page.viewport_size
    assert box
    assert end
    assert window
    left, top = max(0, box["x"]), max(0, box["y"])
    right, bottom = min(box["x"] + box["width"], window["width"]), min(end["y"] + end["height"], window["height"] - bar)
    return {"x": left, "y": top, "width": right - left, "height": bottom - top}
