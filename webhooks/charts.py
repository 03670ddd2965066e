"""Charts as inline SVG, drawn by the server: no script, and the same numbers in words beside each.

The SVG has shapes only and stretches with the page; all text is HTML around it, so that it stays readable at
any width and times can be shown in the reader's own zone. Series differ by pattern and dash, not by colour
alone. Colours are in terra_hub/static/hub/charts.css.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate, count

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from destinations.shown import exact

WIDTH, HEIGHT = 600, 120  # of a chart's drawing, in its own units
SPARK_WIDTH, SPARK_HEIGHT = 96, 24
GAP = 0.2  # of a bar's width, between it and the next
TIMES_SHOWN = 4
_ids = count(1)  # a page's patterns need ids that differ


@dataclass(frozen=True, slots=True)
class Series:
    """One row of a chart: its name, its kind in charts.css, and a number for each time (``None``: nothing to say)."""

    name: str
    kind: str  # "good", "bad", "worse" for bars; "p50", "p95", "p99" for lines
    values: Sequence[int | None]

    @property
    def total(self) -> int:
        """Return the sum of the numbers."""
        return sum(value or 0 for value in self.values)


# --- a sparkline ---------------------------------------------------------------------------------
def sparkline(values: Sequence[int], label: str, bad: Sequence[int] = ()) -> SafeString:
    """Return small bars, one for each value; ``label`` says what they are. ``bad`` ones stand on top, hatched."""
    bad = bad or [0] * len(values)
    top = max((good + wrong for good, wrong in zip(values, bad, strict=True)), default=0)
    series = [Series("delivered", "good", values), Series("not delivered", "bad", bad)]
    return format_html(
        '<svg class="hub-spark" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">{}{}</svg>',
        SPARK_WIDTH, SPARK_HEIGHT, f"{label}: {_spark_words(values, bad)}",
        format_html('<line class="hub-axis" x1="0" x2="{0}" y1="{1}" y2="{1}"/>', SPARK_WIDTH, SPARK_HEIGHT),
        _stacks(series, top, SPARK_WIDTH, SPARK_HEIGHT),
    )  # fmt: skip


def _spark_words(values: Sequence[int], bad: Sequence[int]) -> str:
    if not any(values) and not any(bad):
        return "nothing in this time"
    wrong = f", {sum(bad):,} not" if any(bad) else ""
    return f"{sum(values):,} in all{wrong}; most in one step {max(values):,}, in the last one {values[-1]:,}"


# --- bars over time ------------------------------------------------------------------------------
def bars(title: str, starts: Sequence[datetime], series: Sequence[Series], unit: str = "") -> SafeString:
    """Return stacked bars over time, with a legend, axes, and the numbers as a table that can be opened."""
    top = max((sum(row) for row in _rows(series)), default=0)
    words = "; ".join(f"{one.name}: {one.total:,}" for one in series)
    keys = format_html_join("", "<li>{}{}: {}</li>", ((_swatch(one), one.name, f"{one.total:,}") for one in series))
    return _figure(title, words, keys, starts, series, top, _stacks(series, top, WIDTH, HEIGHT), unit)


def _rows(series: Sequence[Series]) -> list[list[int]]:
    return [[value or 0 for value in row] for row in zip(*(one.values for one in series), strict=True)]


def _stacks(series: Sequence[Series], top: int, width: int, height: int) -> SafeString:
    rows = _rows(series)
    if not top or not rows:
        return format_html("")
    number, step = next(_ids), width / len(rows)
    drawn: dict[str, list[str]] = {}
    for place, row in enumerate(rows):
        for one, value, upto in zip(series, row, accumulate(row), strict=True):
            if value:
                tall, top_y = max(value * height / top, 1), height - max(upto * height / top, 1)
                drawn.setdefault(one.kind, []).append(_bar(place * step, top_y, step * (1 - GAP), tall))
    # One path for all bars of a kind: a list of fifty sparklines stays small.
    paths = format_html_join(
        "",
        '<path class="hub-fill-{}" fill="{}" d="{}"/>',
        ((kind, _paint(kind, number), "".join(shapes)) for kind, shapes in drawn.items()),
    )
    return format_html("{}{}", _patterns(number, set(drawn)), paths)


def _bar(x: float, y: float, width: float, height: float) -> str:
    """Return a rectangle as part of a path's data."""
    return f"M{_r(x)} {_r(y)}h{_r(width)}v{_r(height)}h-{_r(width)}z"


def _paint(kind: str, number: int) -> str:
    return "currentColor" if kind == "good" else f"url(#hub-{kind}-{number})"


def _patterns(number: int, kinds: set[str]) -> SafeString:
    """Return hatchings: slanted for failures that may pass, crossed for those that do not."""
    lines = {"bad": "M-1 1 2 -2M0 6 6 0M5 7 7 5", "worse": "M0 0 6 6M0 6 6 0"}
    return format_html_join(
        "",
        '<pattern id="hub-{0}-{1}" class="hub-fill-{0}" width="6" height="6" patternUnits="userSpaceOnUse">'
        '<rect class="hub-hatch-ground" width="6" height="6"/><path class="hub-hatch" d="{2}"/></pattern>',
        ((kind, number, lines[kind]) for kind in sorted(kinds & lines.keys())),
    )


# --- lines over time -----------------------------------------------------------------------------
def lines(title: str, starts: Sequence[datetime], series: Sequence[Series], unit: str = "ms") -> SafeString:
    """Return a line for each series over time: solid, dashed, dotted; where it has nothing to say, it has a gap."""
    top = max((value or 0 for one in series for value in one.values), default=0)
    latest = [next((value for value in reversed(one.values) if value is not None), None) for one in series]
    said = [f"{value:,} {unit}".strip() if value is not None else "–" for value in latest]
    words = "; ".join(f"{one.name} last {text}" for one, text in zip(series, said, strict=True))
    pairs = zip(series, said, strict=True)
    keys = format_html_join("", "<li>{}{}: {}</li>", ((_stroke(one), one.name, text) for one, text in pairs))
    paths = format_html_join("", '<path class="hub-line-{}" d="{}"/>', ((one.kind, _path(one, top)) for one in series))
    return _figure(title, words, keys, starts, series, top, paths, unit)


def _path(one: Series, top: int) -> str:
    """Return the line through the middles of the steps; a point that stands alone is a short dash."""
    step = WIDTH / max(len(one.values), 1)
    drawn, pen_down = [], False
    for place, value in enumerate(one.values):
        if value is None:
            pen_down = False
            continue
        x, y = (place + 0.5) * step, HEIGHT - value * HEIGHT / max(top, 1)
        drawn.append(f"L{_r(x)} {_r(y)}" if pen_down else f"M{_r(x - step / 4)} {_r(y)}H{_r(x + step / 4)}")
        pen_down = True
    return "".join(drawn)


# --- what both have ------------------------------------------------------------------------------
def _figure(
    title: str, words: str, keys: SafeString, starts: Sequence[datetime], series: Sequence[Series], top: int,
    shapes: SafeString, unit: str,
) -> SafeString:  # fmt: skip
    return format_html(
        '<figure class="hub-chart"><figcaption>{}</figcaption><ul class="hub-legend">{}</ul>'
        '<div class="hub-plot"><div class="hub-scale" aria-hidden="true"><span>{}</span><span>0</span></div>'
        '<svg viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">{}{}</svg></div>'
        '<div class="hub-times" aria-hidden="true">{}</div>{}</figure>',
        title, keys, f"{top:,} {unit}".strip(), WIDTH, HEIGHT, f"{title}. {words}", _grid(), shapes,
        _times(starts), _table(title, starts, series, unit),
    )  # fmt: skip


def _grid() -> SafeString:
    return format_html_join(
        "", '<line class="hub-axis" x1="0" x2="{0}" y1="{1}" y2="{1}"/>', ((WIDTH, y) for y in (0, HEIGHT / 2, HEIGHT))
    )


def _times(starts: Sequence[datetime]) -> SafeString:
    """Return some of the times, evenly placed under what they stand for."""
    step = max(len(starts) // TIMES_SHOWN, 1)
    return format_html_join("", "{}", ((axis_time(start, starts),) for start in starts[::step][:TIMES_SHOWN]))


def axis_time(moment: datetime, starts: Sequence[datetime]) -> SafeString:
    """Return a time as an axis shows it, in UTC: the clock, and the day too where the axis is long."""
    days = len(starts) > 1 and (starts[-1] - starts[0]).total_seconds() > 36 * 3600
    form, kind = ("%d %b %H:%M", "axis-day") if days else ("%H:%M", "axis")
    return format_html(
        '<time datetime="{}" data-hub-time="{}">{}</time>', moment.isoformat(), kind, moment.strftime(form)
    )


def _table(title: str, starts: Sequence[datetime], series: Sequence[Series], unit: str) -> SafeString:
    """Return the numbers behind a chart, for whoever reads better than looks."""
    names = ((f"{one.name} ({unit})" if unit else one.name,) for one in series)
    rows = zip(starts, *(one.values for one in series), strict=True)
    return format_html(
        '<details class="hub-numbers"><summary>The numbers</summary><div class="hub-scroll" tabindex="0" role="region" '
        'aria-label="Numbers of: {}"><table class="hub-table"><thead><tr><th scope="col">From</th>{}</tr></thead>'
        "<tbody>{}</tbody></table></div></details>",
        title,
        format_html_join("", '<th scope="col">{}</th>', names),
        format_html_join("", "<tr>{}</tr>", ((_row(start, row),) for start, *row in rows)),
    )


def _row(start: datetime, row: Sequence[int | None]) -> SafeString:
    moment = format_html('<time datetime="{}" data-hub-time="exact">{}</time>', start.isoformat(), exact(start))
    cells = format_html_join("", "<td>{}</td>", (("–" if value is None else f"{value:,}",) for value in row))
    return format_html('<th scope="row">{}</th>{}', moment, cells)


def _swatch(one: Series) -> SafeString:
    number = next(_ids)
    return format_html(
        '<svg class="hub-swatch" viewBox="0 0 12 12" aria-hidden="true">{}<rect class="hub-fill-{}" fill="{}" '
        'width="12" height="12"/></svg>',
        _patterns(number, {one.kind}), one.kind, _paint(one.kind, number),
    )  # fmt: skip


def _stroke(one: Series) -> SafeString:
    return format_html(
        '<svg class="hub-swatch" viewBox="0 0 24 12" aria-hidden="true"><path class="hub-line-{}" d="M0 6H24"/></svg>',
        one.kind,
    )


def _r(number: float) -> str:
    return f"{number:.2f}".rstrip("0").rstrip(".")
