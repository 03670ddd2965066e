"""The pictures: the filled form of each type, its set-up text, checks that pass and fail, and the list of all."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from playwright.sync_api import FilePayload, Page, expect

from tests.admin_support import DESTINATIONS
from tests.browser.conftest import Operator
from tests.screenshots.examples import EXAMPLES, ROLE_TYPED, Example
from tests.screenshots.looks import HIGH, LOOKS, shot, window_shot
from tests.screenshots.pages import at_work, first_run, live_tail, replay
from tests.screenshots.scene import set_the_scene
from tests.screenshots.stage import Stage
from tests.services.postgres import PostgresServer


def take_all(stage: Stage, folder: Path) -> Iterator[Path]:
    """Take every picture; yield the file of each."""
    folder.mkdir(exist_ok=True)
    windows = {suffix: stage.operator(**window) for suffix, window in LOOKS.items()}
    yield first_run(windows[""], folder)
    scene = set_the_scene(stage)
    yield from at_work(windows, scene, folder)
    yield live_tail(stage, windows[""], folder)
    yield from replay(stage, windows, scene, folder)
    ana = stage.operator(**HIGH)
    for kind, example in EXAMPLES.items():
        yield from pictures_of(ana, kind, example if kind != "postgres" else at(stage.postgres, example), folder)
        if kind == "postgres":
            yield from checks_of_postgres(ana.page, stage.postgres, folder)
    for suffix, somebody in windows.items():
        yield from adding(somebody, stage.postgres, folder, suffix)
    page = with_a_check(ana, scene.healthy.name)
    yield shot(page.locator("#changelist-form"), folder / "destinations.png")
    assert [complaint for one in (ana, *windows.values()) for complaint in one.complaints] == []


def pictures_of(ana: Operator, kind: str, example: Example, folder: Path) -> Iterator[Path]:
    """Take the filled form; save it, and take the set-up text."""
    page = fill_in(ana, kind, example)
    yield shot(page.locator("fieldset.module").first, folder / f"{kind}-form.png")
    save(page, example)
    yield shot(page.locator(".hub-aside"), folder / f"{kind}-set-up.png")


def fill_in(ana: Operator, kind: str, example: Example) -> Page:
    """Open the form of a type and fill it in."""
    page = ana.open(f"{DESTINATIONS}add/?type={kind}")
    page.locator("#id_name").fill(example.name)
    for name, value in example.chosen.items():
        page.locator(f"[name='{name}']").select_option(value)
    for name, value in example.typed.items():
        page.locator(f"[name='{name}']").fill(value)
    for name, text in example.files.items():
        file: FilePayload = {"name": "terra-hub-key.json", "mimeType": "application/json", "buffer": text.encode()}
        page.locator(f"[name='{name}'][type=file]").set_input_files(file)
    return page


def save(page: Page, example: Example) -> None:
    """Save the form, and go on to the page of the new destination."""
    for name, value in example.saved.items():
        page.locator(f"[name='{name}']").fill(value)
    page.get_by_role("button", name="Save").click()
    copied = page.get_by_role("link", name="I have copied it")
    expect(copied.or_(page.get_by_text("was saved."))).to_be_visible()
    if copied.is_visible():
        copied.click()
    expect(page.get_by_role("heading", name="Set up the other side")).to_be_visible()


# --- adding one --------------------------------------------------------------------------------
def adding(ana: Operator, server: PostgresServer, folder: Path, suffix: str) -> Iterator[Path]:
    """Take the types, a form with its set-up, and a check that fails, in whatever window ``ana`` has.

    ``suffix`` tells windows apart in the names of the files.
    """
    page = ana.open(f"{DESTINATIONS}add/")
    yield shot(page.locator(".hub-cards"), folder / f"type-picker{suffix}.png")
    page = fill_in(ana, "s3", replace(EXAMPLES["s3"], typed=ROLE_TYPED, chosen={"config.auth": "role"}))
    expect(page.locator("#setup-text")).to_contain_text(f"{ROLE_TYPED['config.bucket']}/{ROLE_TYPED['config.prefix']}")
    page.evaluate("window.scrollTo(0, 0)")
    page.locator(".hub-aside").scroll_into_view_if_needed()
    yield window_shot(page.locator("#content-main"), folder / f"form-with-set-up{suffix}.png")
    page = fill_in(ana, "postgres", wrong_login(server))
    page.get_by_role("button", name="Check before saving").click()
    expect(page.locator("#check-summary")).to_be_visible()
    yield shot(page.locator("#draft-result"), folder / f"check-failed{suffix}.png")
    page.locator("[name='credentials.password']").fill("")  # else the browser asks before it leaves the form


def wrong_login(server: PostgresServer) -> Example:
    """Return the example, typed with the address of a server that runs here and does not know the user."""
    example = at(server, EXAMPLES["postgres"])
    return replace(example, typed={**example.typed, **example.saved})


# --- checks -------------------------------------------------------------------------------------
def at(server: PostgresServer, example: Example) -> Example:
    """Return the example, saved with the address of a server that runs here."""
    assert server.authority
    place = {"config.host": server.host, "config.port": str(server.port), "config.ca_certificate": server.authority.pem}
    return replace(example, saved=place)


def checks_of_postgres(page: Page, server: PostgresServer, folder: Path) -> Iterator[Path]:
    """Do on the server what the page says, and check; then take one grant away, and check again."""
    database = EXAMPLES["postgres"].typed["config.database"]
    with server.connect() as connection:
        connection.execute(f"CREATE DATABASE {database}")
    with server.connect(database) as connection:
        connection.execute(page.locator("#setup-text").inner_text())
        yield check(page, "The check passed.", folder / "postgres-check-passed.png")
        connection.execute(f"REVOKE CREATE ON SCHEMA public FROM {EXAMPLES['postgres'].typed['config.username']}")
        yield check(page, "The check did not pass", folder / "postgres-check-failed.png")


def with_a_check(ana: Operator, name: str) -> Page:
    """Check the destination that works, and go to the list: not all of it is unchecked then."""
    page = ana.open(DESTINATIONS)
    page.get_by_role("link", name=name, exact=True).click()
    press_check(page, "The check passed.")
    return ana.open(DESTINATIONS)


def check(page: Page, said: str, path: Path) -> Path:
    """Press Check on a destination's page, and take its steps."""
    press_check(page, said)
    return shot(page.locator("section[aria-labelledby=check-title]"), path)


def press_check(page: Page, said: str) -> None:
    """Press Check on a destination's page, and wait for what is said of it."""
    page.get_by_role("button", name="Check", exact=False).first.click()
    expect(page.get_by_text(said)).to_be_visible()
