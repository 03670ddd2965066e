"""What the tests of the admin share: a person at a browser without scripts, and what the page says to them."""

import html
import re
from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Any

from django.test import Client
from django.urls import reverse

from tests.api_support import make_user

DESTINATIONS = "/admin/destinations/destination/"
SOURCES = "/admin/webhooks/source/"
EVENTS = "/admin/webhooks/event/"
DELIVERIES = "/admin/webhooks/delivery/"
QUARANTINE = "/admin/webhooks/quarantinedrequest/"


class Page(HTMLParser):
    """What a page shows: its text, its tags, and its forms' values."""

    def __init__(self, response: Any) -> None:
        super().__init__()
        self.status, self.headers, self.source = response.status_code, response.headers, response.content.decode()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._words: list[str] = []
        self._quiet = 0
        self.feed(self.source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._quiet += tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:
        self._quiet -= tag in ("script", "style")

    def handle_data(self, data: str) -> None:
        if not self._quiet:
            self._words.append(data)

    @property
    def text(self) -> str:
        """Return what can be read, with single spaces."""
        return re.sub(r"\s+", " ", " ".join(self._words))

    def find(self, tag: str, **attributes: str) -> list[dict[str, str | None]]:
        """Return the attributes of each such tag that has these values."""
        return [
            found
            for name, found in self.tags
            if name == tag and all(found.get(key) == value for key, value in attributes.items())
        ]

    def value(self, name: str) -> str | None:
        """Return what an input holds."""
        return self.find("input", name=name)[0].get("value")

    def pre(self) -> str:
        """Return the text of the first ``pre``."""
        return html.unescape(re.findall(r"<pre[^>]*>(.*?)</pre>", self.source, re.S)[0])


class Person:
    """Somebody with these permissions who uses the admin; a superuser where none is named."""

    def __init__(self, *permissions: str) -> None:
        self.user = make_user(*permissions, superuser=not permissions)
        self.client = Client()
        self.client.force_login(self.user)

    def get(self, path: str, status: int = 200, /, **query: Any) -> Page:
        response = self.client.get(path, query)
        assert response.status_code == status, (response.status_code, response.headers.get("Location"))
        return Page(response)

    def post(self, path: str, status: int = 200, /, follow: bool = True, **values: Any) -> Page:
        """Post a form and go where it leads."""
        response = self.client.post(
            path, {name: value for name, value in values.items() if value is not None}, follow=follow
        )
        assert response.status_code == status, response.status_code
        return Page(response)

    def press(self, obj: Any, button: str, **values: Any) -> Page:
        """Press a button on an object's page."""
        name = f"admin:{obj._meta.app_label}_{obj._meta.model_name}_do"
        return self.post(reverse(name, args=[obj.pk, button]), **values)

    def look(self, obj: Any, **query: Any) -> Page:
        """Open an object's page."""
        return self.get(page_of(obj), **query)


def listed(page: Page, objects: Mapping[str, Any]) -> set[str]:
    """Return the names of those objects that a list links to."""
    links = {(attrs.get("href") or "").partition("?")[0] for attrs in page.find("a")}
    return {name for name, obj in objects.items() if page_of(obj) in links}


def page_of(obj: Any) -> str:
    """Return the address of an object's page."""
    return reverse(f"admin:{obj._meta.app_label}_{obj._meta.model_name}_change", args=[obj.pk])


def at_field(page: Page, name: str) -> str:
    """Return the source of a page from one field's input to the next field's label."""
    return page.source.partition(f'name="{name}"')[2].partition("<label")[0]
