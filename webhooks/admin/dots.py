"""Where an event went, at a glance: one dot for each delivery, with its words for those who do not see it."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from destinations.models import Destination
from destinations.shown import Chip, Tone, icon
from destinations.texts import visible
from webhooks.models import Delivery, DeliveryStatus
from webhooks.wording import STATUS_CHIPS

MOST_DOTS = 6
RETRYING = Chip("Failed, will be tried again", "refresh", Tone.WARN)
_FIRST = (DeliveryStatus.DEAD, DeliveryStatus.PENDING, DeliveryStatus.CANCELLED, DeliveryStatus.DELIVERED)


class Dot(NamedTuple):
    """One delivery of an event."""

    delivery_id: int
    status: str
    error_code: str
    destination_id: UUID
    destination: str = ""

    @property
    def rank(self) -> tuple[int, bool, int]:
        """Return where it stands among the event's dots: trouble first."""
        return _FIRST.index(DeliveryStatus(self.status)), not self.error_code, self.delivery_id

    @property
    def chip(self) -> Chip:
        """Return its state."""
        failed = self.status == DeliveryStatus.PENDING and self.error_code
        return RETRYING if failed else STATUS_CHIPS[self.status]

    @property
    def words(self) -> str:
        """Return what it says: ``Warehouse: Dead letter (http_500)``."""
        code = f" ({self.error_code})" if self.error_code else ""
        return visible(f"{self.destination}: {self.chip.label}{code}")


def dots_of(event_ids: Sequence[UUID]) -> Mapping[UUID, list[Dot]]:
    """Return the dots of each event of a page, in two queries."""
    columns = ("event_id", "pk", "status", "last_error_code", "destination_id")
    found: dict[UUID, list[Dot]] = defaultdict(list)
    for event_id, *values in Delivery.objects.filter(event_id__in=event_ids).order_by().values_list(*columns):
        found[event_id].append(Dot(*values))
    shown = {dot.destination_id for all_dots in found.values() for dot in all_dots}
    names = dict(Destination.objects.filter(pk__in=shown).values_list("pk", "name"))
    return {
        key: sorted((dot._replace(destination=names.get(dot.destination_id, "")) for dot in group), key=_rank)
        for key, group in found.items()
    }


def _rank(dot: Dot) -> tuple[int, bool, int]:
    return dot.rank


def dots(event_id: UUID, found: Sequence[Dot]) -> SafeString:
    """Return an event's dots, each a link to its delivery; of many, the first and how many more there are."""
    if not found:
        return format_html('<span class="hub-faint">went nowhere</span>')
    links = format_html_join("", "{}", ((_dot(one),) for one in found[:MOST_DOTS]))
    left = len(found) - MOST_DOTS
    return format_html('<span class="hub-dots">{}{}</span>', links, _more(event_id, left) if left > 0 else "")


def _dot(one: Dot) -> SafeString:
    return format_html(
        '<a class="hub-dot hub-{}" href="{}" title="{}">{}<span class="hub-hidden">{}</span></a>',
        one.chip.tone.value, reverse("admin:webhooks_delivery_change", args=[one.delivery_id]), one.words,
        icon(one.chip.icon), one.words,
    )  # fmt: skip


def _more(event_id: UUID, left: int) -> SafeString:
    url = reverse("admin:webhooks_event_change", args=[event_id])
    return format_html(
        '<a class="hub-link" href="{}">+{}<span class="hub-hidden"> more deliveries</span></a>', url, left
    )
