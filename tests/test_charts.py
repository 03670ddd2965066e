"""Charts say in words what they show in shapes, and show nothing that is not so."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.admin_support import Page
from webhooks import charts
from webhooks.charts import Series
from webhooks.stats import Span

pytestmark = pytest.mark.databaseless

NOW = datetime(2026, 3, 12, 14, 37, 12, tzinfo=UTC)
HOSTILE = '"><script>alert(1)</script>'


class Shown:
    """A piece of a page, read as a page."""

    status_code, headers = 200, {}

    def __init__(self, piece: Any) -> None:
        self.content = str(piece).encode()


def read(piece: Any) -> Page:
    return Page(Shown(piece))


def bars(*series: Series) -> Page:
    return read(charts.bars("Attempts", Span.DAY.starts(NOW), series))


def of(kind: str, *last: int, name: str = "Delivered") -> Series:
    return Series(name, kind, [0] * (24 - len(last)) + list(last))


def test_bars_have_their_numbers_as_words_and_as_a_table() -> None:
    page = bars(of("good", 1200, 3), of("bad", 0, 7, name="Failed"))

    (label,) = [svg["aria-label"] for svg in page.find("svg", role="img")]
    assert label == "Attempts. Delivered: 1,203; Failed: 7"
    assert len(page.find("tr")) == 25
    assert "2026-03-12 13:00:00 UTC 1,200 0 2026-03-12 14:00:00 UTC 3 7" in page.text
    moments = {time["datetime"] for time in page.find("time")}
    assert len(moments) == 24
    assert "2026-03-11T15:00:00+00:00" in moments


def test_a_bar_is_as_high_as_its_number() -> None:
    drawn = str(charts.bars("A", Span.DAY.starts(NOW), [of("good", 5, 10), of("bad", 0, 10)]))
    # one path for each kind: from the upper left corner of each bar, over its width and down its height
    shapes = {kind: re.findall(r"M\S+ (\S+?)h[\d.]+v([\d.]+)h", path) for kind, path in _paths(drawn)}
    assert shapes == {"good": [("90", "30"), ("60", "60")], "bad": [("0", "60")]}


def _paths(drawn: str) -> list[tuple[str, str]]:
    return re.findall(r'<path class="hub-fill-(\w+)" fill="[^"]+" d="([^"]+)"', drawn)


def test_series_differ_by_more_than_their_colour() -> None:
    page = bars(of("good", 1), of("bad", 1), of("worse", 1))
    fills = {one["fill"] for tag in ("path", "rect") for one in page.find(tag) if one.get("fill")}
    ids = [one["id"] for one in page.find("pattern")]
    assert len(ids) == len(set(ids)) == 4  # two in the drawing, two in the legend
    assert fills == {"currentColor", *(f"url(#{name})" for name in ids)}


def test_lines_have_a_gap_where_nothing_was_measured() -> None:
    values = [None] * 20 + [10, 20, None, 40]
    page = read(charts.lines("Durations", Span.DAY.starts(NOW), [Series("p95", "p95", values)]))
    (path,) = [one["d"] for one in page.find("path", **{"class": "hub-line-p95"}) if "L" in str(one["d"])]
    assert str(path).count("M") == 2
    assert "p95: 40 ms" in page.text
    assert page.find("svg", role="img")[0]["aria-label"] == "Durations. p95 last 40 ms"


def test_nothing_is_drawn_of_nothing() -> None:
    assert _paths(str(charts.bars("A", Span.DAY.starts(NOW), [of("good")]))) == []
    assert "nothing in this time" in str(charts.sparkline([0] * 24, "Deliveries"))


def test_a_sparkline_says_what_it_shows() -> None:
    page = read(charts.sparkline([1, 5, 2], "Deliveries per hour", [0, 1, 0]))
    assert page.find("svg", role="img")[0]["aria-label"] == (
        "Deliveries per hour: 8 in all, 1 not; most in one step 5, in the last one 2"
    )


def test_a_name_is_text() -> None:
    for piece in (
        charts.sparkline([1], HOSTILE),
        charts.bars(HOSTILE, Span.DAY.starts(NOW), [of("good", 1, name=HOSTILE)]),
        charts.lines(HOSTILE, Span.DAY.starts(NOW), [of("p50", 1, name=HOSTILE)]),
    ):
        assert "<script" not in str(piece)
