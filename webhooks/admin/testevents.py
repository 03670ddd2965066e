"""The button "Send a test event" of a destination's page: a part of the admin class of destinations."""

# mypy: disable-error-code="no-untyped-call"
# simple_history has no types.

from collections.abc import Mapping
from typing import Any

from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse

from destinations.admin.base import UseCaseAdmin, as_uuid
from destinations.admin.buttons import Button
from destinations.models import Destination
from webhooks.keeping.testevents import received_of, send_last, send_test
from webhooks.models import Delivery, DeliveryStatus

_LAST = "last:"

TEST_BUTTON = Button(
    "test", "Send a test event",
    "A real delivery to this destination only, marked as a test. You see it arrive.",
    "mail", "destinations.test_destination", fields="hub/test_event.html", applies=lambda row: row.active,
)  # fmt: skip


class TestEvents(UseCaseAdmin):
    """Sends a test event, and leads to its delivery, whose page shows it arrive.

    The class that takes this part adds ``TEST_BUTTON`` to its buttons.
    """

    def get_urls(self) -> list[URLPattern]:
        """Add the address that a page asks whether a test has been tried."""
        view = self.admin_site.admin_view(self.arriving_view)
        own = path("<path:object_id>/arriving/<int:delivery>/", view, name="destinations_destination_arriving")
        return [own, *super().get_urls()]

    def page(self, request: HttpRequest, obj: Destination) -> Mapping[str, Any]:
        """Add the types of which the last real event can be sent."""
        may = request.user.has_perm("destinations.test_destination") and obj.active
        return {**super().page(request, obj), "test_types": received_of(obj) if may else []}

    def press_test(self, request: HttpRequest, obj: Destination) -> HttpResponse:
        """Send what was chosen, and go to its delivery."""
        chosen = request.POST.get("sample", "")
        if chosen.startswith(_LAST):
            delivery = send_last(obj, chosen.removeprefix(_LAST), by=request.user)
        else:
            delivery = send_test(obj, by=request.user)
        self.message_user(request, f"The test event is on its way to {obj.name}.", "SUCCESS")
        if not request.user.has_perm("webhooks.view_delivery"):
            return HttpResponseRedirect(self.url_of(obj))
        return HttpResponseRedirect(reverse("admin:webhooks_delivery_change", args=[delivery.pk]))

    def arriving_view(self, request: HttpRequest, object_id: str, delivery: int) -> HttpResponse:
        """Have the page loaded anew once the delivery was tried; until then say nothing."""
        if not request.user.has_perm("webhooks.view_delivery"):
            raise PermissionDenied
        row = Delivery.objects.filter(pk=delivery, destination_id=as_uuid(unquote(object_id)))
        found = row.only("status", "attempt_count").first()
        waits = found is not None and found.status == DeliveryStatus.PENDING
        if found and waits and str(found.attempt_count) == request.GET.get("seen"):
            return HttpResponse(status=204)
        return HttpResponse(status=204, headers={"HX-Refresh": "true"})
