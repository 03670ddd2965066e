"""A person replays in the browser: from a filter over the dialog to the running job, its pause and its end."""

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from destinations import services
from tests.browser.conftest import Operator
from tests.delivering.log import statuses
from tests.hub import Hub, until
from tests.replays.stage import ids, seed, sent
from tests.sink import Sink
from webhooks.keeping.queueing import CANCELLED
from webhooks.keeping.replaying import LEAST_DUE
from webhooks.models import Delivery

pytestmark = pytest.mark.django_db(transaction=True)


def test_from_a_filter_to_a_running_replay_its_pause_and_its_end(hub: Hub, operator: Callable[..., Operator]) -> None:
    with Sink() as sink:
        hook = hub.webhook(sink.url("/hook"), "Clinic")
        events = seed(hub.source, 300, user_id="u1")
        seed(hub.source, 5, user_id="u2")
        ana = operator()
        page = ana.open("/admin/webhooks/replay/add/?kind=matching&user_id=u1")
        expect(page.get_by_role("heading", name="300 deliveries")).to_be_visible()
        expect(page.get_by_text("The receiver gets it again, with the same webhook-id.")).to_be_visible()

        # Counted anew for another range, and back; what was typed stays.
        page.get_by_label("Until (UTC)").fill("2026-03-12T06:01:00")
        page.get_by_role("button", name="Count again").click()
        expect(page.get_by_role("heading", name="60 deliveries")).to_be_visible()
        expect(page.get_by_label("User id")).to_have_value("u1")
        page.get_by_label("Until (UTC)").fill("")
        page.get_by_role("button", name="Count again").click()
        expect(page.get_by_role("heading", name="300 deliveries")).to_be_visible()

        services.pause(hook)
        page.get_by_role("button", name="Start replay").click()
        expect(page.get_by_text("Starts as soon as a worker takes it.")).to_be_visible()
        hub.worker()
        # The page refreshes itself: nobody loads it again.
        expect(page.get_by_text("0 of about 300 are done")).to_be_visible()
        expect(page.get_by_text("Clinic: Paused")).to_be_visible()
        page.get_by_role("button", name="Pause").click()
        expect(page.get_by_text("Nothing more is made due until you resume.")).to_be_visible()
        services.resume(hook)
        until(lambda: statuses() == {"delivered": LEAST_DUE})
        page.get_by_role("button", name="Resume").click()
        expect(page.get_by_text("300 delivered, none failed")).to_be_visible()
        expect(page.get_by_role("button", name="Pause")).to_have_count(0)
        assert sent(sink) == ids(events)

        # Another one is cancelled: what waits goes back to what it was.
        services.pause(type(hook).objects.get(pk=hook.pk))
        page.goto(ana.base + "/admin/webhooks/replay/add/?kind=matching&user_id=u2")
        page.get_by_role("button", name="Start replay").click()
        until(lambda: statuses(event__user_id="u2") == {"pending": 5})
        page.get_by_role("button", name="Cancel").click()
        expect(page.get_by_text("5 that waited went back to what they were")).to_be_visible()
        assert set(Delivery.objects.filter(event__user_id="u2").values_list("last_error_code", flat=True)) == {
            CANCELLED
        }
        page.get_by_role("link", name="Replays").first.click()
        expect(page.get_by_text("Events with user u2")).to_be_visible()
        assert not ana.complaints


def test_it_works_without_scripts_on_a_telephone(hub: Hub, operator: Callable[..., Operator]) -> None:
    hub.webhook("http://127.0.0.1:8099/", "Clinic " + "w" * 60)
    seed(hub.source, 3)
    ana = operator(viewport={"width": 360, "height": 740}, java_script_enabled=False)
    page = ana.open("/admin/webhooks/replay/add/?kind=matching")
    width = "document.documentElement.scrollWidth"
    assert page.evaluate(width) <= 360
    page.get_by_role("button", name="Start replay").click()
    expect(page.get_by_text("Starts as soon as a worker takes it.")).to_be_visible()
    expect(page.get_by_role("link", name="Load again")).to_be_visible()
    assert page.evaluate(width) <= 360
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("0 that waited went back")).to_be_visible()
