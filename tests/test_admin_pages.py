"""Every page of the admin: none is left out of the tests that look at all of them."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from django.contrib import admin
from django.urls import resolve

from tests.admin_support import Person
from tests.api_support import make_source
from tests.browser.pages import NO_PAGE_ENDS, NO_PAGES, every_page

pytestmark = [pytest.mark.django_db, pytest.mark.databaseless]


def names(patterns: Sequence[Any]) -> Iterator[str]:
    for one in patterns:
        if hasattr(one, "url_patterns"):
            yield from names(one.url_patterns)
        elif one.name:
            yield one.name


def pages_of_the_site(ana: Person) -> set[str]:
    """Return the names of all addresses that show something to somebody who may do everything."""
    request = ana.client.get("/admin/").wsgi_request
    found = {name for name in names(admin.site.urls[0]) if name not in NO_PAGES and not name.endswith(NO_PAGE_ENDS)}
    for model, its_admin in admin.site._registry.items():
        stem = f"{model._meta.app_label}_{model._meta.model_name}"
        found -= {f"{stem}_add"} if not its_admin.has_add_permission(request) else set()
        found -= {f"{stem}_delete"} if not its_admin.has_delete_permission(request) else set()
    return found


def test_every_page_is_looked_at_by_the_tests_of_all_pages() -> None:
    ana = Person()
    listed = {resolve(path.partition("?")[0]).url_name for path in every_page(None, source=make_source())}

    assert pages_of_the_site(ana) - listed - {"login"} == set(), "add these to tests/browser/pages.py"


def test_every_page_opens() -> None:
    ana = Person()
    for path in every_page(None, source=make_source()):
        assert ana.client.get(path).status_code == 200, path
