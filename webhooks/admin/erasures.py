"""Erasures in the admin: the form with its plan, the list of jobs, and the page of a job with its receipt."""

import json
import re
from collections.abc import Mapping
from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.safestring import SafeString

from destinations.admin.base import OlderFilter, ReadOnlyAdmin, Rows
from destinations.admin.buttons import Button
from destinations.admin.empty import Empty
from destinations.services import Refused
from destinations.shown import chip, stranger, when
from webhooks.admin.erasure_form import ErasureForm
from webhooks.admin.erasure_words import CHIPS, counts_in_words, is_open, places_of, stage_in_words
from webhooks.keeping.erasures import jobs
from webhooks.keeping.erasures.plans import Plan, plan
from webhooks.keeping.erasures.tallies import removed
from webhooks.models import Erasure, ErasureStatus

_CHANGE = "webhooks.change_erasure"


def _can_skip(row: Erasure) -> bool:
    """Tell whether it can go on without what failed: stopped, or running with destinations that are tried again."""
    return row.status == ErasureStatus.STOPPED or (row.status == ErasureStatus.RUNNING and jobs.has_failed(row))


@admin.register(Erasure)
class ErasureAdmin(ReadOnlyAdmin):
    """Jobs that erase a person. None of their pages names one."""

    goes_on = True
    list_display = ("shown_made", "shown_status", "shown_note", "shown_trigger", "shown_removed", "shown_by")
    list_display_links = ("shown_made",)
    list_filter = (OlderFilter,)
    empty = Empty(
        "person_off", "Nobody was erased yet.",
        "An erasure takes away all that the hub has of a person, and keeps it away.",
        "Erase a person", "webhooks_erasure_add", "webhooks.add_erasure",
    )  # fmt: skip
    parts: ClassVar[Mapping[str, str]] = {"top": "hub/erasure.html"}
    buttons: ClassVar[tuple[Button, ...]] = (
        Button(
            "cancel", "Cancel", "Gives it up: nothing was erased yet.", "cancel", _CHANGE,
            applies=lambda row: row.status == ErasureStatus.WAITING,
        ),
        Button(
            "resume", "Resume", "Goes on where it stopped, and tries again what failed.", "play_arrow", _CHANGE,
            main=True, applies=lambda row: row.status == ErasureStatus.STOPPED,
        ),
        Button(
            "skip", "Go on without", "Leaves out the destinations that failed; the receipt says so.", "skip_next",
            _CHANGE, applies=_can_skip,
            asks="What they hold of the person stays there.",
        ),
        Button(
            "lift", "Let them come back", "Takes in again what comes under the person's old ids.", "lock_open",
            _CHANGE, applies=lambda row: row.status == ErasureStatus.DONE and jobs.keeps_away(row),
            asks="What was erased stays erased.",
        ),
    )  # fmt: skip

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Those who may erase."""
        return request.user.has_perm("webhooks.add_erasure")

    # --- the list ---------------------------------------------------------------------------
    def get_queryset(self, request: HttpRequest) -> Rows:
        """Return jobs, the newest first."""
        rows: Rows = Erasure.objects.defer("subject")
        return rows

    @admin.display(description="Asked for")
    def shown_made(self, row: Erasure) -> SafeString:
        """Return when it was asked for, which links to the page."""
        return when(row.created_at)

    @admin.display(description="Status")
    def shown_status(self, row: Erasure) -> SafeString:
        """Return where it stands."""
        return chip(CHIPS[row.status])

    @admin.display(description="Note")
    def shown_note(self, row: Erasure) -> SafeString:
        """Return what tells it from others."""
        return stranger(row.note, 40)

    @admin.display(description="Because of")
    def shown_trigger(self, row: Erasure) -> str:
        """Return what it was made by."""
        return "a deauth" if row.trigger == jobs.DEAUTH else "a request"

    @admin.display(description="Erased")
    def shown_removed(self, row: Erasure) -> str:
        """Return how many rows and objects are gone."""
        return f"{removed(row):,}"

    @admin.display(description="By")
    def shown_by(self, row: Erasure) -> SafeString:
        """Return who asked for it."""
        return stranger(row.created_by, 32)

    # --- the page ---------------------------------------------------------------------------
    def get_urls(self) -> list[URLPattern]:
        """Add the part of the page that refreshes itself, and the receipt."""
        wrap = self.admin_site.admin_view
        return [
            path("<path:object_id>/progress/", wrap(self.progress_view), name="webhooks_erasure_progress"),
            path("<path:object_id>/receipt/", wrap(self.receipt_view), name="webhooks_erasure_receipt"),
            *super().get_urls(),
        ]

    def page(self, request: HttpRequest, obj: Erasure) -> Mapping[str, Any]:
        """Return how far it is, and what went."""
        return {
            "erasure": obj,
            "state": chip(CHIPS[obj.status]),
            "sentence": stage_in_words(obj),
            "counts": counts_in_words(obj.counts),
            "places": places_of(obj),
            "goes_on": is_open(obj),
            "failed": jobs.has_failed(obj),
            "keeps_away": obj.status == ErasureStatus.DONE and jobs.keeps_away(obj),
            "receipt_url": self.url("receipt", obj) if obj.receipt else "",
        }

    def progress_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Return the part that changes; have the whole page loaded again where other buttons apply now."""
        obj = self._seen(request, object_id)
        answer = TemplateResponse(request, "hub/erasure_progress.html", {**self.page(request, obj)})
        answer["Cache-Control"] = "no-store"
        if (request.GET.get("status"), "failed" in request.GET) != (obj.status, jobs.has_failed(obj)):
            answer["HX-Refresh"] = "true"
        return answer

    def receipt_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Send the receipt as a file."""
        obj = self._seen(request, object_id)
        if not obj.receipt:
            raise Http404
        text = json.dumps(jobs.receipt_of(obj), indent=2, ensure_ascii=False)
        answer = HttpResponse(text, content_type="application/json")
        answer["Content-Disposition"] = f'attachment; filename="erasure-{obj.pk}.json"'
        return answer

    def _seen(self, request: HttpRequest, object_id: str) -> Erasure:
        obj: Erasure | None = self.get_object(request, unquote(object_id))
        if obj is None:
            raise Http404
        if not self.has_view_permission(request, obj):
            raise PermissionDenied
        return obj

    def press_cancel(self, request: HttpRequest, obj: Erasure) -> str:
        """Give it up."""
        jobs.cancel(obj, by=request.user)
        return "Cancelled: nothing was erased."

    def press_resume(self, request: HttpRequest, obj: Erasure) -> str:
        """Go on."""
        jobs.resume(obj, by=request.user)
        return "Resumed."

    def press_skip(self, request: HttpRequest, obj: Erasure) -> str:
        """Go on without what failed."""
        jobs.resume(obj, by=request.user, skip_failed=True)
        return "It goes on without the destinations that failed."

    def press_lift(self, request: HttpRequest, obj: Erasure) -> str:
        """Let its users come back."""
        jobs.lift(obj, by=request.user)
        return "What comes under the person's old ids is taken in again."

    # --- the form ---------------------------------------------------------------------------
    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None) -> Any:
        """Ask who, show what would go, and start once the id was typed again."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        said = request.POST if request.method == "POST" else request.GET
        form = ErasureForm(said)
        if not said.get("user_id") and not said.get("reference_id"):
            form.errors.clear()
            return self._answer(request, form)
        if not form.is_valid():
            return self._answer(request, form)
        return self._looked_at(request, form)

    def _looked_at(self, request: HttpRequest, form: ErasureForm) -> HttpResponse:
        problems: list[str] = []
        try:
            if request.method == "POST" and request.POST.get("do") == "start":
                if request.POST.get("typed", "").strip() == form.named:
                    return self._started(request, form)
                problems = ["Nothing was erased: what you typed is another id."]
            return self._answer(request, form, problems, plan(**form.asked))
        except Refused as refused:
            return self._answer(request, form, problems + form.tell(refused))

    def _started(self, request: HttpRequest, form: ErasureForm) -> HttpResponse:
        seen = request.POST.get("confirmed_users", "")  # as the plan had it that was looked at
        confirmed = int(seen) if re.fullmatch("[0-9]{1,4}", seen) else None
        row = jobs.start(**form.asked, by=request.user, confirmed_users=confirmed, note=form.cleaned_data["note"])
        self.log_addition(request, row, "Started.")
        self.message_user(request, "Started. A worker carries it on; you may leave this page.", "SUCCESS")
        return HttpResponseRedirect(self.url_of(row))

    def _answer(
        self, request: HttpRequest, form: ErasureForm, problems: list[str] | None = None, found: Plan | None = None
    ) -> HttpResponse:
        everywhere = {**self.admin_site.each_context(request), "opts": self.opts, "title": "Erase a person"}
        about: dict[str, Any] = {"form": form, "problems": problems or [], "found": found, "named": form.named}
        if found:
            about |= {"counts": counts_in_words(found.counts), "most_unconfirmed": jobs.MOST_UNCONFIRMED}
        page = TemplateResponse(request, "hub/erasure_form.html", everywhere | about)
        page["Cache-Control"] = "no-store"
        return page
