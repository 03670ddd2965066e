"""An API key is made in the browser, copied once, and used."""

import json
import re
from collections.abc import Callable
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import expect

from destinations.models import ApiKey
from tests.browser.conftest import Operator
from tests.browser.pages import PHONE
from tests.browser.test_axe import looks
from tests.hub import Hub

pytestmark = pytest.mark.databaseless


def test_a_key_is_made_copied_once_and_opens_the_api(operator: Callable[..., Operator], hub: Hub) -> None:
    ana = operator(**PHONE)
    page = ana.open("/admin/destinations/apikey/add/")
    page.get_by_role("button", name="Save").click()
    found = {"refused": looks(page)}
    page.get_by_label("Name", exact=False).first.fill("Deploy script")
    page.get_by_label("Look at events", exact=False).check()
    page.get_by_role("button", name="Save").click()

    expect(page.get_by_role("heading", name="Deploy script was made", exact=True)).to_be_visible()
    key = page.locator("#new-key").inner_text()
    found["shown once"] = looks(page)
    page.set_viewport_size(PHONE["viewport"])
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert key not in page.url
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied").or_(page.get_by_text("Selected"))).to_be_visible()
    page.get_by_role("link", name="I have copied it").click()

    expect(page.locator(".hub-chip", has_text="Active")).to_be_visible()
    assert key not in page.content()
    assert ApiKey.objects.get().scopes == ["events:read"]
    answer = urlopen(Request(f"{ana.base}/api/v1/events", headers={"Authorization": f"Bearer {key}"}))
    assert json.load(answer)["data"] == []
    page.get_by_role("button", name="Revoke").click()
    found["asked"] = looks(page)
    page.get_by_role("button", name="Revoke").click()
    expect(page.locator(".hub-chip", has_text=re.compile("Revoked"))).to_be_visible()
    assert {state: problems for state, problems in found.items() if problems} == {}
    assert ana.complaints == []
