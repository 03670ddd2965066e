"""The demonstration's receiver takes whatever a hub sends, and shows nobody more than they may see."""

from collections.abc import Iterator

import pytest
from django.test import Client, override_settings
from django.urls import include, path

from terra_hub import echo
from terra_hub.urls import urlpatterns as of_the_hub
from tests.api_support import make_user

pytestmark = [pytest.mark.django_db, pytest.mark.databaseless]

urlpatterns = [path("demo/echo", echo.echo), path("", include(of_the_hub))]
BODY = b'{"type": "sleep", "of": "user-77"}'


@pytest.fixture(autouse=True)
def _demo() -> Iterator[None]:
    with override_settings(DEMO_ECHO=True, ROOT_URLCONF=__name__):
        yield


def page_for(*permissions: str) -> str:
    client = Client()
    client.force_login(make_user(*permissions))
    return client.get("/demo/echo").content.decode()


def post(body: bytes, **headers: str) -> int:
    return Client().post("/demo/echo", body, "application/json", headers=headers).status_code


def test_bodies_are_for_those_who_may_see_payloads() -> None:
    post(BODY)
    assert "user-77" not in page_for("webhooks.view_event")
    assert "user-77" in page_for("webhooks.view_payload")


def test_headers_that_may_be_keys_are_shown_by_name_alone() -> None:
    post(BODY, **{"X-Other": "canary-1", "Authorization": "Bearer canary-2", "terra-signature": "t=1,v1=ab"})
    page = page_for("webhooks.view_payload")
    assert "X-Other" in page
    assert "t=1,v1=ab" in page
    assert "canary" not in page


def test_a_body_of_thirty_megabytes_is_taken() -> None:
    assert post(b"x" * 30_000_000) == 200
    assert "30000000 bytes" in page_for("webhooks.view_payload")
