"""The admin site as a whole: log-in, sidebar, every list and form, people."""

import pytest
from axes.models import AccessAttempt
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

import terra_hub.urls  # noqa: F401  # loads what is registered, which the tests' parameters are made of
from tests.admin_support import Page, Person

pytestmark = [pytest.mark.django_db, pytest.mark.databaseless]

PASSWORD = "a-long-enough-password-1"


@pytest.fixture
def ana() -> Person:
    return Person()


def log_in(client: Client, path: str, password: str = PASSWORD) -> Page:
    page = Page(client.get(path, follow=True))
    (form,) = page.find("form", id="login-form")
    return Page(client.post(str(form["action"]), {"username": "ana", "password": password}, follow=True))


@pytest.mark.parametrize(
    ("path", "leads_to"),
    [
        ("/admin/login/", "Oldest due delivery"),
        ("/admin/", "Oldest due delivery"),
        ("/admin/webhooks/event/", "0 events"),
    ],
)
def test_a_log_in_leads_to_the_page_that_was_asked_for(path: str, leads_to: str) -> None:
    User.objects.create_superuser("ana", password=PASSWORD)

    response = log_in(Client(), path)

    assert leads_to in response.text


def test_a_log_in_leads_to_no_other_site() -> None:
    User.objects.create_superuser("ana", password=PASSWORD)

    response = Client().post("/admin/login/?next=https://evil.example/", {"username": "ana", "password": PASSWORD})

    assert response.status_code == 302
    assert "evil.example" not in response.headers["Location"]


def test_a_wrong_password_is_said_and_unlocked_by_an_administrator(ana: Person) -> None:
    User.objects.create_superuser("ana", password=PASSWORD)

    page = log_in(Client(), "/admin/", "wrong")

    assert "Please enter the correct username and password" in page.text
    attempt = AccessAttempt.objects.get()
    assert "ana" in ana.get("/admin/axes/accessattempt/").text
    ana.post(f"/admin/axes/accessattempt/{attempt.pk}/delete/", post="yes")
    assert not AccessAttempt.objects.exists()


@pytest.mark.parametrize("model", sorted(admin.site._registry, key=str), ids=str)
def test_every_list_and_every_form_is_a_page(ana: Person, model: type) -> None:
    name = f"{model._meta.app_label}_{model._meta.model_name}"  # type: ignore[attr-defined]

    ana.get(reverse(f"admin:{name}_changelist"))
    if admin.site._registry[model].has_add_permission(ana.client.get("/admin/").wsgi_request):
        ana.get(reverse(f"admin:{name}_add"))


def test_the_sidebar_shows_what_a_person_may_see(ana: Person) -> None:
    for link in ("webhooks/source", "webhooks/event", "webhooks/delivery", "destinations/destination", "auth/user"):
        assert ana.get("/admin/").find("a", href=f"/admin/{link}/"), link

    page = Person("webhooks.view_event").get("/admin/")
    assert page.find("a", href="/admin/webhooks/event/")
    for link in ("webhooks/source", "webhooks/delivery", "destinations/destination", "auth/user"):
        assert not page.find("a", href=f"/admin/{link}/"), link


def test_a_person_is_made_in_the_admin(ana: Person) -> None:
    values = {"username": "ben", "usable_password": "true", "password1": PASSWORD, "password2": PASSWORD}

    ana.post("/admin/auth/user/add/", **values)

    assert User.objects.get(username="ben").check_password(PASSWORD)
