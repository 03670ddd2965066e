"""The first run: what is still to do until the first delivery, on the first page of a hub that is new.

Everything is read in a handful of bounded queries, and only while the hub is young.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from destinations.admin.buttons import tell_refused
from destinations.models import Destination
from destinations.services import Refused
from destinations.shown import Chip, Tone, relative
from webhooks.models import Delivery, DeliveryStatus, Event, Source
from webhooks.receiving.samples import sample_body, send_sample
from webhooks.receiving.sources import create_source, webhook_url
from webhooks.wording import delivery_state

YOUNG = 20  # events: a hub with more is past its first run
_SENT = "hub_sample_sent"  # in the session: the page that a sample leads to tells also that it has arrived already
SAMPLES = ("healthcheck", "sleep", "daily", "activity", "body")  # their types
_DONE = Chip("Done", "check_circle", Tone.GOOD)
_NEXT = Chip("Next", "arrow_forward", Tone.INFO)
_WAITING = Chip("Waiting", "hourglass_top", Tone.INFO)
_LATER = Chip("Then", "radio_button_unchecked", Tone.QUIET)
_TROUBLE = Chip("Look at it", "error", Tone.BAD)


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do: whether it is done, and where to do it."""

    chip: Chip
    title: str
    text: str
    url: str = ""
    link: str = ""


@dataclass(frozen=True, slots=True)
class _Stand:
    """How far a young hub has come."""

    source: Source | None
    destination: Destination | None
    event: Event | None
    delivery: Delivery | None

    @property
    def delivered(self) -> bool:
        """Tell whether the first run is over."""
        return self.delivery is not None and self.delivery.status == DeliveryStatus.DELIVERED


def first_run(user: Any, finished: bool = False) -> dict[str, Any] | None:
    """Return what the first run's panel shows this person.

    Once the first delivery was made that is nothing, but ``finished`` shows it once more, with what comes next.
    """
    if not (user.has_perm("webhooks.view_event") and user.has_perm("webhooks.view_source")):
        return None
    stand = _stand()
    if stand is None or (stand.delivered and not finished):
        return None
    return {
        "finished": stand.delivered,
        "destination": stand.destination,
        "delivery": stand.delivery,
        "source": stand.source,
        "webhook_url": webhook_url(stand.source.slug) if stand.source else "",
        "typed": {"slug": "terra", "name": "Terra"},
        "samples": SAMPLES,
        **_progress(user, stand),
    }


def _stand() -> _Stand | None:
    """Return how far the hub has come; ``None`` where it is not young any more."""
    if len(Event.objects.order_by("-pk").values_list("pk")[:YOUNG]) == YOUNG:
        return None
    return _Stand(
        Source.objects.filter(active=True).order_by("-pk").first(),
        Destination.objects.receiving().order_by("-pk").only("pk", "name").first(),
        Event.objects.order_by("-pk").only("type", "received_at").first(),
        _best_delivery(),
    )


def _best_delivery() -> Delivery | None:
    """Return a delivery that arrived, else the newest one: there are few while the hub is young."""
    rows = Delivery.objects.select_related("destination").order_by("-pk")
    found: Delivery | None = rows.filter(status=DeliveryStatus.DELIVERED).first() or rows.first()
    return found


def _progress(user: Any, stand: _Stand) -> dict[str, Any]:
    """Return the steps, and a mark that changes with them."""
    steps = list(_steps(user, stand))
    delivery = stand.delivery
    mark = (bool(stand.source), bool(stand.destination), bool(stand.event), delivery and (delivery.pk, delivery.status))
    return {"steps": steps, "mark": repr(mark)}


def _steps(user: Any, stand: _Stand) -> Iterator[Step]:
    yield _source_step(stand)
    yield _destination_step(user, stand)
    yield _event_step(stand)
    if user.has_perm("webhooks.view_delivery"):
        yield _delivery_step(user, stand)


def _source_step(stand: _Stand) -> Step:
    if stand.source is None:
        return Step(_NEXT, "Make a source", "The Terra environment that posts here. The form is below.")
    url = reverse("admin:webhooks_source_change", args=[stand.source.pk])
    return Step(_DONE, "Source", f"{stand.source.slug} takes what Terra posts.", url, "Look at it")


def _destination_step(user: Any, stand: _Stand) -> Step:
    if stand.destination:
        url = reverse("admin:destinations_destination_change", args=[stand.destination.pk])
        return Step(_DONE, "Destination", f"{stand.destination.name} is set up.", url, "Look at it")
    chip = _NEXT if stand.source else _LATER
    may = stand.source and user.has_perm("destinations.add_destination")
    url = reverse("admin:destinations_destination_add") if may else ""
    return Step(chip, "Add a destination", "Where your events are to go.", url, "Add a destination")


def _event_step(stand: _Stand) -> Step:
    if stand.event:
        url = reverse("admin:webhooks_event_change", args=[stand.event.pk])
        text = f"{stand.event.type} came {relative(stand.event.received_at)}."
        return Step(_DONE, "The first event is here", text, url, "Look at it")
    if stand.source is None:
        return Step(_LATER, "Receive the first event", "From Terra, or a signed sample.")
    return Step(_WAITING, "Waiting for the first event…", "This page shows it as soon as it is here.")


def _delivery_step(user: Any, stand: _Stand) -> Step:
    if stand.delivery:
        url = reverse("admin:webhooks_delivery_change", args=[stand.delivery.pk])
        chip = _TROUBLE if stand.delivery.last_error_code else _WAITING
        state = delivery_state(stand.delivery, timezone.now())
        return Step(_DONE if stand.delivered else chip, "First delivery", state.sentence, url, "Look at it")
    title, text = "Make the first delivery", "It follows by itself once an event comes in."
    if stand.destination is None or stand.event is None:
        return Step(_LATER, title, text)
    url = reverse("admin:destinations_destination_change", args=[stand.destination.pk])
    text = "No destination was there to take the first event. Send this one a test event, or one more sample."
    return Step(_NEXT, title, text, url, "Send a test event")


# --- views --------------------------------------------------------------------------------------
def progress_view(request: HttpRequest) -> HttpResponse:
    """Return the steps as they are now; nothing while they are as the page knows them."""
    shown = first_run(request.user, finished=True)
    if shown is None:  # it is long done, or of no concern: the page loads itself anew, without it
        return HttpResponse(status=204, headers={"HX-Refresh": "true"})
    if shown["mark"] == request.GET.get("mark"):
        return HttpResponse(status=204)
    answer = render(request, "hub/first_run_steps.html", {"first_run": shown})
    answer["Cache-Control"] = "no-store"
    return answer


def first_run_of_page(request: HttpRequest) -> dict[str, Any] | None:
    """Return what a whole page shows: a delivery may be made before the sender of a sample is back on it."""
    return first_run(request.user, finished=request.session.pop(_SENT, False))


def source_view(request: HttpRequest, site: Any) -> HttpResponse:
    """Make the first source; where it is refused, show the first page again, with what to change."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    if not request.user.has_perm("webhooks.add_source"):
        raise PermissionDenied
    typed = {name: request.POST.get(name, "").strip() for name in ("slug", "name")}
    try:
        create_source(**typed, secret=_given(request.POST.get("secret", "")), by=request.user)
    except Refused as refused:
        panel = (first_run(request.user) or {}) | {"typed": typed, "errors": refused.errors}
        answer: HttpResponse = site.index(request, {"first_run": panel})
        return answer
    return HttpResponseRedirect(reverse("admin:index"))


def _given(secret: str) -> str:
    if not secret.strip():
        raise Refused({"secret": ["Paste the signing secret from Terra's dashboard."]})
    return secret


def sample_view(request: HttpRequest) -> HttpResponse:
    """Send a signed sample to a source, and go back to the first page, which shows it arrive."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    if not request.user.has_perm("destinations.test_destination"):
        raise PermissionDenied
    name = request.POST.get("sample", "")
    source = Source.objects.filter(slug=request.POST.get("source", "")).first()
    shown = first_run(request.user) is not None
    try:
        if source is None:
            raise Refused({"": ["There is no such source."]})
        send_sample(source, _body_of(name), by=request.user)
    except Refused as refused:
        tell_refused(request, refused)
    if shown:
        request.session[_SENT] = True
    return HttpResponseRedirect(reverse("admin:index"))


def _body_of(name: str) -> bytes:
    """Return the body of a sample that is offered; the healthcheck for any other."""
    return sample_body(name if name in SAMPLES else SAMPLES[0])
