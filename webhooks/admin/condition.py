"""How a destination is, by what its row says and by what became of its deliveries: a chip, and one sentence."""

from datetime import datetime

from django.db.models import OuterRef, QuerySet, Subquery
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from destinations.models import Destination
from destinations.notices import WARN_AT
from destinations.shown import ago, clock, percent, relative
from destinations.states import CREDENTIALS_REJECTED, HELD, UNTESTED, State, state_of
from destinations.texts import visible
from destinations.troubles import login_refused, trouble_of
from webhooks.models import Delivery, DeliveryStatus
from webhooks.stats import Summary

Clause = str | SafeString


def with_last_code(rows: QuerySet[Destination]) -> QuerySet[Destination]:
    """Return destinations with ``last_code``, the error of the newest delivery that failed: one index probe each."""
    failed = Delivery.objects.filter(
        destination=OuterRef("pk"), status__in=[DeliveryStatus.PENDING, DeliveryStatus.DEAD]
    ).exclude(last_error_code="")
    return rows.annotate(last_code=Subquery(failed.order_by("-id").values("last_error_code")[:1]))


def condition_of(row: Destination, now: datetime | None = None) -> State:
    """Return how a destination is; ``row`` comes from ``with_last_code``."""
    now = now or timezone.now()
    state = state_of(row, now)
    if row.active and not row.paused and row.failing_since and login_refused(row.type, _code(row)):
        return State(CREDENTIALS_REJECTED, f"{state.sentence} The other side refuses its credentials ({_code(row)}).")
    return state


def _code(row: Destination) -> str:
    return getattr(row, "last_code", None) or ""


# --- the sentence ----------------------------------------------------------------------------
def headline(row: Destination, about: Summary, now: datetime | None = None) -> SafeString:
    """Return whether it is fine, in one sentence: ``99.2 % delivered in 24 h; 14 waiting, …; failing since ….``"""
    now = now or timezone.now()
    clauses = [
        *_stopped(row), _rate(about), _queue(row, about, now), *_trouble(row, now), *_unproven(row, now),
        *_last_success(about, now),
    ]  # fmt: skip
    first, *others = clauses  # the first one is plain text
    return format_html("{}{}{}.", first[0].upper(), first[1:], format_html_join("", "; {}", ((one,) for one in others)))


def _stopped(row: Destination) -> list[Clause]:
    if not row.active:
        return ["disabled, so new events get no delivery here"]
    return ["paused, so deliveries collect and none is sent"] if row.paused else []


def _rate(about: Summary) -> Clause:
    return "nothing was tried in 24 h" if about.success is None else f"{percent(about.success)} delivered in 24 h"


def waiting(about: Summary) -> str:
    """Return how many deliveries wait: ``14``, ``1,000+``, ``none``."""
    return f"{about.waiting:,}{'+' if about.waiting_capped else ''}" if about.waiting else "none"


def _queue(row: Destination, about: Summary, now: datetime) -> Clause:
    if not about.waiting:
        return "nothing waiting"
    count = f"{waiting(about)} waiting"
    if not row.active:
        return f"{count}, kept until it is enabled again"
    if row.paused:
        return f"{count}, kept until you resume"
    if row.paused_until and row.paused_until > now:
        return count  # until when, another clause says
    return _next_try(count, about, now)


def _next_try(count: str, about: Summary, now: datetime) -> Clause:
    due, following = about.oldest_due, about.next_try_at
    if due and due <= now:
        return format_html("{}, the oldest due since {} ({})", count, clock(due, now), ago(due, now))
    if following and following > now:
        return format_html("{}, next try {} ({})", count, clock(following, now), ago(following, now))
    return f"{count}, being tried now"


def _trouble(row: Destination, now: datetime) -> list[Clause]:
    found: list[Clause] = []
    if row.failing_since and row.active:
        trouble = trouble_of(row.type, _code(row))
        suffix = f" with {visible(trouble)}" if trouble else ""
        found.append(format_html("failing since {}{}", clock(row.failing_since, now), suffix))
    if row.active and not row.paused and row.paused_until and row.paused_until > now:
        why = HELD.get(row.pause_reason, row.pause_reason or "no reason was noted")
        until = row.paused_until
        found.append(format_html("held back until {} ({}): {}", clock(until, now), ago(until, now), visible(why)))
    return found


def _unproven(row: Destination, now: datetime) -> list[Clause]:
    if row.active and not row.paused and row.check_passed is False:
        return ["its last check failed"]
    return ["untested as it is set up now"] if condition_of(row, now).chip == UNTESTED else []


def _last_success(about: Summary, now: datetime) -> list[Clause]:
    last = about.last_success_at
    if last:
        return [format_html("last success {} ({})", clock(last, now), ago(last, now))]
    return ["no success yet"] if about.success is not None else []


# --- nearness of being disabled ----------------------------------------------------------------
def disabled_soon(row: Destination, now: datetime | None = None) -> str:
    """Return how near a failing destination is to being disabled, in words; ``""`` where that is not near.

    It is told from the share on at which the first warning goes out.
    """
    now = now or timezone.now()
    if not (row.active and row.failing_since and row.disable_after_hours):
        return ""
    limit_s, passed_s = row.disable_after_hours * 3600, (now - row.failing_since).total_seconds()
    if passed_s < limit_s * min(WARN_AT) / 100:
        return ""
    share = f"{min(int(passed_s / limit_s * 100), 100)} % of {row.disable_after_hours} h"
    if passed_s >= limit_s:
        return f"It is disabled at the next failure unless a delivery succeeds: {share}."
    ends = datetime.fromtimestamp(row.failing_since.timestamp() + limit_s, tz=row.failing_since.tzinfo)
    return f"Disabled {relative(ends, now)} unless a delivery succeeds: {share}."
