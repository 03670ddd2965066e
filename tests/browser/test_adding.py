"""Adding a destination, as somebody does it who has never read a page of the docs."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Request, expect

from destinations.models import Destination
from destinations.registry import adapter_classes, type_names
from tests.admin_support import DESTINATIONS
from tests.api_support import make_event
from tests.browser.conftest import Operator
from tests.hub import Hub
from tests.services.gcs import key_file
from tests.sink import Sink

LogIn = Callable[..., Operator]
WIDE = {"viewport": {"width": 1500, "height": 1000}}
CLIPBOARD = {"permissions": ["clipboard-read", "clipboard-write"]}
NAUGHTY = '"><img src=x onerror=alert(1)><script>alert(2)</script>{{7*7}}${7}'
EXTERNAL_ID = re.compile(r"terra-hub-[0-9a-f]{8}-[0-9a-f-]{27}")
SECRET = "typed-secret-7f3a91"


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as running:
        yield running


def add(ana: Operator, kind: str) -> Page:
    return ana.open(f"{DESTINATIONS}add/?type={kind}")


def field(page: Page, name: str) -> Locator:
    return page.locator(f"[name='{name}']")


def paste(page: Page, into: Locator, text: str) -> None:
    into.focus()
    page.evaluate("text => navigator.clipboard.writeText(text)", text)
    page.keyboard.press("Control+V")


# --- 1: types, and the way back -------------------------------------------------------------------
@pytest.mark.databaseless
def test_types_are_cards_and_what_was_typed_is_there_on_the_way_back(operator: LogIn) -> None:
    ana = operator(**WIDE)
    page = ana.open(f"{DESTINATIONS}add/")
    cards = page.locator(".hub-type")
    assert [card.get_attribute("href") for card in cards.all()] == [f"?type={name}" for name in type_names()]
    for card, kind in zip(cards.all(), adapter_classes(), strict=True):
        expect(card).to_contain_text(kind.summary)
        icon = card.locator(".material-symbols-outlined").bounding_box()
        assert icon
        assert icon["width"] < 40, f"{kind.icon} is a word and no icon"

    page.get_by_role("link", name="Amazon S3").click()
    assert field(page, "config.project_url").count() == 0
    for name, value in (("name", "Archive"), ("config.bucket", "acme-terra"), ("config.prefix", "p/q")):
        field(page, name).fill(value)
    field(page, "config.auth").select_option("role")
    expect(page.locator("#setup-text")).to_contain_text("sts:ExternalId")
    external_id = EXTERNAL_ID.findall(page.locator("#setup-text").inner_text())[0]
    page.get_by_role("link", name="Choose another type").click()
    page.get_by_role("link", name="Google Cloud Storage").click()
    expect(field(page, "config.bucket")).to_have_value("acme-terra")  # means the same there
    expect(field(page, "config.prefix")).to_have_value("p/q")
    page.get_by_role("link", name="Choose another type").click()
    page.get_by_role("link", name="Webhook").click()
    expect(field(page, "name")).to_have_value("Archive")
    page.locator("[name=event_types][value=sleep]").check()
    field(page, "config.auth").select_option("bearer")
    field(page, "config.url").fill("http://127.0.0.1:18999/hook")
    # Before a page is left, its last answer is awaited: the console tells of requests that are left behind.
    expect(page.locator("#setup-text")).to_contain_text("POST to /hook")
    field(page, "credentials.token").fill(SECRET)
    assert SECRET not in page.evaluate("JSON.stringify(sessionStorage)")
    field(page, "credentials.token").fill("")
    page.get_by_role("link", name="Choose another type").click()
    page.get_by_role("link", name="Amazon S3").click()

    expect(field(page, "config.bucket")).to_have_value("acme-terra")
    expect(field(page, "config.role_arn")).to_be_visible()
    expect(page.locator("#setup-text")).to_contain_text("arn:aws:s3:::acme-terra/p/q/*")
    expect(page.locator("#setup-text")).to_contain_text(external_id)
    page.go_back()
    page.go_back()
    expect(field(page, "config.url")).to_have_value("http://127.0.0.1:18999/hook")
    expect(field(page, "credentials.token")).to_have_value("")
    field(page, "credentials.token").fill(SECRET)
    page.get_by_role("button", name="Save").click()
    page.get_by_role("link", name="I have copied it").click()
    expect(page.locator(".hub-chip", has_text="Untested").first).to_be_visible()
    assert page.evaluate("sessionStorage.length") == 0, "what is saved is forgotten"
    assert Destination.objects.get().event_types == ["sleep"]
    assert ana.complaints == []


# --- 2: required first, advanced closed, spaces taken away ------------------------------------------
@pytest.mark.databaseless
def test_a_form_is_short_until_more_is_asked_for_and_takes_pasted_spaces_away(operator: LogIn) -> None:
    ana = operator(**WIDE, **CLIPBOARD)
    page = add(ana, "webhook")
    advanced = field(page, "schedule")
    expect(advanced).to_be_hidden()
    field(page, "config.auth").select_option("bearer")
    token = field(page, "credentials.token")
    expect(token).to_have_attribute("type", "password")

    paste(page, token, f"  {SECRET}\n")
    expect(token).to_have_value(SECRET)
    notice = page.get_by_text("Spaces around it were removed.")
    expect(notice).to_be_visible()
    expect(notice).to_have_attribute("role", "status")

    page.get_by_text("Advanced", exact=True).click()
    advanced.fill("soon")
    field(page, "config.url").fill("http://127.0.0.1:18999/hook?a=1")
    field(page, "name").fill("Kept")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Write seconds with commas between them: 30, 90, 270.")).to_be_visible()
    expect(advanced).to_be_visible()
    expect(advanced).to_have_value("soon")
    expect(field(page, "config.url")).to_have_value("http://127.0.0.1:18999/hook?a=1")
    expect(field(page, "name")).to_have_value("Kept")
    expect(token).to_have_value("")
    assert ana.complaints == []


# --- 3: pasted connection strings ----------------------------------------------------------------
KEY = json.dumps(key_file("terra-hub@acme.iam.gserviceaccount.com", "0"))
SAS = "sv=2024-11-04&sr=c&si=terra-hub&sig=ZXhhbXBsZQ%3D%3D"
REF = "abcdefghijklmnopqrst"
SERVICE_KEY = "eyJhbGciOiJIUzI1NiJ9.eyJyZWYiOiJhYmNkZWZnaGlqa2xtbm9wcXJzdCIsInJvbGUiOiJzZXJ2aWNlX3JvbGUifQ.c2ln"
AZURE_TEXT = "DefaultEndpointsProtocol=https;AccountName=acmehealth;AccountKey=a2V5==;EndpointSuffix=core.windows.net"
READ: list[tuple[str, str, dict[str, str] | None]] = [
    ("postgres", "postgres://ann:p%40s%2Fs@db.example.com:6432/my%20db?sslmode=require", {
        "username": "ann", "password": "p@s/s", "host": "db.example.com", "port": "6432", "database": "my db",
        "ssl_mode": "require"}),
    ("postgres", "postgresql://ann@[2001:db8::1]:5433/health", {
        "username": "ann", "host": "2001:db8::1", "port": "5433", "database": "health"}),
    ("postgres", "postgres://ann:a/b?c#d@e@db.example.com/health", {
        "username": "ann", "password": "a/b?c#d@e", "host": "db.example.com", "database": "health"}),
    ("postgres", "postgres://ann:x@db.example.com/health?sslmode=prefer&schema=terra", {
        "username": "ann", "password": "x", "host": "db.example.com", "database": "health", "schema": "terra"}),
    ("postgres", "jdbc:postgresql://db.example.com/health?user=ann&password=x%26y", {
        "username": "ann", "password": "x&y", "host": "db.example.com", "database": "health"}),
    ("postgres", r"host=db.example.com dbname=health user=ann password='it\'s' sslmode=verify-full", {
        "username": "ann", "password": "it's", "host": "db.example.com", "database": "health",
        "ssl_mode": "verify-full"}),
    ("postgres", "postgres://a:b@one.example,two.example/health", None),
    ("postgres", "mysql://ann:x@db.example.com/health", None),
    ("mysql", "mysql://ann:x@db.example.com:3307/health?ssl-mode=VERIFY_IDENTITY", {
        "username": "ann", "password": "x", "host": "db.example.com", "port": "3307", "database": "health",
        "ssl_mode": "verify-full"}),
    ("mysql", "mariadb+pymysql://ann:x@[::1]/health", {
        "username": "ann", "password": "x", "host": "::1", "database": "health"}),
    ("supabase", f"https://supabase.com/dashboard/project/{REF}/settings/api", {
        "project_url": f"https://{REF}.supabase.co"}),
    ("supabase", f"https://{REF}.supabase.co/rest/v1/", {"project_url": f"https://{REF}.supabase.co"}),
    ("supabase", f"postgresql://postgres.{REF}:pw@aws-0-eu-west-1.pooler.supabase.com:6543/postgres", {
        "project_url": f"https://{REF}.supabase.co"}),
    ("supabase", "sb_secret_abc", {"api_key": "sb_secret_abc"}),
    ("supabase", SERVICE_KEY, {"api_key": SERVICE_KEY, "project_url": f"https://{REF}.supabase.co"}),
    ("s3", "s3://acme-terra/p/q/", {"bucket": "acme-terra", "prefix": "p/q"}),
    ("s3", "arn:aws:s3:::acme-terra/p", {"bucket": "acme-terra", "prefix": "p"}),
    ("s3", "https://acme.terra.s3.eu-west-1.amazonaws.com/p/", {
        "bucket": "acme.terra", "region": "eu-west-1", "prefix": "p"}),
    ("s3", "https://s3.eu-west-1.amazonaws.com/acme-terra/p", {
        "bucket": "acme-terra", "region": "eu-west-1", "prefix": "p"}),
    ("s3", "https://eu-west-1.console.aws.amazon.com/s3/buckets/acme-terra?region=eu-west-1&prefix=p/", {
        "bucket": "acme-terra", "region": "eu-west-1", "prefix": "p"}),
    ("s3", "https://s3.example.com:9000/acme-terra/p", {
        "bucket": "acme-terra", "endpoint_url": "https://s3.example.com:9000", "prefix": "p"}),
    ("gcs", "gs://acme-terra/p", {"bucket": "acme-terra", "prefix": "p"}),
    ("gcs", "https://console.cloud.google.com/storage/browser/acme-terra/p;tab=objects?project=x", {
        "bucket": "acme-terra", "prefix": "p"}),
    ("gcs", KEY, {"service_account_key": KEY}),
    ("gcs", '{"type": "authorized_user"}', None),
    ("azureblob", f"https://acmehealth.blob.core.windows.net/terra/p?{SAS}", {
        "account": "acmehealth", "container": "terra", "prefix": "p", "auth": "sas_token", "sas_token": SAS}),
    ("azureblob", AZURE_TEXT, {
        "account": "acmehealth", "auth": "account_key", "account_key": "a2V5=="}),
    ("sqs", "https://sqs.eu-west-1.amazonaws.com/123456789012/terra.fifo", {
        "queue": "https://sqs.eu-west-1.amazonaws.com/123456789012/terra.fifo", "region": "eu-west-1"}),
    ("sqs", "arn:aws:sqs:eu-west-1:123456789012:terra", {
        "queue": "arn:aws:sqs:eu-west-1:123456789012:terra", "region": "eu-west-1"}),
    ("webhook", "https://ann:p%40ss@api.example.com:8443/hook?x=1", {
        "url": "https://api.example.com:8443/hook?x=1", "auth": "basic", "username": "ann", "password": "p@ss"}),
    ("webhook", "ftp://ann:x@api.example.com", None),
]  # fmt: skip


@pytest.mark.databaseless
def test_every_connection_string_is_read_for_what_it_says(operator: LogIn) -> None:
    page = add(operator(), "postgres")
    for kind, text, expected in READ:
        read = page.evaluate("([kind, text]) => window.hubPaste.read(kind, text)", [kind, f" {text}\n"])
        values = read and {name.partition(".")[2]: value for name, value in read["values"].items()}
        assert values == expected, (kind, text)


@pytest.mark.databaseless
def test_a_pasted_string_fills_the_fields_in_and_stays_nowhere(operator: LogIn) -> None:
    ana = operator(**WIDE, **CLIPBOARD)
    sent: list[str] = []
    for kind, text in {kind: text for kind, text, expected in READ if expected and kind != "webhook"}.items():
        page = add(ana, kind)
        box = page.get_by_label("Paste instead of typing")
        paste(page, box, text)
        expect(page.locator("[data-hub-said]")).to_contain_text("Filled in: ")
        expect(box).to_have_value("")
        assert box.get_attribute("name") is None
        assert text not in page.locator("[data-hub-said]").inner_text()
        # With a secret in the form, the browser would ask before it leaves the page.
        page.locator("[name^='credentials.']").evaluate_all("all => all.forEach((one) => { one.value = ''; })")

    page = add(ana, "webhook")
    page.on("request", lambda request: sent.append(body_of(request)))
    paste(page, field(page, "config.url"), f"http://ann:{SECRET}@127.0.0.1:18999/hook")
    expect(field(page, "config.url")).to_have_value("http://127.0.0.1:18999/hook")
    expect(field(page, "credentials.password")).to_have_value(SECRET)
    expect(field(page, "config.username")).to_be_visible()
    expect(page.locator("[data-hub-said]")).to_contain_text("URL, Authentication, User name, Password")
    expect(page.locator("#setup-text")).to_contain_text("POST to /hook")
    assert sent
    assert not any(SECRET in body for body in sent)
    paste(page, page.get_by_label("Paste instead of typing"), f"nonsense {NAUGHTY}")
    expect(page.locator("[data-hub-said]")).to_contain_text("Nothing was filled in.")
    paste(page, field(page, "name"), f"http://ann:{SECRET}@127.0.0.1/")
    (
        expect(field(page, "name")).to_have_value(f"http://ann:{SECRET}@127.0.0.1/"),
        "other fields take what they are given",
    )
    assert ana.complaints == []


def body_of(request: Request) -> str:
    return (request.post_data_buffer or b"").decode(errors="replace") + request.url


# --- 4: the set-up beside the form ----------------------------------------------------------------
@pytest.mark.databaseless
def test_the_set_up_stands_beside_the_form_and_follows_it(operator: LogIn) -> None:
    ana = operator(**WIDE, **CLIPBOARD)
    page = add(ana, "s3")
    sent: list[str] = []
    page.on("request", lambda request: sent.append(body_of(request)))
    form, panel = page.locator("#destination_form"), page.locator(".hub-aside")
    assert left(panel) > left(form) + 200
    copy, code = panel.get_by_role("button", name="Copy").locator("visible=true"), page.locator("#setup-text")
    assert top(copy) < top(code)
    assert code.evaluate("code => getComputedStyle(code).whiteSpace") == "pre"
    types = page.locator("[name=event_types]")
    assert top(types.nth(0)) == top(types.nth(1)), "types stand beside each other"
    expect(page.locator(".hub-missing")).to_contain_text("Bucket, Region")

    field(page, "credentials.secret_access_key").fill(SECRET)
    field(page, "config.bucket").press_sequentially("acme-terra")
    expect(page.locator("#setup-text")).to_contain_text("arn:aws:s3:::acme-terra/*")
    panel.get_by_text("Terraform", exact=True).click()
    field(page, "config.auth").select_option("role")
    field(page, "config.prefix").fill("p/q")
    module = page.locator("#setup-text-terraform")
    expect(module).to_contain_text('resources = ["arn:aws:s3:::acme-terra/p/q/*"]')
    expect(module).to_be_visible()
    expect(page.locator("#setup-text")).to_be_hidden()
    panel.get_by_role("button", name="Copy").locator("visible=true").click()
    expect(panel.get_by_text("Copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert 'resource "aws_iam_role" "terra_hub"' in copied
    field(page, "config.prefix").fill(NAUGHTY)
    expect(page.locator(".hub-missing")).to_contain_text("Prefix")
    assert not any(SECRET in body for body in sent)

    page.set_viewport_size({"width": 360, "height": 740})
    assert left(panel) < 60
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0

    field(page, "config.prefix").fill("p")
    field(page, "config.region").fill("eu-west-1")
    field(page, "config.role_arn").fill("arn:aws:iam::123456789012:role/terra-hub")
    field(page, "name").fill(NAUGHTY[:60])
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="Set up the other side")).to_be_visible()
    made = Destination.objects.get()
    assert f"terra-hub-{made.pk}" in copied
    expect(page.locator("#setup-text")).to_contain_text(f"terra-hub-{made.pk}")
    assert page.locator("img[src=x]").count() == 0
    assert ana.complaints == []


def left(part: Locator) -> float:
    box = part.bounding_box()
    assert box
    return box["x"]


def top(part: Locator) -> float:
    box = part.bounding_box()
    assert box
    return box["y"]


# --- 6, 7: the check before saving ---------------------------------------------------------------
@pytest.mark.databaseless
def test_a_check_shows_that_it_runs_then_each_step_with_its_time_and_what_to_change(
    operator: LogIn, sink: Sink
) -> None:
    sink.behave("/hook", status=401, delay=1.5)
    ana = operator(**WIDE)
    page = add(ana, "webhook")
    field(page, "config.url").fill(sink.url())
    button = page.get_by_role("button", name="Check before saving")
    assert top(button) == top(page.get_by_role("button", name="Save", exact=True)), "both are always in view"
    button.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Checking: resolve, connect")).to_be_visible()
    page.keyboard.press("Enter")  # while it runs, a second press asks for nothing

    result = page.locator("#draft-result")
    expect(result).to_contain_text("The check failed at “authenticate”")
    expect(page.get_by_text("Checking: resolve, connect")).to_be_hidden()
    expect(result).to_have_attribute("aria-live", "polite")
    expect(button).to_be_focused()
    last = result.locator(".hub-steps > li").last
    for said in ("Failed", "authenticate", "http_401", "The receiver answered 401.", "Check the authentication", " s"):
        expect(last).to_contain_text(said)
    assert result.locator(".hub-steps > li strong").all_inner_texts() == ["resolve", "connect", "TLS", "authenticate"]
    assert sink.count() == 1

    field(page, "config.url").fill("http://10.0.3.7/hook")
    button.click()
    expect(result).to_contain_text("Address 10.0.3.7 is private")
    expect(result).to_contain_text("Add 10.0.3.0/24 or 10.0.3.7:80 to EGRESS_ALLOW.")
    assert not Destination.objects.exists()

    field(page, "name").fill("Hook")
    field(page, "config.url").fill("nonsense")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(field(page, "config.url")).to_be_focused()
    assert ana.complaints == []


# --- 10: what the filter lets through -------------------------------------------------------------
def test_the_filter_tells_how_many_of_the_latest_events_it_lets_through(operator: LogIn, hub: Hub) -> None:
    for kind in ("sleep", "sleep", "daily", NAUGHTY[:64]):
        make_event(source=hub.source, type=kind)
    ana = operator(**WIDE)
    page = add(ana, "webhook")
    told = page.locator("#matching")

    expect(told).to_contain_text("Matches 4 of the last 4 events.")
    page.locator("[name=event_types][value=sleep]").check()
    expect(told).to_contain_text("Matches 2 of the last 4 events.")
    expect(told.get_by_role("link")).to_have_count(2)
    page.locator("[name=event_types][value=daily]").check()
    expect(told).to_contain_text("Matches 3 of the last 4 events.")
    field(page, "more_event_types").fill(NAUGHTY[:64])
    expect(told).to_contain_text("Matches 4 of the last 4 events.")
    expect(told.get_by_role("link").first).to_contain_text('"><img src=x')
    assert ana.complaints == []


def test_without_scripts_a_destination_is_set_up_by_hand(operator: LogIn, hub: Hub) -> None:
    make_event(source=hub.source, type="sleep")
    ana = operator(java_script_enabled=False)
    page = add(ana, "s3")

    expect(page.get_by_label("Paste instead of typing")).to_be_hidden()
    values: dict[str, Any] = {
        "name": "Archive", "config.bucket": "acme-terra", "config.region": "eu-west-1",
        "credentials.access_key_id": "AKIAIOSFODNN7EXAMPLE", "credentials.secret_access_key": SECRET,
    }  # fmt: skip
    for name, value in values.items():
        field(page, name).fill(value)
    page.locator("[name=event_types][value=sleep]").check()
    page.get_by_role("button", name="Save").click()

    expect(page.get_by_text("Its filter: Matches 1 of the one event that has come in.")).to_be_visible()
    expect(page.locator("#setup-text")).to_contain_text("arn:aws:s3:::acme-terra/*")
    page.locator("label[for=setup-tab-terraform]").click()
    expect(page.locator("#setup-text-terraform")).to_be_visible()
