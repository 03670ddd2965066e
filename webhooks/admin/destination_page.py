"""What a destination's page shows of its deliveries: the sentence, figures, charts, failures, notices."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString

from destinations.models import Destination
from destinations.registry import adapter_class
from destinations.shown import clock, duration, percent
from destinations.troubles import trouble_of
from webhooks import charts, stats
from webhooks.admin.condition import condition_of, disabled_soon, headline, waiting
from webhooks.admin.consequences import saving
from webhooks.admin.secrets_told import told_of_secrets

NOTICES_SHOWN = 3
NOTICES_FOR = timedelta(days=7)
MAY_REPLAY = "webhooks.add_replay"
MAY_SEE_DELIVERIES = "webhooks.view_delivery"


def about_page(request: HttpRequest, row: Destination, about: stats.Summary) -> dict[str, Any]:
    """Return what the page's templates show beside what the control plane knows."""
    now = timezone.now()
    return {
        "state": condition_of(row, now),
        "type_icon": adapter_class(row.type).icon,
        "headline": headline(row, about, now),
        "reason": "" if row.active else row.disabled_reason,
        "disabled_soon": disabled_soon(row, now),
        "notices": row.notices.filter(created_at__gt=now - NOTICES_FOR)[:NOTICES_SHOWN],
        "figures": _figures(about),
        "secrets": told_of_secrets(row, about.last_success_at),
        "about": about,
        "saving": saving(about),
        **_charts(request, row),
        **_failures(request, row, now),
    }


def _figures(about: stats.Summary) -> list[tuple[str, str]]:
    share = "–" if about.success is None else percent(about.success)
    quantiles = [(f"p{number}", duration(getattr(about, f"p{number}"))) for number in (50, 95, 99)]
    return [("Delivered in 24 h", share), *quantiles, ("Waiting", waiting(about))]


# --- charts ----------------------------------------------------------------------------------
def _charts(request: HttpRequest, row: Destination) -> dict[str, Any]:
    span = stats.Span.named(request.GET.get("span", ""))
    return {
        "spans": [(one.label, f"Last {one.label}", one is span) for one in stats.Span],
        "outcomes_chart": _outcomes(stats.delivered_series(span, row.pk)),
        "durations_chart": _durations(stats.duration_series(row.pk, span)),
    }


def _outcomes(points: Sequence[stats.DeliveredPoint]) -> SafeString:
    kinds = (("delivered", "good"), ("failed", "bad"), ("rejected", "worse"))
    series = [charts.Series(name.capitalize(), kind, [getattr(one, name) for one in points]) for name, kind in kinds]
    return charts.bars("Outcomes of tries", [one.starts_at for one in points], series)


def _durations(points: Sequence[stats.DurationPoint]) -> SafeString:
    series = [charts.Series(name, name, [getattr(one, name) for one in points]) for name in ("p50", "p95", "p99")]
    return charts.lines("Response times", [one.starts_at for one in points], series)


# --- failures ---------------------------------------------------------------------------------
def _failures(request: HttpRequest, row: Destination, now: datetime) -> dict[str, Any]:
    may_see, may_replay = (request.user.has_perm(name) for name in (MAY_SEE_DELIVERIES, MAY_REPLAY))
    if not may_see:
        return {"may_see_deliveries": False}
    groups = [_group(row, group, may_replay) for group in stats.failures(row.pk)]
    return {"may_see_deliveries": True, "failures": groups, "replays": _replays(row, now) if may_replay else []}


def _group(row: Destination, group: stats.FailureGroup, may_replay: bool) -> Mapping[str, Any]:
    where = {"destination": row.pk, "error_code": group.code}
    return {
        "group": group,
        "trouble": trouble_of(row.type, group.code),
        "count": f"{group.count:,}{'+' if group.capped else ''}",
        "list_url": f"{reverse('admin:webhooks_delivery_changelist')}?{urlencode(where)}",
        "replay_url": replay_url(kind="failed", **where) if may_replay else "",
    }


def _replays(row: Destination, now: datetime) -> list[tuple[str, Any, str]]:
    """Return the replays that the page offers: words, a moment that belongs to them, and the dialog's address."""
    since = row.failing_since
    moment = {"since": since.isoformat()} if since else {}
    return [
        ("Replay what failed since" if since else "Replay what failed", clock(since, now) if since else "",
         replay_url(kind="failed", destination=row.pk, **moment)),
        ("Send what is missing here", "", replay_url(kind="missing", destination=row.pk)),
    ]  # fmt: skip


def replay_url(**about: Any) -> str:
    """Return the address of the dialog that starts a replay."""
    return f"{reverse('admin:webhooks_replay_add')}?{urlencode(about)}"
