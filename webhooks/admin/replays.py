"""Replays in the admin: the dialog that starts one, the list of jobs, and the page of a job."""

from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString

from destinations.admin.base import OlderFilter, ReadOnlyAdmin, Rows
from destinations.admin.buttons import Button
from destinations.admin.empty import Empty
from destinations.services import Refused
from destinations.shown import chip, stranger, when
from webhooks.admin.replay_form import ReplayForm, values_in
from webhooks.admin.replay_words import CHIPS, describe, forecast_of, held_up_by, names_of, replay_state, what_of
from webhooks.keeping import replays
from webhooks.keeping.estimates import COUNTED, Estimate, estimate, warnings
from webhooks.keeping.forecast import forecast
from webhooks.keeping.progress import progress_of
from webhooks.keeping.selections import READS, Selection, bounded
from webhooks.models import Replay, ReplayKind, ReplayStatus

_CHANGE = "webhooks.change_replay"
_PAUSABLE = (ReplayStatus.RUNNING,)
_RESUMABLE = (ReplayStatus.PAUSED, ReplayStatus.STOPPED)
_MOST_DIGITS = 12
_WHAT = "hub_what"
MOST_CHOSEN_AT_ONCE = 100  # they travel in the dialog's address; a page of a list has 50
KINDS = (
    (ReplayKind.FAILED, "What failed", "Dead letters and deliveries that wait for a retry, of one destination."),
    (ReplayKind.MISSING, "What a destination never got", "Events from before it was made, or while it was disabled."),
    (ReplayKind.MATCHING, "Events that match a filter", "By time, type, user, source or what became of them."),
)


@admin.register(Replay)
class ReplayAdmin(ReadOnlyAdmin):
    """Jobs by which people have many events delivered again."""

    goes_on = True
    list_display = ("shown_id", "shown_status", "shown_what", "shown_progress", "shown_by", "shown_made")
    list_display_links = ("shown_id",)
    list_filter = (OlderFilter,)
    empty = Empty(
        "replay", "No replay yet.",
        "A replay has many events delivered again: what failed, what was missed, what matches.",
        "Start a replay", "webhooks_replay_add", "webhooks.add_replay",
    )  # fmt: skip
    parts: ClassVar[Mapping[str, str]] = {"top": "hub/replay.html"}
    buttons: ClassVar[tuple[Button, ...]] = (
        Button(
            "pause", "Pause", "Makes nothing more due; what is due already is still delivered.", "pause", _CHANGE,
            applies=lambda row: row.status in _PAUSABLE,
        ),
        Button(
            "resume", "Resume", "Goes on where it stopped.", "play_arrow", _CHANGE, main=True,
            applies=lambda row: row.status in _RESUMABLE,
        ),
        Button(
            "cancel", "Cancel", "Ends it. What waits goes back to what it was; what a worker has in hand may still "
            "be delivered.", "cancel", _CHANGE, applies=lambda row: row.status in (*_PAUSABLE, *_RESUMABLE),
        ),
    )  # fmt: skip

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Those who may start a replay."""
        return request.user.has_perm("webhooks.add_replay")

    # --- the list ---------------------------------------------------------------------------
    def get_queryset(self, request: HttpRequest) -> Rows:
        """Return jobs, the newest first."""
        rows: Rows = Replay.objects.all()
        return rows

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Return the list, with the names of the destinations in it."""
        found = super().get_changelist_instance(request)
        names = names_of(list(found.result_list))
        for row in found.result_list:
            vars(row)[_WHAT] = what_of(row, names)
        return found

    @admin.display(description="Replay")
    def shown_id(self, row: Replay) -> str:
        """Return the number, which links to the page."""
        return str(row.pk)

    @admin.display(description="Status")
    def shown_status(self, row: Replay) -> SafeString:
        """Return where it stands."""
        return chip(CHIPS[row.status])

    @admin.display(description="What")
    def shown_what(self, row: Replay) -> SafeString:
        """Return what it selects."""
        return stranger(vars(row)[_WHAT], 160)

    @admin.display(description="Made due")
    def shown_progress(self, row: Replay) -> str:
        """Return how many deliveries it has made due, of how many."""
        about = "" if row.exhausted else f" of about {max(row.estimate, row.queued):,}"
        return f"{row.queued:,}{about}"

    @admin.display(description="By")
    def shown_by(self, row: Replay) -> SafeString:
        """Return who started it."""
        return stranger(row.created_by, 32)

    @admin.display(description="Started")
    def shown_made(self, row: Replay) -> SafeString:
        """Return when it was started."""
        return when(row.created_at)

    # --- the page ---------------------------------------------------------------------------
    def get_urls(self) -> list[URLPattern]:
        """Add the part of the page that refreshes itself."""
        view = self.admin_site.admin_view(self.progress_view)
        return [path("<path:object_id>/progress/", view, name="webhooks_replay_progress"), *super().get_urls()]

    def page(self, request: HttpRequest, obj: Replay) -> Mapping[str, Any]:
        """Return how far it is."""
        now = timezone.now()
        done = progress_of(obj, now)
        return {
            "replay": obj,
            "state": replay_state(obj, done, now),
            "done": done,
            "what": what_of(obj, names_of([obj])),
            "held_up_by": held_up_by(obj),
            "said": _said(obj, done.percent),
            "goes_on": obj.status == ReplayStatus.RUNNING or obj.finished_at is None,
            "deliveries_url": reverse("admin:webhooks_delivery_changelist") + f"?replay={obj.pk}",
        }

    def progress_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Return the part that changes; have the whole page loaded again where other buttons apply now."""
        obj = self.get_object(request, unquote(object_id))
        if obj is None:
            raise Http404
        if not self.has_view_permission(request, obj):
            raise PermissionDenied
        context = {**self.page(request, obj), "said_before": request.GET.get("said", ""), "part": True}
        answer = TemplateResponse(request, "hub/replay_progress.html", context)
        answer["Cache-Control"] = "no-store"
        if request.GET.get("status") != obj.status:
            answer["HX-Refresh"] = "true"
        return answer

    def press_pause(self, request: HttpRequest, obj: Replay) -> str:
        """Pause it."""
        replays.pause(obj)
        return f"Paused. {progress_of(obj, timezone.now()).waiting:,} are due already and are still delivered."

    def press_resume(self, request: HttpRequest, obj: Replay) -> str:
        """Go on."""
        replays.resume(obj)
        return "Resumed."

    def press_cancel(self, request: HttpRequest, obj: Replay) -> str:
        """End it."""
        row = replays.cancel(obj)
        claimed = replays.in_hand(row.pk)
        hand = f" {claimed:,} are in a worker's hands and may still be delivered." if claimed else ""
        return f"Cancelled. {row.restored:,} deliveries went back to what they were.{hand}"

    # --- the dialog -------------------------------------------------------------------------
    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None) -> Any:
        """Show what would be sent, and start it where that was asked for."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        said = request.POST if request.method == "POST" else request.GET
        kind = said.get("kind", "")
        if kind not in READS:
            return self._answer(request, "hub/replay_kinds.html", kinds=KINDS)
        form = ReplayForm(kind, values_in(said))
        starting = request.method == "POST" and said.get("do") == "start"
        return self._dialog(request, form, starting)

    def _dialog(self, request: HttpRequest, form: ReplayForm, starting: bool) -> HttpResponse:
        problems: list[str] = []
        unconfirmed, found, what = "", None, ""
        try:
            selection = form.selection()
            what = describe(selection, _names(selection.destinations))
            if starting:
                return self._started(request, selection)
        except Refused as refused:
            problems = form.tell(refused)
            unconfirmed = " ".join(refused.errors.get("confirmed", []))
        if what:
            found, more = _estimated(selection, form)
            problems = list(dict.fromkeys([*problems, *more]))
        context = {"form": form, "found": found, "what": what, "problems": problems, "unconfirmed": unconfirmed}
        return self._answer(request, "hub/replay_dialog.html", **context, **_about(found, request))

    def _started(self, request: HttpRequest, selection: Selection) -> HttpResponse:
        said = request.POST
        row = replays.start(
            selection,
            by=request.user.get_username(),
            rate_per_s=_rate(said.get("rate_per_s", "")),
            confirmed=_number(said.get("typed", said.get("shown", ""))) or 0,  # only a large count has to be typed
        )
        self.log_addition(request, row, f"Started: about {row.estimate:,} deliveries.")
        self.message_user(request, "Started. A worker carries it on; you may leave this page.", "SUCCESS")
        return HttpResponseRedirect(self.url_of(row))

    def _answer(self, request: HttpRequest, template: str, **context: Any) -> HttpResponse:
        everywhere = {**self.admin_site.each_context(request), "opts": self.opts, "title": "Start a replay"}
        page = TemplateResponse(request, template, everywhere | context)
        page["Cache-Control"] = "no-store"
        return page


def _estimated(selection: Selection, form: ReplayForm) -> tuple[Estimate | None, list[str]]:
    """Return how much a selection is, and why it cannot be started; what belongs to a field is told there."""
    found = None
    try:
        replays.refuse_destinations(selection)
        found = estimate(bounded(selection, timezone.now()))
        replays.refuse_selection(selection, found)
    except Refused as refused:
        return found, form.tell(refused)
    return found, []


def _said(row: Replay, percent: int) -> str:
    """Return what is read out: it changes seldom."""
    if row.status != ReplayStatus.RUNNING:
        return str(CHIPS[row.status].label)
    return f"{percent // 10 * 10} % done"


def _names(ids: Any) -> Any:
    return names_of([Replay(destination_ids=[str(pk) for pk in ids])])


def _about(found: Estimate | None, request: HttpRequest) -> dict[str, Any]:
    if found is None:
        return {}
    typed = request.POST.get("typed", "")
    rate = _rate(request.POST.get("rate_per_s", ""))
    return {
        "warnings": warnings(found.destinations),
        "must_type": f"{found.count:,}" if found.count > COUNTED else "",
        "typed": typed,
        "takes": forecast_of(forecast(found, rate if rate and rate > 0 else None)) if found.count else "",
    }


def _number(text: str) -> int | None:
    """Return a count as people type it: with commas or spaces, or without."""
    digits = text.replace(",", "").replace(" ", "").replace("\u202f", "")
    return int(digits) if digits.isascii() and digits.isdecimal() and len(digits) <= _MOST_DIGITS else None


def _rate(text: str) -> int | None:
    """Return the rate; -1, which is refused, where it is no number."""
    return (_number(text) or -1) if text.strip() else None


# --- from lists --------------------------------------------------------------------------------------------------
@admin.action(description="Replay the chosen …", permissions=["replay"])
def replay_chosen(model_admin: Any, request: HttpRequest, queryset: Rows) -> HttpResponse:
    """Lead to the dialog with what was ticked in a list of events or deliveries."""
    keys = queryset.order_by().values_list("pk", flat=True)[:MOST_CHOSEN_AT_ONCE]
    name = {"event": "events", "delivery": "deliveries"}[model_admin.opts.model_name]
    query = urlencode({"kind": ReplayKind.CHOSEN.value, name: ",".join(str(pk) for pk in keys)})
    return HttpResponseRedirect(reverse("admin:webhooks_replay_add") + f"?{query}")
