"""The pictures of a hub at work: its first page, the overview, a delivery that fails, a replay, the live tail."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from playwright.sync_api import expect

from tests.admin_support import page_of
from tests.browser.conftest import Operator
from tests.hub import SECRET, until
from tests.screenshots.looks import LOOKS, shot, tall, window_shot
from tests.screenshots.scene import SLUG, Scene, bodies, post
from tests.screenshots.stage import Stage
from webhooks.models import Delivery, Replay

Windows = dict[str, Operator]


def first_run(ana: Operator, folder: Path) -> Path:
    """Make the first source where an empty hub asks for it, and take what it says next."""
    page = ana.open("/admin/")
    page.get_by_label("Slug").fill(SLUG)
    page.get_by_label("Terra's signing secret").fill(SECRET)
    page.get_by_role("button", name="Make the source").click()
    expect(page.locator("#first-run-steps")).to_contain_text("Waiting for the first event…")
    return shot(page.locator(".hub-panel").first, folder / "first-run.png")


def at_work(windows: Windows, scene: Scene, folder: Path) -> Iterator[Path]:
    """Take the overview and the failing delivery in each window, and the page of a destination."""
    for suffix, ana in windows.items():
        page = ana.open("/admin/")
        expect(page.locator("#card-received")).to_be_visible()
        yield window_shot(page.locator("body"), folder / f"dashboard{suffix}.png", bar=0)
        page = tall(ana.open(page_of(scene.failed)))
        happened = page.locator("section", has=page.locator(".hub-timeline"))
        yield window_shot(page.locator("#content"), folder / f"delivery-timeline{suffix}.png", last=happened)
        page.set_viewport_size(LOOKS[suffix]["viewport"])
    page = windows[""].open(page_of(scene.failing))
    yield window_shot(page.locator("#content"), folder / "destination-page.png")


def live_tail(stage: Stage, ana: Operator, folder: Path) -> Path:
    """Open the live tail, and have events come."""
    page = ana.open("/admin/live/")
    expect(page.locator(".hub-live-state")).to_contain_text("Live")
    for body in islice(bodies(), 7):
        post(stage.server, body)
    until(lambda: not Delivery.objects.filter(status="pending", next_attempt_at=None).exists())
    expect(page.locator(".hub-live tbody tr")).not_to_have_count(0)
    page.wait_for_timeout(3000)  # their deliveries follow
    return window_shot(page.locator("#content"), folder / "live-tail.png", bar=0)


def replay(stage: Stage, windows: Windows, scene: Scene, folder: Path) -> Iterator[Path]:
    """Send a new destination what came before it, and take the replay half way."""
    page = windows[""].open(f"/admin/webhooks/replay/add/?kind=missing&destination={scene.late.pk}")
    yield shot(page.locator("#content"), folder / "replay-dialog.png")
    stage.sink.behave("/lake", delay=0.05)
    page.get_by_role("button", name="Start replay").click()
    expect(page.locator("#replay-progress")).to_be_visible()
    job = Replay.objects.get()
    done = Delivery.objects.filter(replay=job, status="delivered")
    until(lambda: done.count() >= job.estimate * 0.45, 60, "half of the replay was done")
    stage.sink.behave("/lake", delay=2)
    for suffix, ana in windows.items():
        page = ana.open(page_of(job))
        yield shot(page.locator("#content"), folder / f"replay{suffix}.png")
    stage.sink.clear()
